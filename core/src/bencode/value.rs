//! Views of a checked document.

use super::{Lexeme, Lexer};

/// A value of a checked document: the bytes it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a [u8],
    offset: usize,
}

/// The values of a list, in order.
#[derive(Clone, Debug)]
pub struct List<'a>(Cursor<'a>);

/// A dictionary: its entries in the order they are written in.
#[derive(Clone, Debug)]
pub struct Dict<'a>(Cursor<'a>);

/// One step of a walk through a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A number, as its decimal text.
    Integer(&'a str),
    /// A byte string; in a dictionary every other one is a key.
    Bytes(&'a [u8]),
    /// A list begins.
    List,
    /// A dictionary begins.
    Dict,
    /// The last list or dictionary that began ends.
    End,
}

/// A walk through a whole value, outermost first, in one pass.
#[derive(Clone, Debug)]
pub struct Tokens<'a>(Cursor<'a>);

impl<'a> Value<'a> {
    pub(super) const fn checked(raw: &'a [u8], offset: usize) -> Self {
        Self { raw, offset }
    }

    /// The bytes it is written in.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Where those begin in the document.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The number it is, if it is one that fits.
    pub fn integer(&self) -> Option<i64> {
        self.integer_text()?.parse().ok()
    }

    /// The text of the number it is, however large.
    pub fn integer_text(&self) -> Option<&'a str> {
        match self.tokens().next()? {
            Token::Integer(text) => Some(text),
            _ => None,
        }
    }

    /// The byte string it is.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.tokens().next()? {
            Token::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The byte string it is, if that is UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    /// The list it is.
    pub fn list(&self) -> Option<List<'a>> {
        let inside = Cursor::inside(self, b'l')?;
        Some(List(inside))
    }

    /// The dictionary it is.
    pub fn dict(&self) -> Option<Dict<'a>> {
        let inside = Cursor::inside(self, b'd')?;
        Some(Dict(inside))
    }

    /// Walks through it.
    pub const fn tokens(&self) -> Tokens<'a> {
        Tokens(Cursor {
            raw: self.raw,
            at: 0,
            offset: self.offset,
        })
    }
}

impl<'a> Dict<'a> {
    /// The value of that key. O(length of the dictionary).
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.clone()
            .find(|(found, _)| *found == key.as_bytes())
            .map(|(_, value)| value)
    }
}

impl<'a> Dict<'a> {
    /// The values of several keys. O(length of the dictionary), once for all.
    pub fn fields<const N: usize>(&self, keys: [&str; N]) -> [Option<Value<'a>>; N] {
        let mut values = [None; N];
        for (found, value) in self.clone() {
            if let Some(place) = keys.iter().position(|key| key.as_bytes() == found) {
                values[place] = Some(value);
            }
        }
        values
    }
}

impl<'a> Tokens<'a> {
    /// The whole value that is next, passed over; none at the end of a list, a dictionary or the walk.
    pub fn value(&mut self) -> Option<Value<'a>> {
        self.0.value()
    }
}

impl<'a> Iterator for Dict<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.value()?.bytes()?;
        Some((key, self.0.value()?))
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.0.value()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let Cursor { raw, .. } = self.0;
        Some(match self.0.lexeme()? {
            Lexeme::Integer(from, to) => Token::Integer(core::str::from_utf8(raw.get(from..to)?).ok()?),
            Lexeme::Bytes(from, to) => Token::Bytes(raw.get(from..to)?),
            Lexeme::List => Token::List,
            Lexeme::Dict => Token::Dict,
            Lexeme::End => Token::End,
        })
    }
}

/// A place in checked bytes.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    raw: &'a [u8],
    at: usize,
    /// Where `raw` begins in the document.
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// After the mark that begins a list or dictionary.
    fn inside(value: &Value<'a>, mark: u8) -> Option<Self> {
        (value.raw.first() == Some(&mark)).then_some(Self {
            raw: value.raw,
            at: 1,
            offset: value.offset,
        })
    }

    fn lexeme(&mut self) -> Option<Lexeme> {
        let mut lexer = Lexer {
            bytes: self.raw,
            at: self.at,
        };
        let lexeme = lexer.next("").ok()?;
        self.at = lexer.at;
        Some(lexeme)
    }

    /// The value that is next; none at the end of what this is inside of, where it stays.
    fn value(&mut self) -> Option<Value<'a>> {
        if self.raw.get(self.at) == Some(&b'e') {
            return None;
        }
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.lexeme()? {
                Lexeme::List | Lexeme::Dict => depth += 1,
                Lexeme::End => depth = depth.saturating_sub(1),
                Lexeme::Integer(..) | Lexeme::Bytes(..) => {}
            }
            if depth == 0 {
                return Some(Value::checked(self.raw.get(start..self.at)?, self.offset + start));
            }
        }
    }
}
