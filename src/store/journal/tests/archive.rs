//! Archiving: cut short anywhere, damaged anywhere.

use proptest::prelude::*;

use super::*;

fn archived(disk: &SimDisk, through: u64) -> Result<Vec<Archived>, Error> {
    super::super::archive(&shared(disk), Path::new(DIR), Path::new(ARCHIVE), through)
}

fn shelf_files(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new(ARCHIVE)).unwrap_or_default();
    names.into_iter().map(|name| Path::new(ARCHIVE).join(name)).collect()
}

/// A journal of several segments, and all its payloads.
fn written() -> (SimDisk, Vec<Vec<u8>>) {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let all = fill(&mut journal, &[3, 4, 3, 4, 3, 4, 3, 4]);
    journal.close().unwrap();
    assert!(files(&disk).len() >= 4);
    (disk, all)
}

#[test]
fn the_chain_is_proven_across_archive_and_journal_and_a_start_reads_through_both() {
    let (disk, all) = written();
    let before = check_offline(&disk).unwrap();
    let done = archived(&disk, before.head.seq).unwrap();
    assert_eq!((done.len(), files(&disk).len()), (before.segments - 1, 1), "the last one is written to");
    let after = check_offline(&disk).unwrap();
    assert_eq!(
        (after.archived, after.first_seq, after.live_seq),
        (done.len(), 1, done.last().unwrap().last.seq + 1)
    );
    assert_eq!((after.head, after.records, after.bytes), (before.head, before.records, before.bytes));
    let mut journal = open(&disk);
    assert_eq!(read_all(&journal).unwrap(), all);
    assert_eq!(journal.hash_at(done[0].last.seq).unwrap(), Some(done[0].last.hash));
    journal.append(&[b"on"]).unwrap();
    journal.sync().unwrap();
    assert_eq!(archived(&disk, 0).unwrap(), []);
}

#[test]
fn only_what_lies_wholly_behind_the_checkpoint_is_archived() {
    let (disk, _) = written();
    let second = segment::list(&shared(&disk), Path::new(DIR)).unwrap()[1].header.first_seq;
    assert_eq!(archived(&disk, second - 2).unwrap(), []);
    assert_eq!(archived(&disk, second - 1).unwrap().len(), 1);
}

/// Readers that began before go on, and so does a journal that is open.
#[test]
fn a_journal_that_is_open_finds_what_was_archived_meanwhile() {
    let (disk, all) = written();
    let journal = open(&disk);
    let mut reading = journal.read_from(1);
    reading.next().unwrap().unwrap();
    archived(&disk, journal.head().seq).unwrap();
    assert_eq!(reading.map(|record| record.unwrap().payload).collect::<Vec<_>>(), all[1..]);
    assert_eq!(read_all(&journal).unwrap(), all);
}

#[test]
fn power_cut_at_any_step_of_archiving_nothing_is_lost_and_the_next_round_goes_on() {
    let (disk, all) = written();
    let last = check_offline(&disk).unwrap().head.seq;
    let mut operation = 0;
    loop {
        let disk = disk.clone_content();
        disk.cut_after(operation);
        let finished = archived(&disk, last).is_ok();
        disk.power_cut(operation);
        disk.heal();
        let report = check_offline(&disk).unwrap_or_else(|error| panic!("operation {operation}: {error}"));
        assert_eq!((report.first_seq, report.head.seq), (1, last), "operation {operation}");
        archived(&disk, last).unwrap();
        assert_eq!(files(&disk).len(), 1);
        assert_eq!(read_all(&open(&disk)).unwrap(), all);
        if finished {
            break;
        }
        operation += 1;
    }
    assert!(operation > 10, "there are many steps: {operation}");
}

#[test]
fn a_full_disk_at_any_step_of_archiving_leaves_what_there_is() {
    let (disk, all) = written();
    let last = check_offline(&disk).unwrap().head.seq;
    for operation in 0..20 {
        let disk = disk.clone_content();
        disk.fail_after(operation, ErrorKind::StorageFull);
        drop(archived(&disk, last));
        assert_eq!(read_all(&open(&disk)).unwrap(), all, "operation {operation}");
    }
}

/// A crash left the segment in both places, and the archived file has rotted since.
#[test]
fn an_archived_file_that_is_damaged_is_written_again_while_its_segment_is_there() {
    let (disk, all) = written();
    let whole = disk.clone_content();
    let last = check_offline(&disk).unwrap().head.seq;
    archived(&disk, last).unwrap();
    let file = shelf_files(&disk)[0].clone();
    let both = whole.clone_content();
    both.create_dir_all(Path::new(ARCHIVE)).unwrap();
    both.tamper(&file, disk.content(&file).unwrap());
    flip(&both, &file, 8 * 300);
    archived(&both, last).unwrap();
    assert_eq!(both.content(&file), disk.content(&file));
    assert_eq!(read_all(&open(&both)).unwrap(), all);
}

#[test]
fn a_start_does_without_an_archive_that_is_gone_or_damaged_and_says_so() {
    let (disk, all) = written();
    let last = check_offline(&disk).unwrap().head.seq;
    let done = archived(&disk, last).unwrap();
    let middle = shelf_files(&disk)[1].clone();
    flip(&disk, &middle, 8 * 20);
    let (journal, recovered) = try_open(&disk).unwrap();
    assert!(recovered.archive.is_some_and(|why| why.contains(&middle.display().to_string())));
    assert_eq!(journal.first_seq(), done[1].last.seq + 1);
    let from = usize::try_from(journal.first_seq()).unwrap() - 1;
    assert_eq!(read_all(&journal).unwrap(), all[from..]);
    assert!(matches!(check_offline(&disk), Err(Error::Damaged { file, .. }) if file == middle));
    disk.remove_file(&middle).unwrap();
    assert!(matches!(check_offline(&disk), Err(Error::Gap { .. })));
}

/// A new journal here would give out numbers that the archive already has.
#[test]
fn a_journal_without_segments_beside_an_archive_is_refused() {
    let (disk, _) = written();
    archived(&disk, check_offline(&disk).unwrap().head.seq).unwrap();
    for file in files(&disk) {
        disk.remove_file(&file).unwrap();
    }
    assert!(matches!(try_open(&disk), Err(Error::Short { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A byte that changes anywhere, in the journal or in its archive, is found and named, or it was no part of what is
    /// kept: then all records are there as before.
    #[test]
    fn no_changed_byte_goes_unnoticed(through in 0_u64..40, pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), by in 1_u8..) {
        let (disk, all) = written();
        archived(&disk, through).unwrap();
        let mut every = shelf_files(&disk);
        every.extend(files(&disk));
        let file = every[pick.index(every.len())].clone();
        let mut content = disk.content(&file).unwrap();
        let offset = at.index(content.len());
        content[offset] ^= by;
        disk.tamper(&file, content);
        let mut seen = Vec::new();
        let archive = Path::new(ARCHIVE);
        match verify(&shared(&disk), Path::new(DIR), Some(archive), &mut |record| seen.push(record.payload)) {
            // The closing note alone proves nothing that is gone.
            Ok(report) => prop_assert!(seen == all && report.tail.is_some_and(|tail| tail.file == file)),
            Err(Error::Damaged { file: named, seq, .. }) => {
                prop_assert_eq!(named, file);
                prop_assert!(seq <= all.len() as u64 + 1);
            }
            Err(Error::Gap { .. } | Error::Version { .. }) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
