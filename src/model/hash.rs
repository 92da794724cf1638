//! The one fixed hash: jitter, back-off and derived ids come from it, never from a random number, so that
//! every replica and every replay agrees. FNV-1a over the bytes, finished by the mixer of SplitMix64
//! (Steele, Lea, Flood 2014). Part of the stored format: it must never change.

/// Hash of the parts in order; each part's length goes in too, so `["ab", "c"]` differs from `["a", "bc"]`.
pub fn fixed(parts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    };
    for part in parts {
        (part.len() as u64).to_le_bytes().into_iter().for_each(&mut eat);
        part.iter().copied().for_each(&mut eat);
    }
    mix(hash)
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(fixed(&[]), 0xf52a_15e9_a9b5_e89b);
        assert_ne!(fixed(&[b"ab", b"c"]), fixed(&[b"a", b"bc"]));
    }
}
