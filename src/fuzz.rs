//! Fuzzing, for the tests beside the code: samples of what really comes in, changed in many ways.
//!
//! Drawn bytes are read as a list of decisions: which sample, what is changed in it, and where. A plain test plays the same
//! thousand cases every time, so that it fails for everybody or for nobody. `EVENKEEL_FUZZ_MS` has bolero draw fresh ones
//! for as long, and `cargo bolero test NAME` lets a fuzzer that watches the code's branches make the decisions. Whatever comes in must not make anything panic, hang, or take memory
//! without bound; what else must hold the test says.

mod json;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bolero::{BorrowedInput, ByteSliceGenerator, DefaultEngine, TestTarget};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

/// What `bolero::check!()` makes, in the test itself, so that it is known by its name.
pub(crate) type Target = TestTarget<ByteSliceGenerator, DefaultEngine, BorrowedInput>;

/// How many cases a plain test plays.
const CASES: u64 = 1_000;
/// The most bytes of decisions.
const DRAWN_MAX: usize = 320;
/// A case that takes this long hangs: no case takes a hundredth of it.
const HANGS: Duration = Duration::from_secs(60);
/// The most memory that a test may add to the peak of its process.
const MEMORY_MAX: u64 = 3 << 30;
/// The most of a case that is told when it fails.
const TOLD_MAX: usize = 6_000;

/// Decisions. When they are used up, each is the first choice.
#[derive(Debug)]
pub(crate) struct Drawn<'a>(&'a [u8]);

impl Drawn<'_> {
    fn next(&mut self) -> u32 {
        let (taken, rest) = self.0.split_at(self.0.len().min(4));
        self.0 = rest;
        taken.iter().fold(0, |drawn, byte| (drawn << 8) | u32::from(*byte))
    }

    /// Draws a number below `most`; zero if there is none.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next()).expect("it fits") % most.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Plays JSON samples, changed as JSON and, now and then, as text.
pub(crate) fn json(target: Target, samples: &[Value], check: impl Fn(&[u8])) {
    drawn(
        target,
        |drawn| {
            let text = json::changed(drawn, samples).to_string().into_bytes();
            if drawn.below(4) == 1 { changed(drawn, &[text], JSON_WORDS) } else { text }
        },
        |text| check(text),
    );
}

/// Plays samples of any bytes. `words` are put in here and there.
pub(crate) fn bytes<S: AsRef<[u8]>>(target: Target, samples: &[S], words: &[&str], check: impl Fn(&[u8])) {
    drawn(target, |drawn| changed(drawn, samples, words), |bytes| check(bytes));
}

/// What may stand in a JSON text and is seldom right.
const JSON_WORDS: &[&str] =
    &["{", "}", "[", "]", ",", ":", "\"", "null", "1e999", "-", "\\u0000", "\\ud800", "\u{feff}", "[[[[[[[["];

/// Plays what `draw` makes of the decisions.
pub(crate) fn drawn<T: AsRef<[u8]>>(target: Target, draw: impl Fn(&mut Drawn<'_>) -> T, check: impl Fn(&T)) {
    let millis = std::env::var("EVENKEEL_FUZZ_MS").ok().and_then(|text| text.parse().ok());
    let driven = std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("BOLERO_"));
    let before = peak();
    // A panic ends the test: nothing is looked at afterwards.
    let parts = AssertUnwindSafe((draw, check, Watch::start()));
    let play = |input: &[u8]| {
        let (draw, check, watch) = &*parts;
        let case = draw(&mut Drawn(input));
        let told = Told(case.as_ref());
        check(&case);
        drop(told);
        watch.beat();
    };
    if millis.is_none() && !driven {
        (0..CASES).for_each(|case| play(&decisions(case)));
    } else {
        let target = target.with_max_len(DRAWN_MAX);
        match millis {
            Some(millis) => target.with_test_time(Duration::from_millis(millis)).for_each(play),
            None => target.for_each(play),
        }
    }
    let grown = peak().saturating_sub(before);
    assert!(grown < MEMORY_MAX, "the peak of memory has grown by {grown} bytes");
}

/// Returns the decisions of a plain test's case, few or many.
fn decisions(case: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(case);
    let mut bytes = vec![0; DRAWN_MAX];
    random.fill_bytes(&mut bytes);
    bytes.truncate(usize::try_from(random.next_u32()).expect("it fits") % (DRAWN_MAX + 1));
    bytes
}

/// Changes a sample as bytes, up to four times.
pub(crate) fn changed<S: AsRef<[u8]>>(drawn: &mut Drawn<'_>, samples: &[S], words: &[&str]) -> Vec<u8> {
    let mut bytes = drawn.pick(samples).as_ref().to_vec();
    for _ in 0..drawn.below(5) {
        let (at, other) = (drawn.below(bytes.len() + 1), drawn.below(bytes.len() + 1));
        let (from, to) = (at.min(other), at.max(other));
        match drawn.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << drawn.below(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(drawn.below(256)).expect("a byte"),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(from..to.min(from + 64))),
            4 => {
                let span = bytes[from..to.min(from + 2_000)].to_vec();
                let times = [1, 2, 20][drawn.below(3)];
                drop(bytes.splice(at..at, span.repeat(times)));
            }
            5 if !words.is_empty() => {
                let word = drawn.pick(words).as_bytes().to_vec();
                drop(bytes.splice(at..at, word));
            }
            6 => {
                let donor = drawn.pick(samples).as_ref();
                let start = drawn.below(donor.len() + 1);
                let span = &donor[start..donor.len().min(start + 200)];
                drop(bytes.splice(at..at, span.iter().copied()));
            }
            _ => {
                let byte = *drawn.pick(&[0, b'\n', b'\r', b'"', 0xff, 0xc3, b' ', b'9']);
                bytes.insert(at, byte);
            }
        }
    }
    bytes
}

/// Tells the case when its check panics.
struct Told<'a>(&'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let head = &self.0[..self.0.len().min(TOLD_MAX)];
            eprintln!("the case, of {} bytes: {}", self.0.len(), head.escape_ascii());
        }
    }
}

/// Ends the process when a case never ends.
struct Watch {
    beats: Arc<AtomicU64>,
    _ended: mpsc::Sender<()>,
}

impl Watch {
    fn start() -> Watch {
        let (beats, (sender, ended)) = (Arc::new(AtomicU64::new(0)), mpsc::channel());
        let seen = Arc::clone(&beats);
        thread::spawn(move || {
            let mut last = None;
            while ended.recv_timeout(HANGS) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = seen.load(Ordering::Relaxed);
                if last.replace(now) == Some(now) {
                    eprintln!("a case has not ended within {} s", HANGS.as_secs());
                    std::process::abort();
                }
            }
        });
        Watch { beats, _ended: sender }
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
