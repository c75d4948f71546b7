//! The journal against a disk that tears, forgets, fills up and fails.

mod archive;
mod crashes;
mod fuzz;

use std::io::ErrorKind;

use super::*;
use crate::store::disk::sim::SimDisk;

const DIR: &str = "/store/journal";
const ARCHIVE: &str = "/store/archive";
const SMALL: Options = Options { segment_bytes: 900, payload_max: 2000, group_max: 16 << 20 };

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn try_open(disk: &SimDisk) -> Result<(Journal, Recovered), Error> {
    Journal::open(shared(disk), Path::new(DIR), Path::new(ARCHIVE), SMALL)
}

fn open(disk: &SimDisk) -> Journal {
    try_open(disk).expect("the journal must open").0
}

fn read_all(journal: &Journal) -> Result<Vec<Vec<u8>>, Error> {
    journal.read_from(journal.first_seq()).map(|record| record.map(|record| record.payload)).collect()
}

fn check_offline(disk: &SimDisk) -> Result<Report, Error> {
    verify(&shared(disk), Path::new(DIR), Some(Path::new(ARCHIVE)), &mut |_| {})
}

/// A payload of `len` bytes that no other record has.
fn payload(id: usize, len: usize) -> Vec<u8> {
    id.to_le_bytes().into_iter().cycle().take(len.max(8)).collect()
}

/// Appends and syncs groups of these sizes; returns all payloads.
fn fill(journal: &mut Journal, groups: &[usize]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for size in groups {
        let group: Vec<Vec<u8>> = (0..*size).map(|n| payload(all.len() + n, 20 + 30 * n)).collect();
        journal.append(&group).expect("append must succeed");
        journal.sync().expect("sync must succeed");
        all.extend(group);
    }
    all
}

fn files(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new(DIR)).expect("the directory is there");
    names.into_iter().map(|name| Path::new(DIR).join(name)).collect()
}

fn flip(disk: &SimDisk, file: &Path, bit: usize) {
    let mut content = disk.content(file).expect("the file is there");
    content[bit / 8] ^= 1 << (bit % 8);
    disk.tamper(file, content);
}

#[test]
fn records_come_back_in_order_over_segments_and_restarts() {
    let disk = SimDisk::new();
    let (mut journal, recovered) = try_open(&disk).unwrap();
    assert_eq!(recovered, Recovered { first_seq: 1, head: Head::START, cut: None, archive: None });
    let mut all = fill(&mut journal, &[1, 3, 2, 5, 1, 4]);
    assert_eq!(read_all(&journal).unwrap(), all);
    let head = journal.close().unwrap();
    assert!(files(&disk).len() > 2, "the test must rotate");

    let (mut journal, recovered) = try_open(&disk).unwrap();
    assert_eq!(recovered, Recovered { first_seq: 1, head, cut: None, archive: None });
    assert_eq!(recovered.next_seq(), 17);
    assert_eq!(journal.append(&[b"next", b"last"]).unwrap(), 17..=18);
    assert_eq!(journal.head(), head, "what is not synced does not count");
    journal.sync().unwrap();
    all.extend([b"next".to_vec(), b"last".to_vec()]);
    for from in 0..=19 {
        let records: Vec<Record> = journal.read_from(from).map(Result::unwrap).collect();
        let skipped = usize::try_from(from.max(1)).unwrap() - 1;
        let seqs: Vec<u64> = records.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, (from.max(1)..=18).collect::<Vec<_>>());
        assert_eq!(records.into_iter().map(|r| r.payload).collect::<Vec<_>>(), all[skipped..]);
    }
}

#[test]
fn the_hash_of_every_record_can_be_looked_up() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let mut head = Head::START;
    let mut hashes = vec![head.hash];
    for payload in fill(&mut journal, &[1, 3, 2, 5]) {
        head = Head { seq: head.seq + 1, hash: head.hash.then(head.seq + 1, &payload) };
        hashes.push(head.hash);
    }
    for (seq, hash) in hashes.into_iter().enumerate() {
        assert_eq!(journal.hash_at(seq as u64).unwrap(), Some(hash), "record {seq}");
    }
    assert_eq!(journal.hash_at(12).unwrap(), None);
}

#[test]
fn an_empty_group_changes_nothing() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[2]);
    let before = disk.operations();
    assert!(journal.append::<Vec<u8>>(&[]).unwrap().is_empty());
    journal.sync().unwrap();
    assert_eq!(disk.operations(), before);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let error = journal.append(&[vec![0; 2001]]).unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { len: 2001, max: 2000 }), "{error}");
    let error = journal.append(&vec![vec![0; 2000]; 9000]).unwrap_err();
    assert!(matches!(error, Error::GroupTooLarge { .. }), "{error}");
    let all = fill(&mut journal, &[2]);
    assert_eq!(read_all(&journal).unwrap(), all);
}

#[test]
fn a_group_cut_at_any_byte_is_a_torn_tail_and_the_journal_goes_on() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let all = fill(&mut journal, &[1, 2]);
    let file = files(&disk).pop().unwrap();
    let kept = disk.content(&file).unwrap().len() - GROUP_HEADER;
    journal.append(&[payload(3, 50), payload(4, 100)]).unwrap();
    let content = disk.content(&file).unwrap();
    drop(journal);
    for len in kept..content.len() {
        disk.tamper(&file, content[..len].to_vec());
        let (mut journal, recovered) = try_open(&disk).unwrap();
        let bytes = (len - kept) as u64;
        let cut = TornTail { file: file.clone(), at: kept as u64, bytes, seq: 4 };
        assert_eq!(recovered.cut, (bytes > 0).then_some(cut), "{len} bytes left");
        assert_eq!(read_all(&journal).unwrap(), all);
        assert_eq!(journal.append(&[b"on"]).unwrap(), 4..=4);
        journal.sync().unwrap();
        drop(journal);
        assert_eq!(check_offline(&disk).unwrap().records, 4);
    }
}

/// What comes from outside must not be able to make a torn tail look like damage, which stops the daemon for good.
#[test]
fn text_in_a_payload_that_looks_like_a_later_group_proves_nothing() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let all = fill(&mut journal, &[1]);
    let file = files(&disk).pop().unwrap();
    let header =
        GroupHeader { body_len: 0x2020_2020, records: 0x2020_2020, first_seq: 0x2020_2020_2020_2020 };
    let payload = [header.encode().to_vec(), vec![b' '; 100]].concat();
    journal.append(&[payload]).unwrap();
    let content = disk.content(&file).unwrap();
    drop(journal);
    disk.tamper(&file, content[..content.len() - 50].to_vec());
    let (journal, recovered) = try_open(&disk).unwrap();
    assert!(recovered.cut.is_some());
    assert_eq!(read_all(&journal).unwrap(), all);
}

#[test]
fn a_whole_group_that_was_never_synced_is_kept() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[1]);
    journal.append(&[b"a", b"b"]).unwrap();
    drop(journal);
    let (journal, recovered) = try_open(&disk).unwrap();
    assert_eq!((recovered.head.seq, recovered.cut), (3, None));
    assert_eq!(journal.head().seq, 3);
}

/// Every bit of every file of a journal that was synced, one by one: the damage is an error, or every record
/// is still there (the bit was in the last note, which holds none).
#[test]
fn no_flipped_bit_passes_for_content() {
    for (groups, closed) in
        [(&[1, 3, 2, 4][..], true), (&[1, 3, 2, 4], false), (&[2, 1], true), (&[2, 1], false)]
    {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        let all = fill(&mut journal, groups);
        if closed {
            journal.close().unwrap();
            disk.power_cut_losing_all();
        } else {
            drop(journal);
        }
        let files: Vec<(PathBuf, Vec<u8>)> =
            files(&disk).into_iter().map(|file| (file.clone(), disk.content(&file).unwrap())).collect();
        let (last, last_content) = files.last().unwrap();
        let note = last_content.len() - GROUP_HEADER;
        for (file, content) in &files {
            for bit in 0..content.len() * 8 {
                files.iter().for_each(|(file, content)| disk.tamper(file, content.clone()));
                flip(&disk, file, bit);
                let offline = check_offline(&disk).map(|report| report.records);
                let online = try_open(&disk).and_then(|(journal, _)| read_all(&journal));
                if file == last && bit / 8 >= note {
                    assert_eq!(offline.unwrap(), all.len() as u64);
                    assert_eq!(online.unwrap(), all);
                } else {
                    offline.expect_err(&format!("bit {bit} of {file:?}, offline"));
                    online.expect_err(&format!("bit {bit} of {file:?}, online"));
                }
            }
        }
    }
}

/// What one restart has proven, the next must not take for a torn tail.
#[test]
fn a_group_that_was_proven_on_open_is_vouched_for() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[1]);
    journal.append(&[b"never acknowledged"]).unwrap();
    drop(journal);
    drop(open(&disk));
    let file = files(&disk).pop().unwrap();
    let end = disk.content(&file).unwrap().len() - GROUP_HEADER;
    flip(&disk, &file, (end - 3) * 8);
    assert!(matches!(try_open(&disk), Err(Error::Damaged { seq: 2, .. })));
}

/// Bytes that are sealed but make no sense: nothing that this code writes, and no reason to trust them.
#[test]
fn sealed_nonsense_is_no_record() {
    let head = Head { seq: 1, hash: ChainHash::START.then(1, &payload(0, 20)) };
    let mut long = Vec::new();
    encode_group(&mut long, head, &[b"x"]);
    long.extend_from_slice(&[0; 10]);
    let body_len = u32::try_from(long.len() - GROUP_HEADER).unwrap();
    long[..GROUP_HEADER].copy_from_slice(&GroupHeader { body_len, records: 1, first_seq: 2 }.encode());
    let mut skips = Vec::new();
    encode_group(&mut skips, Head { seq: 2, ..head }, &[b"x"]);
    let second_note = GroupHeader::note(2).encode().to_vec();
    for (bytes, after_note, is_torn) in
        [(long, false, true), (second_note, true, true), (skips, false, false)]
    {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        let all = fill(&mut journal, &[1]);
        drop(journal);
        let file = files(&disk).pop().unwrap();
        let mut content = disk.content(&file).unwrap();
        content.truncate(content.len() - if after_note { 0 } else { GROUP_HEADER });
        content.extend_from_slice(&bytes);
        disk.tamper(&file, content);
        match try_open(&disk) {
            Ok((journal, recovered)) => {
                assert_eq!(recovered.cut.map(|cut| cut.bytes), is_torn.then_some(bytes.len() as u64));
                assert_eq!(read_all(&journal).unwrap(), all);
            }
            Err(error) => assert!(!is_torn, "{error}"),
        }
    }
}

#[test]
fn a_flipped_bit_in_a_group_that_was_never_synced_drops_this_group_only() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let mut all = fill(&mut journal, &[1, 2]);
    let file = files(&disk).pop().unwrap();
    let kept = disk.content(&file).unwrap().len() - GROUP_HEADER;
    journal.append(&[payload(3, 30)]).unwrap();
    drop(journal);
    let content = disk.content(&file).unwrap();
    for bit in kept * 8..content.len() * 8 {
        flip(&disk, &file, bit);
        let (journal, recovered) = try_open(&disk).unwrap();
        assert!(recovered.cut.is_some(), "bit {bit}");
        assert_eq!(read_all(&journal).unwrap(), all, "bit {bit}");
        drop(journal);
        disk.tamper(&file, content.clone());
    }
    all.push(payload(3, 30));
    assert_eq!(read_all(&open(&disk)).unwrap(), all);
}

#[test]
fn damage_with_a_later_group_behind_it_is_named_and_left_alone() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[1]);
    let file = files(&disk).pop().unwrap();
    let damaged_group = disk.content(&file).unwrap().len() - GROUP_HEADER;
    fill(&mut journal, &[2]);
    // Unsynced: its header alone proves that the group before it was durable.
    journal.append(&[b"unsynced"]).unwrap();
    drop(journal);
    let second_record = damaged_group + GROUP_HEADER + RECORD_HEADER + 20;
    flip(&disk, &file, (second_record + RECORD_HEADER + 5) * 8);
    let before = disk.content(&file);
    for error in [try_open(&disk).unwrap_err(), check_offline(&disk).unwrap_err()] {
        let Error::Damaged { file: named, offset, seq, flaw } = &error else { panic!("{error}") };
        assert_eq!((named, *offset, *seq, *flaw), (&file, second_record as u64, 3, Flaw::Checksum));
        assert!(error.to_string().contains("`evenkeel verify`"), "{error}");
    }
    assert_eq!(disk.content(&file), before);
}

#[test]
fn damage_in_an_older_segment_shows_when_it_is_read() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[2, 4, 4, 4]);
    journal.close().unwrap();
    let first = files(&disk).remove(0);
    flip(&disk, &first, 100 * 8);
    let journal = open(&disk);
    assert!(matches!(read_all(&journal), Err(Error::Damaged { file, .. }) if file == first));
    assert_eq!(journal.read_from(14).map(Result::unwrap).count(), 1, "newer segments still read");
    let mut records = journal.read_from(1);
    assert!(records.any(|record| record.is_err()));
    assert!(records.next().is_none(), "nothing comes after an error");
}

#[test]
fn missing_segments_are_noticed() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let all = fill(&mut journal, &[4, 4, 4, 4, 4]);
    journal.close().unwrap();
    let files = files(&disk);
    assert!(files.len() >= 4);
    let middle = disk.content(&files[1]).unwrap();
    disk.remove_file(&files[1]).unwrap();
    assert!(matches!(try_open(&disk), Err(Error::Gap { before }) if before == files[2]));
    assert!(matches!(check_offline(&disk), Err(Error::Gap { .. })));
    disk.tamper(&files[1], middle);

    disk.remove_file(&files[0]).unwrap();
    let (journal, recovered) = try_open(&disk).unwrap();
    let first = usize::try_from(recovered.first_seq).unwrap();
    assert!(first > 1, "archived segments are fine");
    assert_eq!(read_all(&journal).unwrap(), all[first - 1..]);
    assert!(matches!(journal.read_from(1).next(), Some(Err(Error::Gap { .. }))));
    assert_eq!(journal.hash_at(1).unwrap(), None);
    assert_eq!(check_offline(&disk).unwrap().first_seq, recovered.first_seq);
}

#[test]
fn a_segment_of_another_journal_breaks_the_chain() {
    let [ours, theirs] = [1, 2].map(|kind| {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        for n in 0..4 {
            journal.append(&[vec![kind; 400 + n]]).unwrap();
        }
        journal.close().unwrap();
        disk
    });
    let [ours_last, theirs_last] = [&ours, &theirs].map(|disk| files(disk).pop().unwrap());
    assert_eq!(ours_last, theirs_last);
    ours.tamper(&ours_last, theirs.content(&theirs_last).unwrap());
    let error = check_offline(&ours).unwrap_err();
    assert!(matches!(error, Error::Damaged { offset: 0, flaw: Flaw::Chain, .. }), "{error}");
}

#[test]
fn verify_reports_what_is_there_and_an_unfinished_tail() {
    let disk = SimDisk::new();
    assert!(matches!(check_offline(&disk), Err(Error::Disk(_))));
    disk.create_dir_all(Path::new(DIR)).unwrap();
    assert!(matches!(check_offline(&disk), Err(Error::Empty { .. })));
    let mut journal = open(&disk);
    let all = fill(&mut journal, &[2, 4, 4, 4]);
    let mut seen = Vec::new();
    let report = verify(&shared(&disk), Path::new(DIR), Some(Path::new(ARCHIVE)), &mut |record| {
        seen.push(record.payload)
    })
    .unwrap();
    assert_eq!(seen, all);
    assert_eq!(report.head, journal.head());
    assert_eq!((report.records, report.first_seq, report.segments), (14, 1, files(&disk).len()));
    let bytes: usize = files(&disk).iter().map(|file| disk.content(file).unwrap().len()).sum();
    assert_eq!((report.bytes, report.tail), (bytes as u64, None));

    let file = files(&disk).pop().unwrap();
    let mut content = disk.content(&file).unwrap();
    content.extend_from_slice(b"half a gro");
    disk.tamper(&file, content);
    let report = check_offline(&disk).unwrap();
    assert_eq!((report.records, report.tail.map(|tail| tail.bytes)), (14, Some(10)));
}

#[test]
fn a_segment_without_records_must_still_continue_the_one_before() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[2]);
    journal.rotate().unwrap();
    drop(journal);
    assert_eq!(check_offline(&disk).unwrap().records, 2);
    assert_eq!(open(&disk).head().seq, 2);
    let [first, empty] = <[PathBuf; 2]>::try_from(files(&disk)).unwrap();
    let forged = SegmentHeader { first_seq: 3, before: 1, hash: ChainHash::from_bytes([7; 32]) };
    disk.tamper(&empty, forged.encode().to_vec());
    assert!(matches!(check_offline(&disk), Err(Error::Damaged { flaw: Flaw::Chain, .. })));
    disk.remove_file(&first).unwrap();
    assert_eq!(check_offline(&disk).unwrap().records, 0);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let disk = SimDisk::new();
    drop(open(&disk));
    let file = files(&disk).pop().unwrap();
    let mut content = disk.content(&file).unwrap();
    content[12] = 9;
    let crc = crc32fast::hash(&content[12..SEGMENT_HEADER]).to_le_bytes();
    content[8..12].copy_from_slice(&crc);
    disk.tamper(&file, content);
    assert!(matches!(try_open(&disk), Err(Error::Version { version: 9, .. })));
}

#[test]
fn after_an_io_error_nothing_is_accepted_until_a_restart() {
    // Operations of append and sync: write of the group, sync, write of the note.
    for (operation, kind) in [(0, ErrorKind::Other), (1, ErrorKind::Other), (2, ErrorKind::Other)] {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        let all = fill(&mut journal, &[2]);
        disk.fail_after(operation, kind);
        let appended = journal.append(&[b"x"]);
        let synced = journal.sync();
        assert_eq!(appended.is_err(), operation == 0);
        assert_eq!(synced.is_err(), operation < 2, "a failed note takes back no sync");
        for _ in 0..2 {
            assert!(matches!(journal.append(&[b"y"]), Err(Error::Poisoned(_))));
            assert!(matches!(journal.sync(), Err(Error::Poisoned(_))));
        }
        assert_eq!(journal.head().seq, if operation < 2 { 2 } else { 3 });
        drop(journal);
        let journal = open(&disk);
        assert_eq!(read_all(&journal).unwrap()[..2], all);
    }
}

#[test]
fn a_full_disk_takes_nothing_and_room_lets_the_same_journal_go_on() {
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        let mut all = fill(&mut journal, &[1, 1]);
        let size = disk.content(&files(&disk)[0]).unwrap().len();
        for _ in 0..3 {
            if kind == ErrorKind::StorageFull {
                disk.set_capacity(size + 40);
            } else {
                disk.fail_after(0, kind);
            }
            let error = journal.append(&[payload(9, 300)]).unwrap_err();
            assert!(matches!(&error, Error::NoRoom(fault) if fault.source.kind() == kind), "{error}");
            assert_eq!(journal.head().seq, 2);
            assert_eq!(read_all(&journal).unwrap(), all, "what is durable stays readable");
            // A process that dies now has lost nothing, and has nothing that was not acknowledged.
            let (copy, _) =
                Journal::open(shared(&disk.clone_content()), Path::new(DIR), Path::new(ARCHIVE), SMALL)
                    .unwrap();
            assert_eq!(read_all(&copy).unwrap(), all);
            disk.heal();
        }
        assert_eq!(journal.append(&[b"on"]).unwrap(), 3..=3, "{kind}");
        journal.sync().unwrap();
        all.push(b"on".to_vec());
        drop(journal);
        let (journal, recovered) = try_open(&disk).unwrap();
        assert_eq!((read_all(&journal).unwrap(), recovered.cut), (all, None));
    }
}

/// The kernel may have dropped what it could not write, whatever the reason was.
#[test]
fn a_sync_that_fails_for_want_of_room_is_still_the_end() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    journal.append(&[b"x"]).unwrap();
    disk.fail_after(0, ErrorKind::StorageFull);
    assert!(matches!(journal.sync(), Err(Error::Poisoned(_))));
    assert!(matches!(journal.append(&[b"y"]), Err(Error::Poisoned(_))));
}

/// At every step of beginning a new segment the disk may be full.
#[test]
fn a_new_segment_for_which_there_is_no_room_is_begun_later() {
    let mut waited = 0;
    for operation in 0..12 {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        let mut all = fill(&mut journal, &[3, 3, 3]);
        disk.fail_after(operation, ErrorKind::StorageFull);
        let big = payload(7, 700);
        match journal.append(std::slice::from_ref(&big)) {
            Err(Error::NoRoom(_)) => {
                waited += 1;
                journal.append(std::slice::from_ref(&big)).expect("there is room again");
            }
            Err(Error::Poisoned(_)) => continue,
            appended => drop(appended.unwrap()),
        }
        disk.heal();
        journal.sync().unwrap();
        all.push(big);
        drop(journal);
        assert_eq!(read_all(&open(&disk)).unwrap(), all, "operation {operation}");
    }
    assert!(waited >= 3, "the new file and the group: {waited}");
}

/// Linux forgets pages that it could not write: they can still be read, and the next sync succeeds without
/// them. What a restart finds that way must be written again before it counts.
#[test]
fn what_a_failed_sync_forgot_is_written_again_on_open() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[2]);
    journal.append(&[payload(7, 700)]).unwrap();
    disk.fail_after(0, ErrorKind::Other);
    journal.sync().unwrap_err();
    drop(journal);
    let journal = open(&disk);
    assert_eq!(journal.head().seq, 3);
    disk.power_cut_losing_all();
    assert_eq!(open(&disk).head().seq, 3);
}

/// A new segment whose name was not made durable is found by a restart, and must be before it counts.
#[test]
fn a_segment_that_was_left_without_a_durable_name_gets_one() {
    for operation in 0..6 {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        journal.append(&[payload(0, 700)]).unwrap();
        journal.sync().unwrap();
        disk.fail_after(operation, ErrorKind::Other);
        journal.append(&[payload(1, 700)]).unwrap_err();
        drop(journal);
        let mut journal = open(&disk);
        journal.append(&[payload(2, 10)]).unwrap();
        journal.sync().unwrap();
        disk.power_cut_losing_all();
        let records = read_all(&open(&disk)).unwrap();
        assert_eq!(records, [payload(0, 700), payload(2, 10)], "operation {operation}");
    }
}

#[test]
fn a_read_error_on_open_cuts_nothing() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    fill(&mut journal, &[2]);
    drop(journal);
    disk.fail_reads(true);
    assert!(matches!(try_open(&disk), Err(Error::Disk(_))));
    disk.fail_reads(false);
    assert_eq!(open(&disk).head().seq, 2);
}
