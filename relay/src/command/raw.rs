//! `tombolo show --raw`: any bencoded file as JSON, or as text like it.
//!
//! One walk over the document, written as it goes: memory does not grow with it.

use std::io::{self, Write};

use tombolo_core::bencode::{self, Token, Value};
use tombolo_core::key::hex;

use super::failure::Failure;
use super::output;

/// How many bytes of a string people are shown.
const SHOWN: usize = 64;

/// Prints a bencoded document.
///
/// # Errors
/// `bad-bencode`.
pub(super) fn show(bytes: &[u8], json: bool) -> Result<(), Failure> {
    let value = bencode::decode(bytes).map_err(|error| Failure::refused("bad-bencode", error.to_string()))?;
    output::stream(|out| {
        if json {
            out.write_all(b"{\"value\":")?;
        }
        write_value(value, json, out)?;
        out.write_all(if json { b"}" } else { b"" })
    });
    Ok(())
}

/// A list or dictionary that is being written.
struct Open {
    dict: bool,
    /// Strings and values so far.
    items: usize,
}

fn write_value(value: Value<'_>, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut open: Vec<Open> = Vec::new();
    for token in value.tokens() {
        if token == Token::End {
            let dict = open.pop().is_some_and(|last| last.dict);
            out.write_all(if dict { b"}" } else { b"]" })?;
            continue;
        }
        let mut is_key = false;
        if let Some(last) = open.last_mut() {
            is_key = last.dict && last.items.is_multiple_of(2);
            let separator: &[u8] = match (last.dict && !is_key, last.items) {
                (true, _) => b":",
                (false, 0) => b"",
                (false, _) => b",",
            };
            last.items += 1;
            out.write_all(separator)?;
        }
        match token {
            Token::Integer(text) => out.write_all(text.as_bytes())?,
            Token::Bytes(bytes) if json => write_string(bytes, is_key, out)?,
            Token::Bytes(bytes) => write!(out, "\"{}\"", shorten(bytes))?,
            Token::List => {
                out.write_all(b"[")?;
                open.push(Open { dict: false, items: 0 });
            }
            Token::Dict => {
                out.write_all(b"{")?;
                open.push(Open { dict: true, items: 0 });
            }
            Token::End => {}
        }
    }
    Ok(())
}

/// A byte string: as text where it is UTF-8, else in hexadecimal digits.
fn write_string(bytes: &[u8], is_key: bool, out: &mut dyn Write) -> io::Result<()> {
    match (std::str::from_utf8(bytes), is_key) {
        (Ok(text), _) => serde_json::to_writer(out, text).map_err(io::Error::from),
        (Err(_), true) => write!(out, "\"hex:{}\"", hex(bytes)),
        (Err(_), false) => write!(out, "{{\"hex\":\"{}\"}}", hex(bytes)),
    }
}

fn shorten(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => format!("{}… ({} bytes)", start.escape_ascii(), bytes.len()),
        _ => bytes.escape_ascii().to_string(),
    }
}
