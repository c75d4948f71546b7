//! What is put around a value before sled gets it: version 1, CRC-32 4, bytes. sled's own checks miss damage.

/// Length of what precedes the bytes.
const HEADER: usize = 5;
const VERSION: u8 = 1;

/// Wraps a value. The checksum covers the key too, so that a value in a wrong place is noticed.
pub(super) fn wrap(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut wrapped = Vec::with_capacity(HEADER + value.len());
    wrapped.push(VERSION);
    wrapped.extend_from_slice(&checksum(key, value).to_le_bytes());
    wrapped.extend_from_slice(value);
    wrapped
}

/// Returns the value, or what is wrong with it.
pub(super) fn unwrap<'a>(key: &[u8], wrapped: &'a [u8]) -> Result<&'a [u8], String> {
    let name = || key.escape_ascii();
    let Some(([version, crc @ ..], value)) = wrapped.split_first_chunk::<HEADER>() else {
        return Err(format!("the value of `{}` is cut short", name()));
    };
    if *version != VERSION {
        return Err(format!("the value of `{}` has format `{version}`", name()));
    }
    if u32::from_le_bytes(*crc) != checksum(key, value) {
        return Err(format!("the checksum of `{}` is wrong", name()));
    }
    Ok(value)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_and_no_wrong_key_passes() {
        let wrapped = wrap(b"sTSHIRT", b"12 on hand");
        assert_eq!(unwrap(b"sTSHIRT", &wrapped), Ok(&b"12 on hand"[..]));
        assert!(unwrap(b"sTSHIRU", &wrapped).is_err());
        for bit in 0..wrapped.len() * 8 {
            let mut flipped = wrapped.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap(b"sTSHIRT", &flipped).is_err(), "bit {bit}");
        }
        for len in 0..wrapped.len() {
            assert!(unwrap(b"sTSHIRT", &wrapped[..len]).is_err(), "{len} bytes");
        }
        assert_eq!(unwrap(b"k", &wrap(b"k", b"")), Ok(&b""[..]));
    }
}
