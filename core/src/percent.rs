//! Percent signs in URLs (RFC 3986).

use crate::key::unhex;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes with `%xx` resolved; a percent sign without two digits after it stays.
pub(crate) fn decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| core::str::from_utf8(digits).ok());
        match digits.and_then(unhex::<1>) {
            Some([byte]) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(bytes)
}

/// Writes bytes so that they may stand in a URL's query: all but the unreserved ones (RFC 3986) as `%XX`.
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value & 15)]);
                out.extend(['%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_round_trips() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode(&bytes, &mut text);
        assert!(text.contains("%00%01") && text.contains("-.%2F0123"), "{text}");
        assert_eq!(&decode(&text)[..], bytes);
    }

    #[test]
    fn a_sign_without_two_digits_stays() {
        for text in ["%", "%4", "%zz", "%%", "a%+1"] {
            assert_eq!(&decode(text)[..], text.as_bytes());
        }
        assert_eq!(&decode("%41%4")[..], b"A%4");
    }
}
