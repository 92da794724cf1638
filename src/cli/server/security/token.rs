//! The text that a host joins with: `rfj_<secret>.<hash of the authority>@<address of a master>`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

const PREFIX: &str = "rfj_";
const SECRET_DIGITS: usize = 32;
const HASH_DIGITS: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub secret: String,
    /// SHA-256 of the authority's certificate, in hexadecimal.
    pub authority: String,
    /// A master that has the authority's key.
    pub address: SocketAddr,
}

impl Token {
    /// A secret that nobody guesses.
    pub fn random_secret() -> Result<String, getrandom::Error> {
        let mut bytes = [0_u8; SECRET_DIGITS / 2];
        getrandom::fill(&mut bytes)?;
        Ok(hex::encode(bytes))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}@{}", self.secret, self.authority, self.address)
    }
}

/// Never the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(.., {})", self.address)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a token of \"ractorflow cluster join-token\": it begins with {PREFIX} and ends with an address")]
pub struct BadToken;

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(BadToken)?;
        let (secrets, address) = rest.split_once('@').ok_or(BadToken)?;
        let (secret, authority) = secrets.split_once('.').ok_or(BadToken)?;
        let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex(secret, SECRET_DIGITS) || !is_hex(authority, HASH_DIGITS) {
            return Err(BadToken);
        }
        let address = address.parse().map_err(|_| BadToken)?;
        Ok(Self { secret: secret.to_owned(), authority: authority.to_ascii_lowercase(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_half_of_one_does_not() {
        for address in ["10.0.0.1:2751", "[fe80::1]:2751"] {
            let token = Token {
                secret: Token::random_secret().unwrap(),
                authority: "ab".repeat(32),
                address: address.parse().unwrap(),
            };
            let text = token.to_string();
            assert_eq!(text.parse(), Ok(token.clone()));
            for cut in 0..text.len() - 1 {
                assert!(text[..cut].parse::<Token>().is_err() || cut > text.len() - 5, "{}", &text[..cut]);
            }
            assert!(!format!("{token:?}").contains(&token.secret));
        }
    }
}
