//! The don't-have extension (BEP 54): a peer takes back a HAVE. It goes as an extended message named `lt_donthave`.

use bytes::Bytes;

/// A don't-have whose payload is not four bytes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DontHaveError {
    /// How long it is, in bytes.
    pub received: usize,
}

/// The payload that takes back piece `index`.
pub fn encode(index: u32) -> Bytes {
    Bytes::copy_from_slice(&index.to_be_bytes())
}

/// The index of the piece that a payload takes back; unvalidated, as in HAVE.
pub fn decode(payload: &[u8]) -> Result<u32, DontHaveError> {
    let received = payload.len();
    let index = payload.try_into().map_err(|_| DontHaveError { received })?;
    Ok(u32::from_be_bytes(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_four_bytes() {
        assert_eq!(&encode(0x0102_0304)[..], [1, 2, 3, 4]);
        assert_eq!(decode(&encode(u32::MAX)), Ok(u32::MAX));
        for length in [0, 3, 5] {
            assert_eq!(decode(&[0; 5][..length]), Err(DontHaveError { received: length }));
        }
    }
}
