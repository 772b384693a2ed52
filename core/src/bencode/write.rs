//! Writes bencoding in its canonical form.

use alloc::vec::Vec;

/// Writes one value. The caller gives keys in ascending order; tests and debug builds check that.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// Writes the entries of one dictionary.
#[derive(Debug)]
pub struct DictWriter<'a> {
    out: &'a mut Vec<u8>,
    #[cfg(debug_assertions)]
    last: Option<Vec<u8>>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A number.
    pub fn integer(&mut self, number: i64) {
        self.out.push(b'i');
        decimal(number.unsigned_abs(), number < 0, self.out);
        self.out.push(b'e');
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        decimal(bytes.len() as u64, false, self.out);
        self.out.push(b':');
        self.out.extend_from_slice(bytes);
    }

    /// A list of what `items` writes.
    pub fn list(&mut self, items: impl FnOnce(&mut Writer<'_>)) {
        self.out.push(b'l');
        items(&mut Writer { out: self.out });
        self.out.push(b'e');
    }

    /// A dictionary of what `entries` writes.
    pub fn dict(&mut self, entries: impl FnOnce(&mut DictWriter<'_>)) {
        self.out.push(b'd');
        entries(&mut DictWriter {
            out: self.out,
            #[cfg(debug_assertions)]
            last: None,
        });
        self.out.push(b'e');
    }

    /// A value that is bencoded already.
    pub fn raw(&mut self, bencoded: &[u8]) {
        self.out.extend_from_slice(bencoded);
    }
}

impl DictWriter<'_> {
    /// An entry; `key` must sort after the one before.
    pub fn entry(&mut self, key: impl AsRef<[u8]>) -> Writer<'_> {
        let key = key.as_ref();
        #[cfg(debug_assertions)]
        {
            debug_assert!(self.last.as_deref().is_none_or(|last| last < key), "keys out of order");
            self.last = Some(key.to_vec());
        }
        Writer { out: self.out }.bytes(key);
        Writer { out: self.out }
    }

    /// A number.
    pub fn integer(&mut self, key: &str, number: i64) {
        self.entry(key).integer(number);
    }

    /// A byte string.
    pub fn bytes(&mut self, key: &str, bytes: impl AsRef<[u8]>) {
        self.entry(key).bytes(bytes.as_ref());
    }
}

fn decimal(number: u64, negative: bool, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut at = text.len();
    let mut rest = number;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(&text[at..]);
}
