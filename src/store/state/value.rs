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

/// The sum of rows: it is the same whatever their order, and another one if any of them is missing, there twice, or not
/// the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// Takes a wrapped value in.
    pub(super) fn add(&mut self, wrapped: &[u8]) {
        self.0 = self.0.wrapping_add(weight(wrapped));
    }

    /// Takes one out.
    pub(super) fn take(&mut self, wrapped: &[u8]) {
        self.0 = self.0.wrapping_sub(weight(wrapped));
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 8]) -> Sum {
        Sum(u64::from_le_bytes(bytes))
    }
}

/// Spreads the checksum of key and value over 64 bits, so that sums of several do not meet: SplitMix64. Never zero.
fn weight(wrapped: &[u8]) -> u64 {
    let crc = wrapped.get(1..HEADER).and_then(|crc| crc.try_into().ok()).map_or(0, u32::from_le_bytes);
    let mut z = (u64::from(crc) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
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

    #[test]
    fn a_sum_tells_missing_doubled_and_older_rows() {
        let rows = [wrap(b"a", b"1"), wrap(b"b", b"1"), wrap(b"c", b"")];
        let sum = |of: &[&Vec<u8>]| {
            let mut sum = Sum::default();
            of.iter().for_each(|wrapped| sum.add(wrapped));
            sum
        };
        let [a, b, c] = &rows;
        let all = sum(&[a, b, c]);
        assert_eq!(all, sum(&[c, a, b]));
        assert_eq!(Sum::from_bytes(all.to_bytes()), all);
        let older = wrap(b"b", b"0");
        for other in [sum(&[]), sum(&[a, b]), sum(&[a, b, c, c]), sum(&[a, &older, c])] {
            assert_ne!(other, all);
        }
        let mut less = all;
        less.take(b);
        assert_eq!(less, sum(&[a, c]));
    }
}
