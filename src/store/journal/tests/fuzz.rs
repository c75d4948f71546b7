//! Whatever may stand in the files of a journal and its archive: what is read is what was written, or nothing of it.

use super::*;
use crate::fuzz;
use crate::store::bytes::{seal, u32_at};
use crate::store::journal::packed::HEADER;

/// Makes some checksums right again, so that what lies behind them is met too.
fn sealed_again(drawn: &mut fuzz::Drawn<'_>, bytes: &mut [u8]) {
    let group = SEGMENT_HEADER + GROUP_HEADER;
    let record = bytes.get(group..group + RECORD_HEADER).map_or(0, |header| u32_at(header, 4) as usize);
    let end = record.saturating_add(group + RECORD_HEADER);
    for (from, to, at) in
        [(0, SEGMENT_HEADER, 8), (SEGMENT_HEADER, group, 4), (group, end, 0), (0, HEADER, 8)]
    {
        if drawn.below(3) == 1
            && let Some(part) = bytes.get_mut(from..to)
        {
            seal(part, at);
        }
    }
}

#[test]
fn segments_and_archives() {
    let whole = SimDisk::new();
    let mut journal = open(&whole);
    let records = fill(&mut journal, &[3, 4, 3, 4, 3, 4, 3, 4, 1, 1, 2, 5]);
    journal.close().expect("closed");
    let archived = super::super::archive(&shared(&whole), Path::new(DIR), Path::new(ARCHIVE), 12);
    assert!(!archived.expect("archived").is_empty());
    let shelf = whole.list(Path::new(ARCHIVE)).expect("listed");
    let mut paths: Vec<PathBuf> = shelf.iter().map(|name| Path::new(ARCHIVE).join(name)).collect();
    paths.extend(files(&whole));
    let contents: Vec<Vec<u8>> = paths.iter().map(|path| whole.content(path).expect("there")).collect();
    let draw = |drawn: &mut fuzz::Drawn<'_>| {
        let n = drawn.below(paths.len());
        let mut bytes = fuzz::changed(drawn, &contents[n..=n], &["EvkG", "EvkJrnl\n"]);
        sealed_again(drawn, &mut bytes);
        // The last byte says which file it is.
        bytes.push(u8::try_from(n).expect("few"));
        bytes
    };
    fuzz::drawn(bolero::check!(), draw, |case: &Vec<u8>| {
        let (n, bytes) = case.split_last().expect("it has the number");
        let disk = whole.clone_content();
        disk.tamper(&paths[usize::from(*n)], bytes.to_vec());
        drop(check_offline(&disk));
        let Ok((journal, recovered)) = try_open(&disk) else { return };
        for record in journal.read_from(recovered.first_seq).map_while(Result::ok) {
            let at = usize::try_from(record.seq - 1).expect("few");
            assert_eq!(records.get(at), Some(&record.payload), "record {} is another", record.seq);
        }
    });
}
