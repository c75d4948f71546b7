//! The state's mark, and the table of trust that is decided by it.
//!
//! The mark says how the last run left the state: closed cleanly, open under a boot of the kernel, or broken.
//! It lies in the state's own directory, so that it goes wherever the state goes.

use std::fmt;

/// Content of the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Version of the rows, by the caller's count.
    pub(super) rows_version: u32,
    pub(super) run: Run,
}

/// How the last run left the state, or that it is still running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    /// Closed, and every file of it synced.
    Clean,
    /// Opened under this boot of the kernel (`None`: unknown), and not closed since.
    Open { boot_id: Option<String> },
    /// Writing or reading failed.
    Broken,
}

/// First words of the mark: what it is, and the version of what lies beside it.
const HEAD: &str = "evenkeel-state 2 rows";

impl Mark {
    pub(super) fn encode(&self) -> String {
        let version = self.rows_version;
        match &self.run {
            Run::Clean => format!("{HEAD} {version} clean\n"),
            Run::Open { boot_id } => {
                format!("{HEAD} {version} open {}\n", boot_id.as_deref().unwrap_or("unknown"))
            }
            Run::Broken => format!("{HEAD} {version} broken\n"),
        }
    }

    /// Reads a mark. Whatever is not exactly a mark is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Mark> {
        let text = std::str::from_utf8(bytes).ok()?;
        let rest = text.strip_prefix(HEAD)?.strip_prefix(' ')?.strip_suffix('\n')?;
        let (version, run) = rest.split_once(' ')?;
        let run = match run.split_once(' ') {
            None if run == "clean" => Run::Clean,
            None if run == "broken" => Run::Broken,
            Some(("open", "unknown")) => Run::Open { boot_id: None },
            Some(("open", boot_id)) => Run::Open { boot_id: Some(boot_id.to_owned()) },
            _ => return None,
        };
        Some(Mark { rows_version: version.parse().ok()?, run })
    }
}

/// Why a state is not used, but built again from checkpoint and journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is none yet, or its last rebuild was not finished.
    Missing,
    /// A person asked for it.
    Forced,
    NoMark,
    OtherVersion,
    PowerCut,
    Broken,
    /// sled refused to open it, or panicked.
    Refused(String),
    /// A row is not what was written, or the rows are not whole.
    Damaged(String),
    /// It was not made from this journal.
    OtherJournal,
    /// The journal does not go back far enough to bring it up to date.
    TooOld,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("there is none"),
            Reason::Forced => f.write_str("a rebuild was asked for"),
            Reason::NoMark => f.write_str("its mark is missing or unreadable"),
            Reason::OtherVersion => f.write_str("its rows are of another version"),
            Reason::PowerCut => f.write_str("it was not closed before the machine went down"),
            Reason::Broken => f.write_str("reading or writing it failed in the last run"),
            Reason::Refused(why) => write!(f, "it cannot be opened: {why}"),
            Reason::Damaged(what) => write!(f, "it is damaged: {what}"),
            Reason::OtherJournal => f.write_str("it was not made from this journal"),
            Reason::TooOld => f.write_str("the journal does not reach back to where it stands"),
        }
    }
}

/// Decides by the table of trust. A state that passes must still open and verify.
pub(super) fn judge(mark: Option<&Mark>, boot_id: Option<&str>, rows_version: u32) -> Result<(), Reason> {
    let mark = mark.ok_or(Reason::NoMark)?;
    if mark.rows_version != rows_version {
        return Err(Reason::OtherVersion);
    }
    match &mark.run {
        Run::Clean => Ok(()),
        // The page cache of a kernel that still runs has all that was written to it.
        Run::Open { boot_id: Some(then) } if Some(then.as_str()) == boot_id => Ok(()),
        Run::Open { .. } => Err(Reason::PowerCut),
        Run::Broken => Err(Reason::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mark: &str, boot_id: Option<&str>, want: Result<(), Reason>) {
        let mark = Mark::decode(mark.as_bytes());
        assert_eq!(judge(mark.as_ref(), boot_id, 3), want);
    }

    #[test]
    fn a_state_is_trusted_by_the_table_only() {
        let (then, now) = (Some("1f3a-then"), Some("77c0-now"));
        check("evenkeel-state 2 rows 3 clean\n", now, Ok(()));
        check("evenkeel-state 2 rows 3 clean\n", None, Ok(()));
        check("evenkeel-state 2 rows 3 open 1f3a-then\n", then, Ok(()));
        check("evenkeel-state 2 rows 3 open 1f3a-then\n", now, Err(Reason::PowerCut));
        check("evenkeel-state 2 rows 3 open 1f3a-then\n", None, Err(Reason::PowerCut));
        check("evenkeel-state 2 rows 3 open unknown\n", None, Err(Reason::PowerCut));
        check("evenkeel-state 2 rows 3 open unknown\n", Some("unknown"), Err(Reason::PowerCut));
        check("evenkeel-state 2 rows 3 broken\n", then, Err(Reason::Broken));
        check("evenkeel-state 2 rows 4 clean\n", now, Err(Reason::OtherVersion));
        for unreadable in
            ["", "\n", "clean", "evenkeel-state 2 rows 3 clean", "evenkeel-state 9 rows 3 clean\n"]
        {
            check(unreadable, now, Err(Reason::NoMark));
        }
    }

    #[test]
    fn marks_come_out_as_they_went_in_and_no_flipped_bit_makes_trust() {
        let open = Run::Open { boot_id: Some("1f3a-then".into()) };
        for run in [Run::Clean, Run::Broken, Run::Open { boot_id: None }, open] {
            let mark = Mark { rows_version: 3, run };
            let text = mark.encode();
            assert_eq!(Mark::decode(text.as_bytes()), Some(mark.clone()));
            for bit in 0..text.len() * 8 {
                let mut bytes = text.clone().into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let flipped = Mark::decode(&bytes);
                assert!(judge(flipped.as_ref(), Some("1f3a-then"), 3).is_err(), "bit {bit} of {text}");
            }
        }
    }
}
