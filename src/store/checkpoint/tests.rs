use super::*;
use crate::store::disk::sim::SimDisk;
use crate::store::journal::ChainHash;
use crate::store::rows::Row;

const DIR: &str = "/store/checkpoints";

fn checkpoints(disk: &SimDisk) -> Checkpoints {
    Checkpoints::new(Arc::new(disk.clone()), Path::new(DIR), 3)
}

fn head(seq: u64) -> Head {
    Head { seq, hash: ChainHash::from_bytes([u8::try_from(seq % 256).unwrap(); 32]) }
}

fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|n| (format!("row {n:05}").into_bytes(), vec![n as u8; n % 300])).collect()
}

type Found = (Option<(Info, Vec<Row>)>, Vec<Skipped>);

fn newest(disk: &SimDisk) -> Found {
    let (found, skipped) = checkpoints(disk).newest::<Fault>(|_| Ok(None)).unwrap();
    (found.map(|found| (found.info, found.rows.map(Result::unwrap).collect())), skipped)
}

fn file(seq: u64) -> PathBuf {
    Path::new(DIR).join(name_of(seq))
}

#[test]
fn rows_come_back_as_they_were_written() {
    for count in [0, 1, 3000] {
        let disk = SimDisk::new();
        let info = checkpoints(&disk).write(head(7), rows(count)).unwrap();
        assert_eq!(info, Info { head: head(7), rows: count as u64 });
        disk.power_cut_losing_all();
        assert_eq!(newest(&disk), (Some((info, rows(count))), vec![]));
    }
}

#[test]
fn without_any_checkpoint_there_is_none() {
    assert_eq!(newest(&SimDisk::new()), (None, vec![]));
}

#[test]
fn the_newest_two_are_kept_and_unfinished_ones_removed() {
    let disk = SimDisk::new();
    for seq in [9, 10, 11, 200] {
        checkpoints(&disk).write(head(seq), rows(3)).unwrap();
        disk.tamper(&temporary_name(&file(seq)), vec![1, 2, 3]);
    }
    checkpoints(&disk).write(head(30), rows(4)).unwrap();
    let names = disk.list(Path::new(DIR)).unwrap();
    assert_eq!(names, [name_of(30), name_of(200)]);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_used() {
    let disk = SimDisk::new();
    checkpoints(&disk).write(head(5), rows(2)).unwrap();
    checkpoints(&disk).write(head(6), rows(9)).unwrap();
    let content = disk.content(&file(6)).unwrap();
    for bit in 0..content.len() * 8 {
        let mut flipped = content.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        disk.tamper(&file(6), flipped);
        let (found, skipped) = newest(&disk);
        assert_eq!(found.unwrap().1, rows(2), "bit {bit}");
        assert_eq!(skipped.len(), 1, "bit {bit}");
        assert_eq!(skipped[0].file, file(6));
    }
    for len in 0..content.len() {
        disk.tamper(&file(6), content[..len].to_vec());
        assert_eq!(newest(&disk).0.unwrap().0.head, head(5), "{len} bytes");
    }
    disk.tamper(&file(6), [content.as_slice(), b"!"].concat());
    assert_eq!(newest(&disk).1, [Skipped { file: file(6), flaw: Flaw::Trailer }]);
    disk.tamper(&file(7), content);
    assert_eq!(newest(&disk).1[0], Skipped { file: file(7), flaw: Flaw::Name });
}

#[test]
fn a_checkpoint_that_lacks_a_whole_block_is_noticed() {
    let disk = SimDisk::new();
    checkpoints(&disk).write(head(6), rows(1500)).unwrap();
    let mut content = disk.content(&file(6)).unwrap();
    let len = u32::from_le_bytes(content[68..72].try_into().unwrap()) as usize;
    assert!(content.len() > 64 + 2 * len, "there must be several blocks");
    content.drain(64..72 + len);
    disk.tamper(&file(6), content);
    assert_eq!(newest(&disk), (None, vec![Skipped { file: file(6), flaw: Flaw::Trailer }]));
}

#[test]
fn rows_of_another_version_are_of_no_use() {
    let disk = SimDisk::new();
    let older = Checkpoints { rows_version: 2, ..checkpoints(&disk) };
    older.write(head(5), rows(2)).unwrap();
    assert_eq!(newest(&disk), (None, vec![Skipped { file: file(5), flaw: Flaw::RowsVersion }]));
}

#[test]
fn the_judge_may_pass_over_whole_checkpoints_or_end_the_search() {
    let disk = SimDisk::new();
    for seq in [5, 6] {
        checkpoints(&disk).write(head(seq), rows(2)).unwrap();
    }
    let judge = |head: Head| Ok((head.seq > 5).then_some(Flaw::AheadOfJournal));
    let (found, skipped) = checkpoints(&disk).newest::<Fault>(judge).unwrap();
    assert_eq!(found.unwrap().info.head, head(5));
    assert_eq!(skipped, [Skipped { file: file(6), flaw: Flaw::AheadOfJournal }]);
    let refuse = |_| Err(std::io::Error::other("no")).named("judge", Path::new("it"));
    assert!(checkpoints(&disk).newest::<Fault>(refuse).is_err());
}

/// The power goes at each operation of writing a second checkpoint: the first or the second is found whole.
#[test]
fn a_crash_while_writing_leaves_one_that_is_whole() {
    let mut second = 0;
    for at in 0..40 {
        for seed in 0..5 {
            let disk = SimDisk::new();
            checkpoints(&disk).write(head(5), rows(20)).unwrap();
            disk.cut_after(at);
            let written = checkpoints(&disk).write(head(6), rows(1500));
            disk.power_cut(at * 100 + seed);
            let (found, _) = newest(&disk);
            let (info, found) = found.expect("one must be whole");
            match info.head.seq {
                5 => assert_eq!((written.is_err(), found), (true, rows(20))),
                _ => assert_eq!(found, rows(1500)),
            }
            second += usize::from(info.head.seq == 6);
            checkpoints(&disk).write(head(7), rows(1)).unwrap();
        }
    }
    assert!(second > 0, "some must have got through");
}

#[test]
fn a_checkpoint_that_does_not_fit_the_disk_leaves_nothing_behind() {
    let disk = SimDisk::new();
    checkpoints(&disk).write(head(5), rows(2)).unwrap();
    disk.set_capacity(20_000);
    let error = checkpoints(&disk).write(head(6), rows(1500)).unwrap_err();
    assert!(matches!(error, Error::Disk(fault) if fault.is_full()));
    assert_eq!(disk.list(Path::new(DIR)).unwrap(), [name_of(5)]);
    let error = checkpoints(&disk).write(head(6), [(b"key", vec![0; 600_000])]).unwrap_err();
    assert!(matches!(error, Error::RowTooLarge { .. }));
}

/// Whatever a file holds, with right checksums or wrong ones: it is passed over, or gives what was written.
#[test]
fn fuzzed() {
    let disk = SimDisk::new();
    let info = checkpoints(&disk).write(head(7), rows(200)).unwrap();
    let content = disk.content(&file(7)).unwrap();
    let draw = |drawn: &mut crate::fuzz::Drawn<'_>| {
        let mut bytes = crate::fuzz::changed(drawn, &[&content], &["EvkChkp\n"]);
        let trailer = bytes.len().saturating_sub(48);
        for (from, to, at) in [(0, 64, 8), (64, trailer, 0), (trailer, bytes.len(), 0)] {
            if drawn.below(3) == 1 && from + 48 <= to && to <= bytes.len() {
                crate::store::bytes::seal(&mut bytes[from..to], at);
            }
        }
        bytes
    };
    crate::fuzz::drawn(bolero::check!(), draw, |bytes: &Vec<u8>| {
        let disk = disk.clone_content();
        disk.tamper(&file(7), bytes.clone());
        match newest(&disk) {
            (Some(found), skipped) => assert_eq!((found, skipped), ((info, rows(200)), vec![])),
            (None, skipped) => assert_eq!(skipped.len(), 1),
        }
    });
}
