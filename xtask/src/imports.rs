//! Short names for what the engine imports. wasm-bindgen's carry 16 hex digits each, which no compression takes out of the wasm or out
//! of the script: 3.5 kB of what a browser downloads.

use std::collections::HashMap;
use std::path::Path;

/// The number of the import section.
const IMPORTS: u8 = 2;

/// Renames what `wasm` imports, and the same in `script`.
pub(crate) fn shorten(wasm: &Path, script: &Path) -> Result<(), String> {
    let named = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let before = std::fs::read(wasm).map_err(|error| named(wasm, error))?;
    let text = std::fs::read_to_string(script).map_err(|error| named(script, error))?;
    let mut names = HashMap::new();
    let after = rename(&before, &mut names).ok_or_else(|| format!("{}: imports not understood", wasm.display()))?;
    std::fs::write(wasm, after).map_err(|error| named(wasm, error))?;
    std::fs::write(script, replace(&text, &names)).map_err(|error| named(script, error))
}

/// The module with its imported functions named `_0`, `_1` and so on; adds the names to `names`. `None` if it imports anything else.
fn rename(module: &[u8], names: &mut HashMap<String, String>) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (module.get(..8)?.to_vec(), module.get(8..)?);
    while let [kind, ..] = *rest {
        rest = &rest[1..];
        let length = number(&mut rest)?;
        let body = bytes(&mut rest, length)?;
        let renamed = if kind == IMPORTS {
            import_section(body, names)?
        } else {
            body.to_vec()
        };
        out.push(kind);
        put(renamed.len(), &mut out);
        out.extend(renamed);
    }
    Some(out)
}

fn import_section(mut body: &[u8], names: &mut HashMap<String, String>) -> Option<Vec<u8>> {
    let (mut out, count) = (Vec::new(), number(&mut body)?);
    put(count, &mut out);
    for _ in 0..count {
        let length = number(&mut body)?;
        let module = bytes(&mut body, length)?;
        let length = number(&mut body)?;
        let name = String::from_utf8(bytes(&mut body, length)?.to_vec()).ok()?;
        let short = format!("_{}", names.len());
        let short = names.entry(name).or_insert(short);
        put(module.len(), &mut out);
        out.extend(module);
        put(short.len(), &mut out);
        out.extend(short.as_bytes());
        let [0] = bytes(&mut body, 1)? else { return None };
        out.push(0);
        put(number(&mut body)?, &mut out);
    }
    Some(out)
}

/// A script with its whole words replaced.
fn replace(script: &str, names: &HashMap<String, String>) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let (mut out, mut rest) = (String::new(), script);
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out += names.get(word).map_or(word, |short| short);
        let next = tail.find(is_word).unwrap_or(tail.len());
        out += &tail[..next];
        rest = &tail[next..];
    }
    out
}

fn bytes<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    rest.split_off(..length)
}

/// An unsigned LEB128 number.
fn number(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = rest.split_off_first()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_renamed_in_both() {
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x0c\x01\x01m\x06f_0123\0\0";
        let mut names = HashMap::new();
        let renamed = rename(module, &mut names).unwrap();
        assert_eq!(
            renamed,
            b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x08\x01\x01m\x02_0\0\0"
        );
        assert_eq!(replace("x.f_0123=()=>f_01234+f_0123", &names), "x._0=()=>f_01234+_0");
        assert_eq!(rename(&module[..20], &mut names), None);
    }
}
