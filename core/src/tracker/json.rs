//! As much of JSON as WebTorrent's trackers speak: views of a text that was checked, and the writing of strings.
//!
//! Small on purpose, for it is part of what every tab loads. Nothing is copied until asked for: an SDP is relayed as the very
//! literal it came in. Checking is one pass without recursion; looking into a value reads it once more.

use alloc::string::String;
use alloc::vec::Vec;

/// How deep arrays and objects may lie in each other; tracker messages need 4.
const MAX_DEPTH: usize = 16;

/// Why a text is not JSON: the offset of the byte at fault, or of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Bytes before the fault.
    pub offset: usize,
}

/// A value as it was written. Invariant: checked, without space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Checks a text that is one value.
    pub(super) fn parse(text: &'a str) -> Result<Self, JsonError> {
        let mut scanner = Scanner { text, at: 0 };
        let value = scanner.value()?;
        scanner.space();
        if scanner.at == text.len() {
            Ok(value)
        } else {
            Err(scanner.fault())
        }
    }

    /// The values of these keys of an object; nothing if it is none.
    pub(super) fn fields<const N: usize>(self, keys: [&str; N]) -> [Option<Self>; N] {
        let mut values = [None; N];
        for (found, value) in self.entries() {
            if let Some(place) = keys.iter().position(|key| found.is_text(key)) {
                values[place] = Some(value).filter(|value| value.0 != "null");
            }
        }
        values
    }

    /// The entries of an object; nothing if it is none.
    pub(super) fn entries(self) -> impl Iterator<Item = (Self, Self)> {
        let mut inside = self.inside('{');
        core::iter::from_fn(move || {
            let key = inside.as_mut()?.item()?;
            Some((key, inside.as_mut()?.item()?))
        })
    }

    /// The values of an array; nothing if it is none.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut inside = self.inside('[');
        core::iter::from_fn(move || inside.as_mut()?.item())
    }

    /// The whole part of a number that is not negative; none if it is written with an exponent or too large.
    pub(super) fn number(self) -> Option<u64> {
        let (whole, fraction) = self.0.split_once('.').unwrap_or((self.0, ""));
        whole.parse().ok().filter(|_| !fraction.contains(['e', 'E']))
    }

    /// What a string has between its quotes, escapes and all.
    pub(super) fn literal(self) -> Option<&'a str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }

    /// The text of a string; what is no character (half of a surrogate pair) is replaced.
    pub(super) fn text(self) -> Option<String> {
        self.literal().map(unescape)
    }

    /// The bytes of a string that has one character below U+0100 for each.
    pub(super) fn binary<const N: usize>(self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let mut characters = Characters(self.literal()?);
        for byte in &mut bytes {
            *byte = u8::try_from(characters.next()?).ok()?;
        }
        characters.next().is_none().then_some(bytes)
    }

    fn is_text(self, text: &str) -> bool {
        self.literal().is_some_and(|literal| {
            literal == text || literal.contains('\\') && Characters(literal).eq(text.chars().map(u32::from))
        })
    }

    fn inside(self, mark: char) -> Option<Scanner<'a>> {
        self.0.starts_with(mark).then_some(Scanner { text: self.0, at: 1 })
    }
}

/// Reads a text from left to right.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The next value of an array or object that was checked; none at its end.
    fn item(&mut self) -> Option<Json<'a>> {
        self.space();
        while matches!(self.peek(), Some(b',' | b':')) {
            self.at += 1;
            self.space();
        }
        self.value().ok()
    }

    fn value(&mut self) -> Result<Json<'a>, JsonError> {
        self.space();
        let start = self.at;
        // The ends of the arrays and objects that are open.
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.space();
            match self.peek() {
                Some(mark @ (b'[' | b'{')) => {
                    if open.len() == MAX_DEPTH {
                        return Err(self.fault());
                    }
                    let end = mark + 2;
                    self.at += 1;
                    self.space();
                    if self.peek() != Some(end) {
                        open.push(end);
                        self.key(end)?;
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.word()?,
            }
            loop {
                let Some(&end) = open.last() else {
                    return Ok(Json(self.text.get(start..self.at).unwrap_or_default()));
                };
                self.space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.key(end)?;
                        break;
                    }
                    Some(byte) if byte == end => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return Err(self.fault()),
                }
            }
        }
    }

    /// In an object, passes over the next key and its colon.
    fn key(&mut self, end: u8) -> Result<(), JsonError> {
        if end == b'}' {
            self.space();
            self.string()?;
            self.space();
            self.pass(b':')?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.pass(b'"')?;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += plain(rest);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.fault()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault()) } else { Ok(()) }
    }

    fn word(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = ["true", "false", "null"]
            .into_iter()
            .find(|word| rest.starts_with(word));
        self.at += word.ok_or_else(|| self.fault())?.len();
        Ok(())
    }

    fn pass(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn fault(&self) -> JsonError {
        JsonError { offset: self.at }
    }
}

/// How many bytes there are before the first quote, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, _) = bytes.as_chunks();
    // Eight at a time: most of a message is SDPs, and each is passed over several times. The top bit of a byte says that it is less than
    // what was taken from it; of a byte after that one it may say so wrongly.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & (ONES << 7);
    let marks = words.iter().map(|word| {
        let word = u64::from_le_bytes(*word);
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        is(b'"') | is(b'\\') | below(word, 0x20)
    });
    for (at, mark) in marks.enumerate() {
        if mark != 0 {
            return at * 8 + mark.trailing_zeros() as usize / 8;
        }
    }
    let rest = &bytes[words.len() * 8..];
    let end = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | ..0x20));
    words.len() * 8 + end.unwrap_or(rest.len())
}

/// The code points of a checked literal; halves of surrogate pairs come as they are.
struct Characters<'a>(&'a str);

impl Iterator for Characters<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mut rest = self.0.chars();
        let mut code = u32::from(rest.next()?);
        if code == u32::from('\\') {
            code = match rest.next()? {
                'u' => {
                    let code = u32::from_str_radix(rest.as_str().get(..4)?, 16).ok()?;
                    rest = rest.as_str().get(4..)?.chars();
                    code
                }
                'b' => 0x08,
                'f' => 0x0c,
                'n' => 0x0a,
                'r' => 0x0d,
                't' => 0x09,
                same => u32::from(same),
            };
        }
        self.0 = rest.as_str();
        Some(code)
    }
}

/// The text that a literal stands for.
pub(super) fn unescape(literal: &str) -> String {
    if !literal.contains('\\') {
        return literal.into();
    }
    let mut text = String::with_capacity(literal.len());
    let mut characters = Characters(literal).peekable();
    while let Some(code) = characters.next() {
        let low = characters.peek().filter(|_| (0xd800..0xdc00).contains(&code)).copied();
        let pair = low.and_then(|low| low.checked_sub(0xdc00)).filter(|&low| low < 0x400);
        let whole = pair.map_or(code, |low| 0x1_0000 + ((code - 0xd800) << 10 | low));
        if pair.is_some() {
            characters.next();
        }
        text.push(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Appends what stands for `characters` between quotes.
pub(super) fn escape(characters: impl IntoIterator<Item = char>, out: &mut String) {
    for c in characters {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => {
                let digit = |value: u32| char::from_digit(value & 15, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.extend([digit(u32::from(c) >> 4), digit(u32::from(c))]);
            }
            _ => out.push(c),
        }
    }
}

/// Appends a string that has one character below U+0100 for each byte.
pub(super) fn binary(bytes: &[u8], out: &mut String) {
    out.push('"');
    escape(bytes.iter().map(|&byte| char::from(byte)), out);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn values_are_found() {
        let json = Json::parse(
            r#" { "a" : [1, 2.9 , {"x":[]}], "b\u0063":"t\u00e9\n\ud83c\udf89", "n":null,"t":true,"e":{}} "#,
        )
        .unwrap();
        let [a, bc, n, none] = json.fields(["a", "bc", "n", "zz"]);
        let items: Vec<_> = a.unwrap().items().map(Json::number).collect();
        assert_eq!(items, [Some(1), Some(2), None]);
        assert_eq!(bc.unwrap().text().unwrap(), "té\n🎉");
        assert_eq!((n, none), (None, None));
        assert_eq!(Json::parse("-5").unwrap().number(), None);
        assert_eq!(Json::parse("5e3").unwrap().number(), None);
        assert_eq!(Json::parse("5.1e3").unwrap().number(), None);
        assert_eq!(Json::parse("99999999999999999999").unwrap().number(), None);
        assert_eq!(json.entries().count(), 5);
    }

    #[test]
    fn binary_strings_round_trip() {
        let bytes: [u8; 256] = core::array::from_fn(|byte| byte as u8);
        let mut text = String::new();
        binary(&bytes, &mut text);
        assert_eq!(Json::parse(&text).unwrap().binary(), Some(bytes));
        assert_eq!(
            Json::parse(r#""\u00ffa\u0000""#).unwrap().binary(),
            Some([255, b'a', 0])
        );
        assert_eq!(Json::parse(r#""ab""#).unwrap().binary::<3>(), None);
        assert_eq!(Json::parse(r#""abcd""#).unwrap().binary::<3>(), None);
        assert_eq!(Json::parse(r#""\u0100""#).unwrap().binary::<1>(), None);
        assert_eq!(Json::parse("7").unwrap().binary::<1>(), None);
    }

    #[test]
    fn every_byte_of_a_string_is_looked_at() {
        let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..0x20);
        for byte in 0..=255 {
            for (at, after) in (0..20).flat_map(|at| (0..10).map(move |after| (at, after))) {
                for filler in [b' ', 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![filler; at];
                    bytes.push(byte);
                    bytes.extend(vec![b'"'; after]);
                    let expected = bytes.iter().take_while(|byte| is_plain(byte)).count();
                    assert_eq!(plain(&bytes), expected, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        for literal in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\ud800"] {
            let text = unescape(literal);
            assert!(text.starts_with(char::REPLACEMENT_CHARACTER), "{text}");
        }
    }

    #[test]
    fn malformed_texts_are_refused_at_the_byte_at_fault() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        let table = [
            ("", 0),
            ("nul", 0),
            ("[1", 2),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{1:2}", 1),
            (r#"{"a"}"#, 4),
            (r#"{"a":}"#, 5),
            (r#"{"a":1,}"#, 7),
            (r#"{"a":1]"#, 6),
            ("[}", 1),
            (r#""abc"#, 4),
            ("\"a\nb\"", 2),
            (r#""\x""#, 2),
            (r#""\u12g4""#, 5),
            ("01", 1),
            ("-", 1),
            ("1.", 2),
            ("1e", 2),
            ("+1", 0),
            ("1 1", 2),
            (&deep, MAX_DEPTH),
        ];
        for (text, offset) in table {
            assert_eq!(Json::parse(text), Err(JsonError { offset }), "{text}");
        }
    }
}
