//! The key exchange (Diffie and Hellman) in the group of message stream encryption: 768 bits, generator 2.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, impl_modulus};

/// Bytes of a public key, and of what both come to share.
pub(super) const KEY: usize = 96;

/// Bytes of a secret; 160 bits are enough, says the specification.
pub(super) const SECRET: usize = 20;

const SECRET_BITS: u32 = 8 * SECRET as u32;

impl_modulus!(
    Prime,
    U768,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563"
);

/// The public key of a secret.
pub(super) fn public(secret: &[u8; SECRET]) -> [u8; KEY] {
    power(&U768::from_u8(2), secret)
}

/// What both ends share; `None` if the other's key is one from which anybody could tell it.
pub(super) fn shared(secret: &[u8; SECRET], other: &[u8; KEY]) -> Option<[u8; KEY]> {
    let other = U768::from_be_slice(other);
    let prime = <Prime as crypto_bigint::modular::ConstMontyParams<{ U768::LIMBS }>>::MODULUS.get();
    let last = prime.wrapping_sub(&U768::ONE);
    (other > U768::ONE && other < last).then(|| power(&other, secret))
}

fn power(base: &U768, secret: &[u8; SECRET]) -> [u8; KEY] {
    let mut exponent = [0; 24];
    exponent[24 - SECRET..].copy_from_slice(secret);
    let base = ConstMontyForm::<Prime, { U768::LIMBS }>::new(base);
    let power = base.pow_bounded_exp(&U192::from_be_slice(&exponent), SECRET_BITS);
    power.retrieve().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_come_to_share_the_same() {
        let (one, other) = ([7; SECRET], [0xe1; SECRET]);
        let shared_by_one = shared(&one, &public(&other)).unwrap();
        assert_eq!(Some(shared_by_one), shared(&other, &public(&one)));
        let mut three = [0; SECRET];
        three[SECRET - 1] = 3;
        let mut eight = [0; KEY];
        eight[KEY - 1] = 8;
        assert_eq!(public(&three), eight);
    }

    #[test]
    fn keys_that_share_nothing_secret_are_refused() {
        let prime = <Prime as crypto_bigint::modular::ConstMontyParams<{ U768::LIMBS }>>::MODULUS.get();
        for weak in [U768::ZERO, U768::ONE, prime.wrapping_sub(&U768::ONE), prime, U768::MAX] {
            assert_eq!(shared(&[9; SECRET], &weak.to_be_bytes()), None);
        }
    }
}
