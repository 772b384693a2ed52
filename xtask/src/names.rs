//! Short names for what engine and script have of each other. wasm-bindgen's are long and carry hex digits, which no compression takes
//! out of the wasm or out of the script: 4 kB of what a browser downloads.

use crate::glue;
use crate::module::{self, EXPORTS, IMPORTS, number, put, put_sized, sized};
use std::collections::HashMap;
use std::path::Path;

/// The module from which everything is imported, as wasm-bindgen names it, and as it is called then.
const MODULE: (&str, &str) = ("./tombolo_web_bg.js", "_");

/// Names that begin so are wasm-bindgen's own; other exports are functions of ours and memory.
const INTERNAL: [&str; 2] = ["__", "wasm_bindgen_"];

/// Renames what `wasm` imports and exports, and the same in `script`, of which that goes that is of no use ([`glue`]).
pub(crate) fn shorten(wasm: &Path, script: &Path) -> Result<(), String> {
    let named = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let before = std::fs::read(wasm).map_err(|error| named(wasm, error))?;
    let text = std::fs::read_to_string(script).map_err(|error| named(script, error))?;
    let trimmed = glue::trim(&text)?;
    let mut names = Names {
        unused: trimmed.unused,
        same: trimmed.same,
        ..Names::default()
    };
    let after = rename(&before, &mut names).ok_or_else(|| format!("{}: names not understood", wasm.display()))?;
    std::fs::write(wasm, after).map_err(|error| named(wasm, error))?;
    let text = replace(&trimmed.script, &names).replace(&format!("\"{}\"", MODULE.0), &format!("\"{}\"", MODULE.1));
    std::fs::write(script, text).map_err(|error| named(script, error))
}

/// What was called how, and is called `_0`, `_1` and so on now; and what is exported no more, and what goes by another's name.
#[derive(Default)]
struct Names {
    short: HashMap<String, String>,
    unused: String,
    same: HashMap<String, String>,
}

impl Names {
    fn short(&mut self, name: &str) -> &str {
        let name = self.same.get(name).map_or(name, String::as_str);
        let short = format!("_{}", self.short.len());
        self.short.entry(name.to_owned()).or_insert(short)
    }
}

/// The module with its names shortened; adds them to `names`. `None` if it imports anything but functions from [`MODULE`].
fn rename(module: &[u8], names: &mut Names) -> Option<Vec<u8>> {
    let mut renamed = Vec::new();
    for (kind, content) in module::sections(module)? {
        let content = match kind {
            IMPORTS => import_section(content, names)?,
            EXPORTS => export_section(content, names)?,
            _ => content.to_vec(),
        };
        renamed.push((kind, content));
    }
    Some(module::assemble(
        renamed.iter().map(|(kind, content)| (*kind, &content[..])),
    ))
}

fn import_section(mut body: &[u8], names: &mut Names) -> Option<Vec<u8>> {
    let (mut out, count) = (Vec::new(), number(&mut body)?);
    put(count, &mut out);
    for _ in 0..count {
        let module = sized(&mut body)?;
        let name = std::str::from_utf8(sized(&mut body)?).ok()?;
        put_sized(MODULE.1.as_bytes(), &mut out);
        put_sized(names.short(name).as_bytes(), &mut out);
        let function = body.split_off(..1)? == [0];
        if !function || module != MODULE.0.as_bytes() {
            return None;
        }
        out.push(0);
        put(number(&mut body)?, &mut out);
    }
    Some(out)
}

fn export_section(mut body: &[u8], names: &mut Names) -> Option<Vec<u8>> {
    let (mut kept, mut out) = (0, Vec::new());
    for _ in 0..number(&mut body)? {
        let name = std::str::from_utf8(sized(&mut body)?).ok()?;
        let (kind, at) = (*body.split_off_first()?, number(&mut body)?);
        if name == names.unused {
            continue;
        }
        let internal = INTERNAL.iter().any(|prefix| name.starts_with(prefix));
        let name = if internal { names.short(name) } else { name };
        put_sized(name.as_bytes(), &mut out);
        out.push(kind);
        put(at, &mut out);
        kept += 1;
    }
    let mut count = Vec::new();
    put(kept, &mut count);
    Some([count, out].concat())
}

/// A script with its whole words replaced.
fn replace(script: &str, names: &Names) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let (mut out, mut rest) = (String::new(), script);
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out += names.short.get(word).map_or(word, |short| short);
        let next = tail.find(is_word).unwrap_or(tail.len());
        out += &tail[..next];
        rest = &tail[next..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_between_both_is_renamed_in_both() {
        let imports = [&b"\x01\x13./tombolo_web_bg.js\x06f_0123"[..], &[0, 0]].concat();
        let exports = b"\x03\x05start\x00\x01\x02__\x00\x00\x04__up\x00\x02";
        let module = module::assemble([(IMPORTS, &imports[..]), (EXPORTS, exports)]);
        let mut names = Names {
            unused: "__".to_owned(),
            ..Names::default()
        };
        let renamed = rename(&module, &mut names).unwrap();
        let short = [
            (IMPORTS, &b"\x01\x01_\x02_0\0\0"[..]),
            (EXPORTS, b"\x02\x05start\x00\x01\x02_1\x00\x02"),
        ];
        assert_eq!(renamed, module::assemble(short));
        let script = "x.f_0123=()=>f_01234+f_0123+wasm.__up+start";
        assert_eq!(replace(script, &names), "x._0=()=>f_01234+_0+wasm._1+start");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let cut = module::assemble([(IMPORTS, &b"\x01\x01m"[..])]);
        let foreign = module::assemble([(IMPORTS, &b"\x01\x01m\x01f\0\0"[..])]);
        let memory = [&b"\x01\x13./tombolo_web_bg.js\x01m"[..], &[2, 0, 0]].concat();
        let memory = module::assemble([(IMPORTS, &memory[..])]);
        for module in [cut, foreign, memory] {
            assert_eq!(rename(&module, &mut Names::default()), None);
        }
    }
}
