//! Sizes as people write and read them.

const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A number of bytes in the largest unit that it reaches.
pub(super) fn size(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, 1)) => format!("{bytes} {name}"),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => "0 B".into(),
    }
}

/// A time in seconds as people read it: `m:ss`, or `h:mm:ss`, or days.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600, seconds / 86_400);
    match (days, hours) {
        (2.., _) => format!("{days} days"),
        (_, 0) => format!("{minutes}:{:02}", seconds % 60),
        _ => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
    }
}

/// Reads a size in bytes, or with one of the units `KiB`, `MiB`, `GiB` and `TiB`.
///
/// # Errors
/// It is no such number, or too large.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let unit = match unit.trim() {
        "" => Some(1),
        unit => UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, unit)| *unit),
    };
    let bytes = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit));
    bytes.ok_or_else(|| "expected a number of bytes, or one with KiB, MiB, GiB or TiB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("16KiB", 16384),
            ("256 mib", 256 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5", "1kb", "99999999999GiB", "1 2"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
    }

    #[test]
    fn times_are_written() {
        for (seconds, text) in [
            (0, "0:00"),
            (65, "1:05"),
            (3_600, "1:00:00"),
            (100_000, "27:46:40"),
            (200_000, "2 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
