//! Damage to an input that is whole: what a decoder meets in the wild, and what somebody would try.

use tombolo_core::rng::Rng;

/// Edits of one input at most.
const MOST_EDITS: usize = 4;

/// Numbers near which arithmetic goes wrong.
const NUMBERS: [&str; 12] = [
    "0",
    "00",
    "-0",
    "-1",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e9",
];

/// Bytes at the edges of something: of a word, of text, of a syntax.
const BYTES: [u8; 16] = [
    0, 1, 0x13, 0x7f, 0x80, 0xff, b'd', b'e', b'i', b'l', b':', b'"', b'\\', b'{', b'%', b'&',
];

/// The input with some damage; `other` is a second one, of which parts come into it.
pub(crate) fn damage(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=rng.below(MOST_EDITS) {
        edit(rng, &mut bytes, other);
    }
    bytes
}

fn edit(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let (start, end) = range(rng, bytes.len());
    match rng.below(8) {
        0 => drop(bytes.drain(start..end)),
        1 => {
            let copy = bytes[start..end].to_vec();
            bytes.splice(end..end, copy);
        }
        2 => bytes.truncate(end),
        3 => {
            let (from, to) = range(rng, other.len());
            bytes.splice(start..end, other[from..to].iter().copied());
        }
        4 => bytes.insert(start, BYTES[rng.below(BYTES.len())]),
        5 => change_number(rng, bytes, start),
        _ if start == bytes.len() => bytes.push(rng.next_u64() as u8),
        6 => bytes[start] ^= 1 << rng.below(8),
        _ => bytes[start] = BYTES[rng.below(BYTES.len())],
    }
}

/// A range in `0..length`, mostly a short one.
fn range(rng: &mut Rng, length: usize) -> (usize, usize) {
    let start = rng.below(length + 1);
    let longest = [1, 4, 20, length][rng.below(4)];
    (start, (start + rng.below(longest + 1)).min(length))
}

/// Puts another number where the next one after `start` is.
fn change_number(rng: &mut Rng, bytes: &mut Vec<u8>, start: usize) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(from) = bytes[start..].iter().position(is_digit).map(|at| start + at) else {
        return;
    };
    let to = bytes[from..]
        .iter()
        .position(|byte| !is_digit(byte))
        .map_or(bytes.len(), |at| from + at);
    let number = std::str::from_utf8(&bytes[from..to])
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let new = match (rng.below(3), number) {
        (0, Some(number)) => number.wrapping_add(1).to_string(),
        (1, Some(number)) => number.wrapping_sub(1).to_string(),
        _ => NUMBERS[rng.below(NUMBERS.len())].to_owned(),
    };
    bytes.splice(from..to, new.into_bytes());
}
