use super::*;

const FILE: &str = "/dir/file";

/// A disk with one durable file of 2000 bytes, and the file.
fn disk() -> (SimDisk, Box<dyn File>) {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/dir")).unwrap();
    let mut file = disk.open(Path::new(FILE), Open::Create).unwrap();
    file.write_all_at(&[1; 2000], 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("/dir")).unwrap();
    (disk, file)
}

fn content(disk: &SimDisk) -> Vec<u8> {
    disk.content(Path::new(FILE)).unwrap()
}

#[test]
fn what_was_not_synced_goes_with_the_power() {
    let (disk, mut file) = disk();
    file.write_all_at(&[2; 10], 1995).unwrap();
    assert_eq!(content(&disk).len(), 2005);
    disk.power_cut_losing_all();
    assert_eq!(content(&disk), [1; 2000]);
    assert!(file.write_all_at(&[3], 0).is_err(), "a handle does not outlive a power cut");
    assert_eq!(content(&disk), [1; 2000]);
}

#[test]
fn a_name_that_was_not_synced_goes_with_the_power() {
    let (disk, _file) = disk();
    disk.rename(Path::new(FILE), Path::new("/dir/other")).unwrap();
    let mut new = disk.open(Path::new("/dir/new"), Open::Create).unwrap();
    new.write_all_at(&[5; 5], 0).unwrap();
    new.sync().unwrap();
    assert_eq!(disk.list(Path::new("/dir")).unwrap(), ["new", "other"]);
    disk.power_cut_losing_all();
    assert_eq!(disk.list(Path::new("/dir")).unwrap(), ["file"]);
}

#[test]
fn a_power_cut_tears_at_sectors_and_nowhere_else() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let (disk, mut file) = disk();
        file.write_all_at(&[2; 1024], 512).unwrap();
        file.write_all_at(&[3; 512], 1024).unwrap();
        disk.power_cut(seed);
        let content = content(&disk);
        let sectors: Vec<&[u8]> = content.chunks(SECTOR).collect();
        assert!(sectors.iter().all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        seen.insert([sectors[1][0], sectors[2][0]]);
    }
    let all: BTreeSet<[u8; 2]> = [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]].into();
    assert_eq!(seen, all);
}

#[test]
fn a_sync_that_failed_forgets_what_it_should_have_written() {
    let (disk, mut file) = disk();
    file.write_all_at(&[2; 512], 0).unwrap();
    disk.fail_after(0, ErrorKind::Other);
    file.sync().unwrap_err();
    file.write_all_at(&[3; 512], 1024).unwrap();
    file.sync().unwrap();
    assert_eq!(content(&disk)[..512], [2; 512]);
    disk.power_cut_losing_all();
    assert_eq!((content(&disk)[0], content(&disk)[1024]), (1, 3));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (disk, mut file) = disk();
    disk.set_capacity(2010);
    let error = file.write_all_at(&[2; 20], 1995).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk).len(), 2010);
    file.write_all_at(&[3; 5], 0).unwrap();
}
