//! A wasm module as a row of sections, and the numbers in it: as much of the format as renaming and ordering need.

/// The number of the section of custom data.
pub(crate) const CUSTOM: u8 = 0;
/// The number of the section of imports.
pub(crate) const IMPORTS: u8 = 2;
/// The number of the section of exports.
pub(crate) const EXPORTS: u8 = 7;
/// The number of the section of function bodies.
pub(crate) const CODE: u8 = 10;

/// Magic and version, as every module begins.
const HEAD: [u8; 8] = *b"\0asm\x01\0\0\0";

/// A section: its number and its content.
pub(crate) type Section<'a> = (u8, &'a [u8]);

/// The sections of a module; `None` if it is none.
pub(crate) fn sections(module: &[u8]) -> Option<Vec<Section<'_>>> {
    let (mut rest, mut out) = (module.strip_prefix(&HEAD)?, Vec::new());
    while let Some(kind) = rest.split_off_first() {
        out.push((*kind, sized(&mut rest)?));
    }
    Some(out)
}

/// The module of these sections.
pub(crate) fn assemble<'a>(sections: impl IntoIterator<Item = Section<'a>>) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    for (kind, content) in sections {
        out.push(kind);
        put_sized(content, &mut out);
    }
    out
}

/// Bytes with their number before them.
pub(crate) fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    rest.split_off(..length)
}

/// An unsigned LEB128 number.
pub(crate) fn number(rest: &mut &[u8]) -> Option<usize> {
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

/// Writes what [`sized`] reads.
pub(crate) fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len(), out);
    out.extend(bytes);
}

/// Writes what [`number`] reads.
pub(crate) fn put(mut value: usize, out: &mut Vec<u8>) {
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
    fn a_module_is_put_together_as_it_was() {
        let long = [7; 300];
        let module = assemble([(IMPORTS, &b"ab"[..]), (CODE, &long)]);
        assert_eq!(sections(&module), Some(vec![(IMPORTS, &b"ab"[..]), (CODE, &long)]));
        assert_eq!(module[..12], *b"\0asm\x01\0\0\0\x02\x02ab");
    }

    #[test]
    fn what_is_cut_short_is_no_module() {
        let module = assemble([(CODE, &[1, 2, 3][..])]);
        for length in (0..module.len()).filter(|length| *length != HEAD.len()) {
            assert_eq!(sections(&module[..length]), None, "{length}");
        }
        assert_eq!(number(&mut &[0x80; 9][..]), None);
    }
}
