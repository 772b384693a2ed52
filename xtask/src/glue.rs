//! The script that wasm-bindgen writes, without what our worker has no use for: other ways to load the engine than the one it uses, a second
//! way to pass text, and care for a browser that lacks a class. 0.9 kB of what a browser downloads.
//!
//! What the engine imports twice, since two classes have the same method, becomes one.
//!
//! What is taken out is looked for by its text, so a version that writes otherwise is noticed when the engine is built.

use std::collections::HashMap;

/// The script as it is to be, and what the engine's part of it has to know.
#[derive(Debug)]
pub(crate) struct Trimmed {
    pub(crate) script: String,
    /// The export that the script uses no more.
    pub(crate) unused: String,
    /// Imports that are gone, each with the one that does the same.
    pub(crate) same: HashMap<String, String>,
}

/// Of these the part up to the second, which stays, becomes the third.
const CHANGES: [(&str, &str, &str); 5] = [
    // Our worker has one response, fetched while the page was still silent.
    ("let wasmModule, wasmInstance, wasm;", "", LOADER),
    // Text is copied once more, for which the engine needs no way to grow what it was given.
    (
        "function passStringToWasm0(arg, malloc, realloc) {",
        "let cachedTextDecoder",
        "function passStringToWasm0(arg, malloc) {
    return passArray8ToWasm0(cachedTextEncoder.encode(arg), malloc);
}

",
    ),
    // All callbacks belong to the engine, which frees them.
    ("const CLOSURE_DTORS", "function getArrayU16FromWasm0", ""),
    ("    CLOSURE_DTORS.register", "    return real", ""),
    ("            CLOSURE_DTORS.unregister", "        }", ""),
];

/// Starts to compile while bytes still come, if the server says that it is wasm.
const LOADER: &str = r#"let wasm;
export default async function init(source) {
    const response = await source, imports = __wbg_get_imports();
    if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
    const { instance } = response.headers.get('content-type') === 'application/wasm'
        ? await WebAssembly.instantiateStreaming(response, imports)
        : await WebAssembly.instantiate(await response.arrayBuffer(), imports);
    wasm = instance.exports;
    wasm.__wbindgen_start();
}
"#;

/// The script without it. An error names what was not found.
pub(crate) fn trim(script: &str) -> Result<Trimmed, String> {
    let mut script = script.to_owned();
    for (from, to, instead) in CHANGES {
        let found = script.find(from).and_then(|start| {
            let length = match to {
                "" => script.len() - start,
                to => script[start..].find(to)?,
            };
            Some(start..start + length)
        });
        let range = found.ok_or_else(|| format!("wasm-bindgen's script has no `{from}` before `{to}`"))?;
        script.replace_range(range, instead);
    }
    let unused = second_way(&script)
        .ok_or("wasm-bindgen's script passes no text")?
        .to_owned();
    let script = script.replace(&format!(", wasm.{unused})"), ")");
    let (script, same) = merge(&plain_checks(&script));
    Ok(Trimmed { script, unused, same })
}

/// What is given as the second way to pass text.
fn second_way(script: &str) -> Option<&str> {
    let calls = script.split("passStringToWasm0(").skip(1);
    let arguments = calls.filter_map(|call| call.split_once(')'));
    arguments
        .filter_map(|(arguments, _)| arguments.split(", wasm.").nth(2))
        .next()
}

/// `instanceof` does not throw for the browser's own classes.
fn plain_checks(script: &str) -> String {
    const CHECK: (&str, &str) = (
        "let result;\n            try {\n                result = ",
        ";\n            } catch (_) {\n                result = false;\n            }\n            const ret = result;",
    );
    let mut parts = script.split(CHECK.0);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += "const ret = ";
        out += &part.replacen(CHECK.1, ";", 1);
    }
    out
}

/// Takes out the imports that do the same as one before them.
fn merge(script: &str) -> (String, HashMap<String, String>) {
    // From one's first line up to the next one's; the last has what comes after all of them, and stays.
    let mut parts = vec![(None, String::new())];
    for line in script.split_inclusive('\n') {
        if let Some((name, function)) = import(line) {
            parts.push((Some(name), function.to_owned()));
        } else if let Some((_, text)) = parts.last_mut() {
            *text += line;
        }
    }
    let (mut out, mut same, mut names) = (String::new(), HashMap::new(), HashMap::new());
    for (name, function) in &parts {
        let Some(name) = *name else {
            out += function;
            continue;
        };
        match names.insert(function, name) {
            None => out += &format!("{DEPTH}{name}:{function}"),
            Some(first) => {
                names.insert(function, first);
                same.insert(name.to_owned(), first.to_owned());
            }
        }
    }
    (out, same)
}

/// Where imports begin in a line: they are the members of one object.
const DEPTH: &str = "        ";

/// The first line of an import: its name, and what is behind the colon.
fn import(line: &str) -> Option<(&str, &str)> {
    let (name, function) = line.strip_prefix(DEPTH)?.split_once(':')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_name && function.starts_with(" function(")).then_some((name, function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_is_named() {
        let error = trim("let wasmModule, wasmInstance, wasm;").unwrap_err();
        assert!(error.contains("passStringToWasm0"), "{error}");
    }

    #[test]
    fn what_grows_text_is_found_by_its_use() {
        let script = "passStringToWasm0(arg, malloc) { passStringToWasm0(text, wasm.a, wasm.b); }";
        assert_eq!(second_way(script), Some("b"));
        assert_eq!(second_way("passStringToWasm0(text, wasm.a)"), None);
    }

    #[test]
    fn what_does_the_same_is_there_once() {
        let import =
            |name: &str, what: &str| format!("        {name}: function(arg0) {{\n            {what}\n        }},\n");
        let (a, b, c) = (import("a", "go()"), import("b", "stay()"), import("c", "go()"));
        let last = import("d", "go()");
        let (out, same) = merge(&format!("x = {{\n{a}{b}{c}{last}    }};\n"));
        assert_eq!(out, format!("x = {{\n{a}{b}{last}    }};\n"));
        assert_eq!(same, HashMap::from([("c".to_owned(), "a".to_owned())]));
    }

    #[test]
    fn a_check_keeps_what_it_checks() {
        let script = "a(b) {
            let result;
            try {
                result = b instanceof C;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;";
        assert_eq!(
            plain_checks(script),
            "a(b) {
            const ret = b instanceof C;
            return ret;"
        );
    }
}
