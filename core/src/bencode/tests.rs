use super::*;
use crate::rng::Rng;
use alloc::vec;

#[test]
fn values_are_views_of_the_document() {
    let bytes = b"d1:ai-42e1:bl0:3:xyze1:cd1:zi0eee";
    let dict = decode(bytes).unwrap().dict().unwrap();
    assert_eq!(dict.get("a").and_then(|v| v.integer()), Some(-42));
    let list: Vec<_> = dict.get("b").unwrap().list().unwrap().map(|v| v.bytes()).collect();
    assert_eq!(list, [Some(&b""[..]), Some(b"xyz")]);
    let inner = dict.get("c").unwrap();
    assert_eq!((inner.raw(), inner.offset()), (&b"d1:zi0ee"[..], 24));
    assert_eq!(&bytes[inner.offset()..][..inner.raw().len()], inner.raw());
    assert_eq!(dict.get("d"), None);
    assert_eq!(inner.dict().unwrap().get("z").unwrap().offset(), 28);
}

#[test]
fn a_value_is_only_what_it_is() {
    let value = decode(b"i5e").unwrap();
    assert!(value.bytes().is_none() && value.list().is_none() && value.dict().is_none());
    assert!(decode(b"1:5").unwrap().integer().is_none());
    assert_eq!(decode(b"2:\xff\xfe").unwrap().text(), None);
}

#[test]
fn numbers_are_read_in_full() {
    let text = "-123456789012345678901234567890";
    let bytes = alloc::format!("i{text}e");
    let value = decode(bytes.as_bytes()).unwrap();
    assert_eq!((value.integer(), value.integer_text()), (None, Some(text)));
    for number in [0, 1, -1, i64::MAX, i64::MIN] {
        let mut out = Vec::new();
        Writer::new(&mut out).integer(number);
        assert_eq!(decode(&out).unwrap().integer(), Some(number));
    }
}

#[test]
fn unsorted_keys_are_accepted_and_what_follows_is_given() {
    let (value, rest) = decode_prefix(b"d1:bi1e1:ai2eeREST").unwrap();
    assert_eq!(value.dict().unwrap().get("a").unwrap().integer(), Some(2));
    assert_eq!(rest, b"REST");
}

#[test]
fn malformed_documents_are_refused_at_the_byte_at_fault() {
    use Fault::{Depth, Duplicate, Expected, Length, Trailing, Zero};
    let deep = [b'l'; MAX_DEPTH + 1];
    let table: [(&[u8], usize, Fault); 27] = [
        (b"", 0, Expected("a value", None)),
        (b"x", 0, Expected("a value", Some(b'x'))),
        (b"e", 0, Expected("a value", Some(b'e'))),
        (b"i", 1, Expected("a digit", None)),
        (b"ie", 1, Expected("a digit", Some(b'e'))),
        (b"i-e", 2, Expected("a digit", Some(b'e'))),
        (b"i+1e", 1, Expected("a digit", Some(b'+'))),
        (b"i1", 2, Expected("a digit or 'e'", None)),
        (b"i1.5e", 2, Expected("a digit or 'e'", Some(b'.'))),
        (b"i01e", 1, Zero),
        (b"i-0e", 1, Zero),
        (b"i-01e", 2, Zero),
        (b"01:a", 0, Zero),
        (b"5", 1, Expected("a digit or ':'", None)),
        (b"5-", 1, Expected("a digit or ':'", Some(b'-'))),
        (b"5:abcd", 0, Length { left: 4, received: 5 }),
        (
            b"99999999999999999999999:a",
            0,
            Length {
                left: 1,
                received: usize::MAX,
            },
        ),
        (b"l", 1, Expected("a value or 'e'", None)),
        (b"l-e", 1, Expected("a value or 'e'", Some(b'-'))),
        (b"di1ei2ee", 1, Expected("a key or 'e'", Some(b'i'))),
        (b"d1:ae", 4, Expected("a value", Some(b'e'))),
        (b"d1:a", 4, Expected("a value", None)),
        (b"d1:ai1e1:ai2ee", 9, Duplicate),
        (b"d1:bi1e1:ai1e1:bi2ee", 15, Duplicate),
        (b"ld1:b0:1:ad1:c0:1:c0:eee", 18, Duplicate),
        (&deep, MAX_DEPTH, Depth),
        (b"i1ei2e", 3, Trailing),
    ];
    for (bytes, offset, fault) in table {
        assert_eq!(
            decode(bytes),
            Err(BencodeError { offset, fault }),
            "{}",
            bytes.escape_ascii()
        );
    }
    let error = decode(b"d1:ai1.5ee").unwrap_err();
    assert_eq!(
        alloc::string::ToString::to_string(&error),
        "byte 6: expected a digit or 'e', not '.'"
    );
}

#[test]
fn tokens_walk_the_whole_value_once() {
    let value = decode(b"d1:al1:bi7eee").unwrap();
    let tokens: Vec<_> = value.tokens().collect();
    let expected = [
        Token::Dict,
        Token::Bytes(b"a"),
        Token::List,
        Token::Bytes(b"b"),
        Token::Integer("7"),
        Token::End,
        Token::End,
    ];
    assert_eq!(tokens, expected);
}

fn write_random(rng: &mut Rng, depth: usize, writer: &mut Writer<'_>) {
    match rng.below(if depth == 0 { 2 } else { 4 }) {
        0 => writer.integer(rng.next_u64() as i64 >> rng.below(64)),
        1 => {
            let mut bytes = vec![0; rng.below(30)];
            rng.fill(&mut bytes);
            writer.bytes(&bytes);
        }
        2 => writer.list(|items| (0..rng.below(5)).for_each(|_| write_random(rng, depth - 1, items))),
        _ => writer.dict(|dict| {
            for key in 0..rng.below(5) {
                let key = [b'a' + key as u8, rng.below(256) as u8];
                write_random(rng, depth - 1, &mut dict.entry(key));
            }
        }),
    }
}

#[test]
fn what_is_written_is_read_back() {
    for seed in 0..300 {
        let mut out = Vec::new();
        write_random(&mut Rng::new(seed), 4, &mut Writer::new(&mut out));
        let value = decode(&out).unwrap();
        assert_eq!(value.raw(), out, "seed {seed}");
        for cut in 0..out.len() {
            assert!(decode(&out[..cut]).is_err(), "seed {seed} cut at {cut}");
        }
    }
}

/// serde_bencode as an oracle: both read the same of what is well formed, and it refuses nothing that we accept.
#[cfg(feature = "std")]
mod oracle {
    use super::*;
    use serde_bencode::value::Value as Oracle;

    fn same(ours: Value<'_>, theirs: &Oracle) -> bool {
        match theirs {
            Oracle::Int(number) => ours.integer() == Some(*number),
            Oracle::Bytes(bytes) => ours.bytes() == Some(bytes),
            Oracle::List(items) => {
                let list: Vec<_> = ours.list().into_iter().flatten().collect();
                list.len() == items.len() && list.iter().zip(items).all(|(ours, theirs)| same(*ours, theirs))
            }
            Oracle::Dict(entries) => {
                let dict: Vec<_> = ours.dict().into_iter().flatten().collect();
                let found = |(key, value): &(&[u8], _)| entries.get(*key).is_some_and(|theirs| same(*value, theirs));
                dict.len() == entries.len() && dict.iter().all(found)
            }
        }
    }

    #[test]
    fn both_read_the_same() {
        for seed in 0..300 {
            let mut out = Vec::new();
            write_random(&mut Rng::new(seed), 4, &mut Writer::new(&mut out));
            let theirs: Oracle = serde_bencode::from_bytes(&out).unwrap();
            assert!(same(decode(&out).unwrap(), &theirs), "seed {seed}");
            assert_eq!(
                serde_bencode::to_bytes(&theirs).unwrap(),
                out,
                "seed {seed}: not canonical"
            );
        }
    }

    #[test]
    fn what_is_accepted_after_damage_is_accepted_by_the_oracle_too() {
        for seed in 0..2_000 {
            let mut rng = Rng::new(seed);
            let mut out = Vec::new();
            write_random(&mut rng, 3, &mut Writer::new(&mut out));
            let at = rng.below(out.len());
            out[at] = *b"0123456789:ilde-".get(rng.below(16)).unwrap();
            if let Ok(value) = decode(&out)
                && let Ok(theirs) = serde_bencode::from_bytes::<Oracle>(&out)
            {
                assert!(same(value, &theirs), "seed {seed}");
            }
        }
    }
}
