//! Bencoding (BEP 3): a scanner that checks a whole document once and then hands out views of it, and a writer.
//!
//! Nothing is copied: a [`Value`] is the very span of bytes it was written in, so that an info-hash is taken over what was received.
//! Checking is one pass without recursion, O(n) (O(n log n) where a dictionary's keys are unsorted), with 8 bytes of memory for each key
//! of the dictionaries that are open. Keys may be unsorted, as other clients accept; a key given twice is refused, for two readers
//! could disagree about it. Looking up a key costs O(length of its dictionary); [`Value::tokens`] walks all of it once.

mod value;
mod write;

pub use value::{Dict, List, Token, Tokens, Value};
pub use write::{DictWriter, Writer};

use alloc::vec::Vec;
use core::fmt;

/// How deep lists and dictionaries may lie in each other. The deepest honest document is the file tree of a v2 torrent.
pub const MAX_DEPTH: usize = 128;

/// Why bytes are not bencoding, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BencodeError {
    /// The offset of the byte at fault.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something else was expected than the byte that is there, or than the end (`None`).
    Expected(&'static str, Option<u8>),
    /// A number with a zero before it, or minus zero.
    Zero,
    /// A byte string is longer than what follows.
    Length {
        /// What is left of the document, in bytes.
        left: usize,
        /// How long the string says it is; `usize::MAX` if it is longer than can be counted.
        received: usize,
    },
    /// A dictionary has this key before.
    Duplicate,
    /// Deeper than [`MAX_DEPTH`].
    Depth,
    /// The document ends before.
    Trailing,
}

/// Checks a document that is all of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Value<'_>, BencodeError> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(BencodeError {
            offset: bytes.len() - rest.len(),
            fault: Fault::Trailing,
        })
    }
}

/// Checks the document that `bytes` begin with; also gives what follows it (BEP 9 has pieces of metadata follow one).
pub fn decode_prefix(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), BencodeError> {
    let mut checker = Checker {
        lexer: Lexer { bytes, at: 0 },
        open: Vec::new(),
        keys: Vec::new(),
    };
    let end = checker.run()?;
    let (document, rest) = bytes.split_at(end);
    Ok((Value::checked(document, 0), rest))
}

/// One lexical unit of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lexeme {
    /// The offsets of a number's text.
    Integer(usize, usize),
    /// The offsets of a string's bytes.
    Bytes(usize, usize),
    List,
    Dict,
    End,
}

/// Reads units one after the other, knowing nothing of how they nest.
#[derive(Clone)]
struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn next(&mut self, expected: &'static str) -> Result<Lexeme, BencodeError> {
        let start = self.at;
        match self.bytes.get(start) {
            Some(b'0'..=b'9') => self.string(),
            Some(b'i') => self.integer(),
            Some(b'l') => self.mark(Lexeme::List),
            Some(b'd') => self.mark(Lexeme::Dict),
            Some(b'e') => self.mark(Lexeme::End),
            _ => Err(self.expected(expected)),
        }
    }

    fn mark(&mut self, lexeme: Lexeme) -> Result<Lexeme, BencodeError> {
        self.at += 1;
        Ok(lexeme)
    }

    fn integer(&mut self) -> Result<Lexeme, BencodeError> {
        self.at += 1;
        let start = self.at;
        let negative = self.bytes.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let digits = self.digits("a digit")?;
        if negative && self.bytes.get(digits) == Some(&b'0') {
            return Err(fault(start, Fault::Zero));
        }
        let end = self.at;
        self.pass(b'e', "a digit or 'e'")?;
        Ok(Lexeme::Integer(start, end))
    }

    fn string(&mut self) -> Result<Lexeme, BencodeError> {
        let start = self.digits("a digit")?;
        let length = self.bytes[start..self.at]
            .iter()
            .try_fold(0usize, |length, digit| {
                length.checked_mul(10)?.checked_add(usize::from(digit - b'0'))
            })
            .unwrap_or(usize::MAX);
        self.pass(b':', "a digit or ':'")?;
        let left = self.bytes.len() - self.at;
        if length > left {
            return Err(fault(start, Fault::Length { left, received: length }));
        }
        let from = self.at;
        self.at += length;
        Ok(Lexeme::Bytes(from, self.at))
    }

    /// Passes over digits, at least one and without a zero before others; gives where they began.
    fn digits(&mut self, expected: &'static str) -> Result<usize, BencodeError> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.expected(expected));
        }
        if count > 1 && rest[0] == b'0' {
            return Err(fault(start, Fault::Zero));
        }
        self.at += count;
        Ok(start)
    }

    fn pass(&mut self, byte: u8, expected: &'static str) -> Result<(), BencodeError> {
        if self.bytes.get(self.at) != Some(&byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn expected(&self, expected: &'static str) -> BencodeError {
        fault(self.at, Fault::Expected(expected, self.bytes.get(self.at).copied()))
    }
}

const fn fault(offset: usize, fault: Fault) -> BencodeError {
    BencodeError { offset, fault }
}

/// A list or dictionary whose end is not reached.
struct Open {
    /// For a dictionary, where its keys begin in the checker's.
    keys: Option<usize>,
    next: Next,
    sorted: bool,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    Item,
    Key,
}

impl Next {
    const fn words(self) -> &'static str {
        match self {
            Self::Value => "a value",
            Self::Item => "a value or 'e'",
            Self::Key => "a key or 'e'",
        }
    }
}

struct Checker<'a> {
    lexer: Lexer<'a>,
    open: Vec<Open>,
    /// The keys of all open dictionaries as offset and length; a document is far below 4 GiB.
    keys: Vec<(u32, u32)>,
}

impl Checker<'_> {
    /// Checks one value; gives where it ends.
    fn run(&mut self) -> Result<usize, BencodeError> {
        loop {
            let start = self.lexer.at;
            let next = self.open.last().map_or(Next::Value, |open| open.next);
            let lexeme = self.lexer.next(next.words())?;
            match (next, lexeme) {
                (Next::Key, Lexeme::Bytes(from, to)) => {
                    self.key(from, to);
                    continue;
                }
                (Next::Item | Next::Key, Lexeme::End) => self.close()?,
                (Next::Value | Next::Item, Lexeme::List | Lexeme::Dict) => {
                    self.enter(lexeme == Lexeme::Dict, start)?;
                    continue;
                }
                (Next::Value | Next::Item, Lexeme::Integer(..) | Lexeme::Bytes(..)) => {}
                (Next::Key, _) | (Next::Value, Lexeme::End) => {
                    let found = self.lexer.bytes.get(start).copied();
                    return Err(fault(start, Fault::Expected(next.words(), found)));
                }
            }
            match self.open.last_mut() {
                None => return Ok(self.lexer.at),
                Some(Open {
                    keys: Some(_), next, ..
                }) => *next = Next::Key,
                Some(_) => {}
            }
        }
    }

    fn enter(&mut self, dict: bool, start: usize) -> Result<(), BencodeError> {
        if self.open.len() == MAX_DEPTH {
            return Err(fault(start, Fault::Depth));
        }
        self.open.push(Open {
            keys: dict.then_some(self.keys.len()),
            next: if dict { Next::Key } else { Next::Item },
            sorted: true,
        });
        Ok(())
    }

    fn key(&mut self, from: usize, to: usize) {
        let key = (from as u32, (to - from) as u32);
        if let Some(dict) = self.open.last_mut() {
            let before = dict.keys.and_then(|first| self.keys.get(first..)).and_then(<[_]>::last);
            dict.sorted &= before.is_none_or(|&before| text(self.lexer.bytes, before) < text(self.lexer.bytes, key));
            dict.next = Next::Value;
        }
        self.keys.push(key);
    }

    fn close(&mut self) -> Result<(), BencodeError> {
        let Some(Open {
            keys: Some(first),
            sorted,
            ..
        }) = self.open.pop()
        else {
            return Ok(());
        };
        if !sorted && let Some(keys) = self.keys.get_mut(first..) {
            let bytes = self.lexer.bytes;
            keys.sort_unstable_by_key(|&key| (text(bytes, key), key.0));
            let twice = keys
                .windows(2)
                .find(|pair| text(bytes, pair[0]) == text(bytes, pair[1]));
            if let Some([_, (offset, _)]) = twice {
                return Err(fault(*offset as usize, Fault::Duplicate));
            }
        }
        self.keys.truncate(first);
        Ok(())
    }
}

fn text(bytes: &[u8], (offset, length): (u32, u32)) -> &[u8] {
    let offset = offset as usize;
    bytes.get(offset..offset + length as usize).unwrap_or_default()
}

impl fmt::Display for BencodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.offset)?;
        match self.fault {
            Fault::Expected(expected, None) => write!(f, "expected {expected}, but the data ends"),
            Fault::Expected(expected, Some(byte)) => {
                write!(f, "expected {expected}, not '{}'", char::from(byte).escape_default())
            }
            Fault::Zero => f.write_str("a number may not begin with 0 or be -0"),
            Fault::Length {
                left,
                received: usize::MAX,
            } => {
                write!(
                    f,
                    "a string is said to be longer than can be counted, but only {left} bytes follow"
                )
            }
            Fault::Length { left, received } => {
                write!(f, "a string is said to have {received} bytes, but only {left} follow")
            }
            Fault::Duplicate => f.write_str("the dictionary has this key twice"),
            Fault::Depth => write!(f, "nested deeper than {MAX_DEPTH}"),
            Fault::Trailing => f.write_str("expected the end of the data"),
        }
    }
}

impl core::error::Error for BencodeError {}

#[cfg(test)]
mod tests;
