//! Writing JSON, for the reports that the page parses: objects, lists, numbers and text, nothing else.
//!
//! Invariant: what has been written is always the beginning of one valid document; a writer closes what it opened when it is
//! dropped. O(bytes written), no tree in between.

use std::fmt::{Display, Write};

/// Writes one object into a text.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

/// Writes one list into a text.
pub(crate) struct List<'a> {
    out: &'a mut String,
    first: bool,
}

/// The text of an object.
pub(crate) fn object(write: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::new();
    write(&mut Object::new(&mut out));
    out
}

/// The text of a list.
pub(crate) fn list(write: impl FnOnce(&mut List<'_>)) -> String {
    let mut out = String::new();
    write(&mut List::new(&mut out));
    out
}

impl<'a> Object<'a> {
    fn new(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        text(self.out, key);
        self.out.push(':');
    }

    /// A member that is a number.
    pub(crate) fn number(&mut self, key: &str, value: impl Display) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    /// A member that is a number with three decimals, which is all the page shows; one that JSON cannot hold becomes null.
    /// Formatting floats in full would be a tenth of the engine's size.
    pub(crate) fn float(&mut self, key: &str, value: f64) {
        if value.is_finite() {
            self.key(key);
            thousandths(self.out, (value * 1000.0).round() as i64);
        } else {
            self.null(key);
        }
    }

    /// A member that is true or false.
    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.number(key, value);
    }

    /// A member that is text.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        text(self.out, value);
    }

    /// A member that is null.
    pub(crate) fn null(&mut self, key: &str) {
        self.key(key);
        self.out.push_str("null");
    }

    /// A member that is a number or null.
    pub(crate) fn optional(&mut self, key: &str, value: Option<impl Display>) {
        match value {
            Some(value) => self.number(key, value),
            None => self.null(key),
        }
    }

    /// A member that is text or null.
    pub(crate) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.null(key),
        }
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        write(&mut Object::new(self.out));
    }

    /// A member that is JSON already.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.push_str(json);
    }

    /// A member that is a list.
    pub(crate) fn list(&mut self, key: &str, write: impl FnOnce(&mut List<'_>)) {
        self.key(key);
        write(&mut List::new(self.out));
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        self.out.push('}');
    }
}

impl<'a> List<'a> {
    fn new(out: &'a mut String) -> Self {
        out.push('[');
        Self { out, first: true }
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
    }

    /// An item that is a number.
    pub(crate) fn number(&mut self, value: impl Display) {
        self.next();
        let _ = write!(self.out, "{value}");
    }

    /// An item that is text.
    pub(crate) fn text(&mut self, value: &str) {
        self.next();
        text(self.out, value);
    }

    /// An item that is an object.
    pub(crate) fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.next();
        write(&mut Object::new(self.out));
    }

    /// An item that is a list.
    pub(crate) fn list(&mut self, write: impl FnOnce(&mut List<'_>)) {
        self.next();
        write(&mut List::new(self.out));
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        self.out.push(']');
    }
}

fn thousandths(out: &mut String, value: i64) {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (value.unsigned_abs() / 1000, value.unsigned_abs() % 1000);
    let _ = if part == 0 {
        write!(out, "{sign}{whole}")
    } else {
        write!(out, "{sign}{whole}.{part:03}")
    };
}

fn text(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_is_closed_and_separated() {
        let text = object(|o| {
            o.number("a", 1);
            o.list("b", |l| {
                l.number(25);
                l.object(|o| o.null("c"));
                l.list(|_| ());
                l.text("x");
            });
            o.object("d", |_| ());
            o.flag("e", true);
        });
        assert_eq!(text, r#"{"a":1,"b":[25,{"c":null},[],"x"],"d":{},"e":true}"#);
    }

    #[test]
    fn text_cannot_break_out() {
        let text = object(|o| o.text("a\"b", "\\ \n \u{1} é"));
        assert_eq!(text, "{\"a\\\"b\":\"\\\\ \\u000a \\u0001 é\"}");
    }

    #[test]
    fn numbers_that_json_lacks_are_null() {
        let text = object(|o| {
            o.float("a", f64::INFINITY);
            o.optional("b", None::<u32>);
            o.float("c", 0.5);
            o.float("d", -12.0004);
            o.float("e", -0.0125);
            o.float("f", 1.0e12);
        });
        assert_eq!(
            text,
            r#"{"a":null,"b":null,"c":0.500,"d":-12,"e":-0.013,"f":1000000000000}"#
        );
    }
}
