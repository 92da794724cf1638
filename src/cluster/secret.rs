//! Proof of the cookie: HMAC-SHA-256 (RFC 2104) over what both sides said, so that nobody learns the cookie
//! from a handshake, replays one, or changes an identity on the way.

use sha2::{Digest, Sha256};

use super::config::Cookie;

pub(super) const PROOF_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

pub(super) type Proof = [u8; PROOF_BYTES];

/// Each part goes in with its length, so no two lists of parts look alike.
pub(super) fn prove(cookie: &Cookie, parts: &[&[u8]]) -> Proof {
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    hmac(cookie.bytes(), &message)
}

/// Compares without telling by its time where the difference is.
pub(super) fn is_same(left: &Proof, right: &Proof) -> bool {
    left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The secret that ractor_cluster's own handshake gets: derived, so that its short challenges say nothing of
/// the cookie itself.
pub(super) fn wire_cookie(cookie: &Cookie) -> String {
    hex::encode(prove(cookie, &[b"ractor_cluster"]))
}

fn hmac(key: &[u8], message: &[u8]) -> Proof {
    let mut block = [0_u8; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..PROOF_BYTES].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hmac_is_that_of_the_standard() {
        // RFC 4231, cases 2 and 6 (a key longer than the block).
        let short = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex::encode(long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn another_cookie_or_another_cut_of_the_parts_proves_nothing() {
        let cookie = Cookie::new([1; 32]).unwrap();
        let proof = prove(&cookie, &[b"ab", b"c"]);
        assert!(is_same(&proof, &prove(&cookie, &[b"ab", b"c"])));
        assert!(!is_same(&proof, &prove(&cookie, &[b"a", b"bc"])));
        assert!(!is_same(&proof, &prove(&Cookie::new([2; 32]).unwrap(), &[b"ab", b"c"])));
    }
}
