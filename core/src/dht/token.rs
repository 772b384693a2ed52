//! Tokens: who announces a peer must show that datagrams reach it at the address it announces (BEP 5).
//!
//! Nothing is kept for a token: it is the SHA-1 of the address and a secret, which changes every five minutes; the one before is still
//! accepted. So a token lives between five and ten minutes.

use core::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::time::{Span, Time};

/// How long a secret is used (BEP 5).
const LIFE: Span = Span::from_secs(300);

/// The length of our tokens in bytes.
const LENGTH: usize = 8;

/// An endless row of numbers that nobody can guess who does not know where it begins. Unlike [`Rng`](crate::rng::Rng)'s, none of them
/// tells anything of the others.
#[derive(Debug)]
pub(crate) struct Secrets {
    key: [u8; 32],
    count: u64,
}

impl Secrets {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key, count: 0 }
    }

    pub(crate) fn next(&mut self) -> [u8; 20] {
        self.count += 1;
        let mut hasher = Sha1::new();
        hasher.update(self.key);
        hasher.update(self.count.to_be_bytes());
        hasher.finalize().into()
    }
}

/// Gives out tokens and knows them again.
#[derive(Debug)]
pub(crate) struct Tokens {
    now: [u8; 20],
    before: [u8; 20],
    since: Time,
}

impl Tokens {
    pub(crate) fn new(secrets: &mut Secrets, now: Time) -> Self {
        Self {
            now: secrets.next(),
            before: secrets.next(),
            since: now,
        }
    }

    /// Changes the secret if it is time to.
    pub(crate) fn rotate(&mut self, secrets: &mut Secrets, now: Time) {
        if now.since(self.since) >= LIFE {
            // After a long silence the one before is as old as the silence.
            self.before = if now.since(self.since) >= LIFE + LIFE {
                secrets.next()
            } else {
                self.now
            };
            self.now = secrets.next();
            self.since = now;
        }
    }

    /// The token for an address.
    pub(crate) fn of(&self, ip: IpAddr) -> [u8; LENGTH] {
        token(&self.now, ip)
    }

    /// Whether a token was given to that address lately.
    pub(crate) fn knows(&self, ip: IpAddr, token_given: &[u8]) -> bool {
        token_given == token(&self.now, ip) || token_given == token(&self.before, ip)
    }
}

fn token(secret: &[u8; 20], ip: IpAddr) -> [u8; LENGTH] {
    let mut hasher = Sha1::new();
    hasher.update(secret);
    match ip {
        IpAddr::V4(ip) => hasher.update(ip.octets()),
        IpAddr::V6(ip) => hasher.update(ip.octets()),
    }
    let digest: [u8; 20] = hasher.finalize().into();
    let mut token = [0; LENGTH];
    token.copy_from_slice(&digest[..LENGTH]);
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_address_and_for_a_while() {
        let mut secrets = Secrets::new([7; 32]);
        let mut tokens = Tokens::new(&mut secrets, Time::ZERO);
        let (one, other) = ("1.2.3.4".parse().unwrap(), "1.2.3.5".parse().unwrap());
        let token = tokens.of(one);
        assert!(tokens.knows(one, &token));
        assert!(!tokens.knows(other, &token));
        assert!(!tokens.knows(one, b"") && !tokens.knows(one, &[0; 8]));
        tokens.rotate(&mut secrets, Time::ZERO + Span::from_secs(299));
        assert_eq!(tokens.of(one), token);
        tokens.rotate(&mut secrets, Time::ZERO + Span::from_secs(300));
        assert_ne!(tokens.of(one), token);
        assert!(tokens.knows(one, &token), "the one before");
        tokens.rotate(&mut secrets, Time::ZERO + Span::from_secs(600));
        assert!(!tokens.knows(one, &token));
        let token = tokens.of(one);
        tokens.rotate(&mut secrets, Time::ZERO + Span::from_secs(6_000));
        assert!(!tokens.knows(one, &token));
    }
}
