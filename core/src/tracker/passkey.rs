//! Keys by which a private tracker knows whom it serves: a time until which one is good, signed by the tracker's secret.
//!
//! A passkey stands in the announce URL (`/PASSKEY/announce`), which clients keep to themselves. It is `EXPIRES-TAG`: Unix seconds in
//! hexadecimal (0: for ever), and the first 16 bytes of an HMAC-SHA-256 over them. So the tracker remembers none; another secret
//! makes all of them worthless. Cost of a check: two short hashes.

use crate::key::{hex, unhex};
use alloc::format;
use alloc::string::String;
use core::fmt;
use sha2::{Digest, Sha256};

/// What is signed begins with this, so that a tag is good for nothing else.
const PURPOSE: &[u8] = b"tombolo passkey\0";

/// The length of a block of SHA-256 in bytes.
const BLOCK: usize = 64;

/// The length of a tag in bytes: guessing one of 2^128 is hopeless.
const TAG: usize = 16;

/// What makes and checks passkeys.
#[derive(Clone)]
pub struct Passkeys {
    secret: [u8; 32],
}

/// Why a passkey is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyError {
    /// It does not look like one.
    Malformed,
    /// It was not signed by this secret.
    Forged,
    /// It was good until then, in Unix seconds.
    Expired(u64),
}

impl Passkeys {
    /// Those of a secret, which must be random.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The passkey that is good until `expires`, in Unix seconds; with 0 for ever.
    pub fn mint(&self, expires: u64) -> String {
        format!("{expires:x}-{}", hex(&self.tag(expires)))
    }

    /// Until when a passkey is good, in Unix seconds; 0: for ever.
    ///
    /// # Errors
    /// It is malformed, forged, or no longer good at `now`.
    pub fn check(&self, passkey: &str, now: u64) -> Result<u64, PasskeyError> {
        let (digits, tag) = passkey.split_once('-').ok_or(PasskeyError::Malformed)?;
        let tag = unhex::<TAG>(tag).ok_or(PasskeyError::Malformed)?;
        // from_str_radix takes a sign as well.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let expires = u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| is_number)
            .ok_or(PasskeyError::Malformed)?;
        // As long wherever the difference is.
        let differs = tag.iter().zip(self.tag(expires)).fold(0, |bits, (a, b)| bits | (a ^ b));
        if differs != 0 {
            Err(PasskeyError::Forged)
        } else if expires != 0 && expires <= now {
            Err(PasskeyError::Expired(expires))
        } else {
            Ok(expires)
        }
    }

    fn tag(&self, expires: u64) -> [u8; TAG] {
        let whole = hmac(&self.secret, &[PURPOSE, &expires.to_be_bytes()]);
        core::array::from_fn(|at| whole[at])
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key of at most a block.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let padded = |with: u8| -> [u8; BLOCK] { core::array::from_fn(|at| key.get(at).copied().unwrap_or(0) ^ with) };
    let mut inner = Sha256::new_with_prefix(padded(0x36));
    parts.iter().for_each(|part| inner.update(part));
    Sha256::new_with_prefix(padded(0x5c))
        .chain_update(inner.finalize())
        .finalize()
        .into()
}

impl fmt::Debug for Passkeys {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passkeys")
    }
}

impl fmt::Display for PasskeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this tracker is private: announce to /PASSKEY/announce",
            Self::Forged => "this passkey is not of this tracker",
            Self::Expired(_) => "this passkey has expired",
        })
    }
}

impl core::error::Error for PasskeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, case 1, its key filled up with the zeros that it is padded with anyway.
    #[test]
    fn the_hmac_is_that_of_the_rfc() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            hex(&hmac(&key, &[b"Hi ", b"There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn a_passkey_is_good_until_it_expires() {
        let keys = Passkeys::new([7; 32]);
        let passkey = keys.mint(1_000);
        assert_eq!(keys.check(&passkey, 999), Ok(1_000));
        assert_eq!(keys.check(&passkey, 1_000), Err(PasskeyError::Expired(1_000)));
        assert_eq!(keys.check(&keys.mint(0), u64::MAX), Ok(0));
        assert_eq!(Passkeys::new([8; 32]).check(&passkey, 0), Err(PasskeyError::Forged));
    }

    #[test]
    fn malformed_passkeys_are_refused() {
        let keys = Passkeys::new([7; 32]);
        let good = keys.mint(0x1_000);
        let tag = &good[5..];
        let table = [
            (String::new(), PasskeyError::Malformed),
            ("-".into(), PasskeyError::Malformed),
            ("announce".into(), PasskeyError::Malformed),
            (tag.into(), PasskeyError::Malformed),
            (format!("-{tag}"), PasskeyError::Malformed),
            (format!("+1000-{tag}"), PasskeyError::Malformed),
            (format!("-1000-{tag}"), PasskeyError::Malformed),
            (format!("10000000000000000-{tag}"), PasskeyError::Malformed),
            (format!("1000-{tag}0"), PasskeyError::Malformed),
            (format!("1000-{}", &tag[2..]), PasskeyError::Malformed),
            (format!("1000-é{}", &tag[2..]), PasskeyError::Malformed),
            (format!("1001-{tag}"), PasskeyError::Forged),
            (format!("1000-{}", "0".repeat(32)), PasskeyError::Forged),
        ];
        for (passkey, error) in table {
            assert_eq!(keys.check(&passkey, 0), Err(error), "{passkey}");
        }
        assert_eq!(keys.check(&good, 0), Ok(0x1_000));
    }
}
