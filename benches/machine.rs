//! What the figures were taken on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

/// Returns the directory that stores are made in: beside the build, which is seldom a file system in memory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

pub(crate) fn fresh_dir() -> TempDir {
    tempfile::tempdir_in(root()).expect("the target directory can be written to")
}

/// Names processor, cores, file system and load.
pub(crate) fn described() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "processor: {}; cores: {cores}; file system: {}; load average: {}",
        model.map_or("unknown", |(_, name)| name),
        file_system(),
        load_average()
    )
}

pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn file_system() -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let root = root().canonicalize().unwrap_or_else(|_| root().to_owned());
    let holds = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let at = PathBuf::from(words.next()?);
        root.starts_with(&at).then(|| (at.components().count(), words.next().unwrap_or_default().to_owned()))
    };
    mounts.lines().filter_map(holds).max().map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

/// Returns a size that the kernel keeps of a process, in bytes: `VmRSS` is what is resident, `VmHWM` the most that was.
pub(crate) fn memory(pid: u32, which: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = text.lines().find(|line| line.starts_with(which)).expect("Linux tells it");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number");
    kib * 1024
}

/// Returns the processor time that a process has used.
pub(crate) fn cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let (_, rest) = text.rsplit_once(')').expect("a name in brackets");
    // User and system time in ticks, of which Linux shows a hundred a second.
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MB", (bytes + 500_000) / 1_000_000)
}
