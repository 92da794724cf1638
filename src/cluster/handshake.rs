//! The first words on a connection, before ractor_cluster sees it:
//!
//! ```text
//! dialer   → preamble (control or bulk), its nonce
//! acceptor → its nonce
//! dialer   → its claim, proof over all so far
//! acceptor → its verdict, proof over all so far
//! ```
//!
//! Nothing of the cluster is told to a stranger, and a stranger can make us keep a nonce and no more. The caller
//! sets the deadline.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::bulk::TOKEN_BYTES;
use super::config::Cookie;
use super::identity::Hello;
use super::secret::{PROOF_BYTES, Proof, is_same, prove};

const PREAMBLE_BYTES: usize = 8;
const CONTROL: &[u8; PREAMBLE_BYTES] = b"RFLOWC1\n";
const BULK: &[u8; PREAMBLE_BYTES] = b"RFLOWB1\n";
const NONCE_BYTES: usize = 32;
const WORDS_BYTES_MAX: usize = 16 * 1024;

/// What the dialer wants.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Claim {
    Control(Hello),
    /// A bulk connection for a session, with the one-time token that the acceptor gave over it.
    Bulk {
        session: u64,
        token: [u8; TOKEN_BYTES],
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Verdict {
    Control { hello: Hello, session: u64 },
    Bulk,
    Refused(String),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("what answers there does not speak this protocol")]
    NotAPeer,
    #[error("{0}")]
    Certificate(String),
    #[error("the two sides have different cookies")]
    WrongCookie,
    #[error("the first words cannot be read")]
    Unreadable,
    #[error("refused: {0}")]
    Refused(String),
    #[error("no end of the handshake in time")]
    Deadline,
}

impl Claim {
    fn preamble(&self) -> &'static [u8; PREAMBLE_BYTES] {
        match self {
            Claim::Control(_) => CONTROL,
            Claim::Bulk { .. } => BULK,
        }
    }
}

/// The dialer's side.
pub(super) async fn dial<S>(stream: &mut S, cookie: &Cookie, claim: &Claim) -> Result<Verdict, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (preamble, nonce) = (claim.preamble(), fresh_nonce()?);
    stream.write_all(&[preamble.as_slice(), &nonce].concat()).await?;
    let mut their_nonce = [0; NONCE_BYTES];
    stream.read_exact(&mut their_nonce).await?;
    let words = encode(claim);
    let proof = prove(cookie, &[b"dialer", preamble, &nonce, &their_nonce, &words]);
    send_words(stream, &words, &proof).await?;

    let (verdict, proof) = receive_words(stream).await?;
    let expected = prove(cookie, &[b"acceptor", preamble, &nonce, &their_nonce, &words, &verdict]);
    if !is_same(&proof, &expected) {
        return Err(HandshakeError::WrongCookie);
    }
    match decode(&verdict)? {
        Verdict::Refused(why) => Err(HandshakeError::Refused(why)),
        verdict @ (Verdict::Control { .. } | Verdict::Bulk) => Ok(verdict),
    }
}

/// The acceptor's side, up to a claim by somebody who has the cookie.
pub(super) async fn receive<S>(stream: &mut S, cookie: &Cookie) -> Result<(Claim, Answer), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut preamble = [0; PREAMBLE_BYTES];
    stream.read_exact(&mut preamble).await?;
    if &preamble != CONTROL && &preamble != BULK {
        return Err(HandshakeError::NotAPeer);
    }
    let mut their_nonce = [0; NONCE_BYTES];
    stream.read_exact(&mut their_nonce).await?;
    let nonce = fresh_nonce()?;
    stream.write_all(&nonce).await?;
    let (words, proof) = receive_words(stream).await?;
    let answer = Answer { preamble, their_nonce, nonce, words };
    let expected = prove(cookie, &[b"dialer", &preamble, &their_nonce, &nonce, &answer.words]);
    if !is_same(&proof, &expected) {
        // The dialer sees that our proof fails under its cookie, and says so in its log.
        answer.send(stream, cookie, &Verdict::Refused("wrong cookie".into())).await?;
        return Err(HandshakeError::WrongCookie);
    }
    let claim: Claim = decode(&answer.words)?;
    if claim.preamble() == &preamble { Ok((claim, answer)) } else { Err(HandshakeError::Unreadable) }
}

/// What the acceptor's proof is over.
pub(super) struct Answer {
    preamble: [u8; PREAMBLE_BYTES],
    their_nonce: [u8; NONCE_BYTES],
    nonce: [u8; NONCE_BYTES],
    words: Vec<u8>,
}

impl Answer {
    pub(super) async fn send<S>(&self, stream: &mut S, cookie: &Cookie, verdict: &Verdict) -> Result<(), HandshakeError>
    where
        S: AsyncWrite + Unpin,
    {
        let verdict = encode(verdict);
        let said: [&[u8]; 6] = [b"acceptor", &self.preamble, &self.their_nonce, &self.nonce, &self.words, &verdict];
        send_words(stream, &verdict, &prove(cookie, &said)).await
    }
}

fn fresh_nonce() -> Result<[u8; NONCE_BYTES], HandshakeError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(nonce)
}

fn encode(words: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(words).expect("first words of plain fields encode")
}

fn decode<T: DeserializeOwned>(words: &[u8]) -> Result<T, HandshakeError> {
    rmp_serde::from_slice(words).map_err(|_| HandshakeError::Unreadable)
}

async fn send_words(stream: &mut (impl AsyncWrite + Unpin), words: &[u8], proof: &Proof) -> Result<(), HandshakeError> {
    let length = (words.len() as u32).to_be_bytes();
    stream.write_all(&[length.as_slice(), words, proof].concat()).await?;
    Ok(stream.flush().await?)
}

async fn receive_words(stream: &mut (impl AsyncRead + Unpin)) -> Result<(Vec<u8>, Proof), HandshakeError> {
    let length = stream.read_u32().await? as usize;
    if length > WORDS_BYTES_MAX {
        return Err(HandshakeError::Unreadable);
    }
    let mut words = vec![0; length];
    stream.read_exact(&mut words).await?;
    let mut proof = [0; PROOF_BYTES];
    stream.read_exact(&mut proof).await?;
    Ok((words, proof))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cookie(byte: u8) -> Cookie {
        Cookie::new([byte; 32]).unwrap()
    }

    fn bulk_claim() -> Claim {
        Claim::Bulk { session: 7, token: [3; TOKEN_BYTES] }
    }

    #[tokio::test]
    async fn two_sides_with_one_cookie_agree() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let dialer = tokio::spawn(async move { dial(&mut near, &cookie(1), &bulk_claim()).await });
        let (claim, answer) = receive(&mut far, &cookie(1)).await.unwrap();
        assert!(matches!(claim, Claim::Bulk { session: 7, token: [3, ..] }));
        answer.send(&mut far, &cookie(1), &Verdict::Bulk).await.unwrap();
        assert!(matches!(dialer.await.unwrap(), Ok(Verdict::Bulk)));
    }

    #[tokio::test]
    async fn a_wrong_cookie_is_noticed_on_both_sides() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let dialer = tokio::spawn(async move { dial(&mut near, &cookie(1), &bulk_claim()).await });
        assert!(matches!(receive(&mut far, &cookie(2)).await, Err(HandshakeError::WrongCookie)));
        assert!(matches!(dialer.await.unwrap(), Err(HandshakeError::WrongCookie)));
    }

    #[tokio::test]
    async fn a_refusal_reaches_the_dialer_with_its_reason() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let dialer = tokio::spawn(async move { dial(&mut near, &cookie(1), &bulk_claim()).await });
        let (_, answer) = receive(&mut far, &cookie(1)).await.unwrap();
        answer.send(&mut far, &cookie(1), &Verdict::Refused("stale".into())).await.unwrap();
        assert!(matches!(dialer.await.unwrap(), Err(HandshakeError::Refused(why)) if why == "stale"));
    }

    proptest! {
        #[test]
        fn no_bytes_from_a_stranger_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            starts_right in any::<bool>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut near, mut far) = tokio::io::duplex(1024);
                if starts_right {
                    near.write_all(CONTROL).await.unwrap();
                }
                near.write_all(&bytes).await.unwrap();
                near.shutdown().await.unwrap();
                assert!(receive(&mut far, &cookie(1)).await.is_err());
            });
        }
    }
}
