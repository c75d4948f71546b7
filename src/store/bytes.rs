//! Reading and sealing little-endian headers: what journal and checkpoints have in common.

/// Writes at `at` the CRC-32 of all that follows it.
pub(super) fn seal(bytes: &mut [u8], at: usize) {
    let crc = crc32fast::hash(&bytes[at + 4..]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Says whether at `at` stands the CRC-32 of all that follows it.
pub(super) fn is_sealed(bytes: &[u8], at: usize) -> bool {
    bytes.len() >= at + 4 && u32_at(bytes, at) == crc32fast::hash(&bytes[at + 4..])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
