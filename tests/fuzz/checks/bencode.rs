//! A document that is accepted is walked whole, and is the very bytes it was read from.

use tombolo_core::bencode::{Token, decode_prefix};

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok((value, rest)) = decode_prefix(data) else {
        return;
    };
    assert_eq!([value.raw(), rest].concat(), data);
    let depth = value.tokens().fold(0i64, |depth, token| match token {
        Token::List | Token::Dict => depth + 1,
        Token::End => depth - 1,
        Token::Integer(_) | Token::Bytes(_) => depth,
    });
    assert_eq!(depth, 0);
    for (key, inner) in value.dict().into_iter().flatten() {
        assert_eq!(&data[inner.offset()..][..inner.raw().len()], inner.raw());
        if let Ok(key) = str::from_utf8(key) {
            assert_eq!(value.dict().and_then(|dict| dict.get(key)), Some(inner));
        }
    }
}
