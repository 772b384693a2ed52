//! The one line of a session description that concerns us: how large a data channel message the other end takes.

/// What we never exceed, in bytes, whatever the other end allows: Chromium's own limit, and the size above which nothing
/// got faster.
const OUR_LIMIT: usize = 256 << 10;

/// What an end takes that does not say, in bytes (RFC 8841, section 6.1).
const DEFAULT: usize = 64 << 10;

/// The least that is worth obeying, in bytes: a block and its head must fit into one message.
const LEAST: usize = (16 << 10) + 13;

/// The largest message to send to whoever sent this description, in bytes.
pub(crate) fn max_message_size(description: &str) -> usize {
    let lines = description.lines().map(str::trim);
    let said = lines
        .filter_map(|line| line.strip_prefix("a=max-message-size:"))
        .next_back();
    match said.and_then(|size| size.trim().parse::<u64>().ok()) {
        // 0 = any size (RFC 8841).
        Some(0) => OUR_LIMIT,
        Some(size) => (size.min(OUR_LIMIT as u64) as usize).max(LEAST),
        None => DEFAULT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_decides_within_bounds() {
        let sized = |size: &str| max_message_size(&format!("v=0\r\na=sctp-port:5000\r\na=max-message-size:{size}\r\n"));
        assert_eq!(sized("262144"), 262_144);
        assert_eq!(sized("65535"), 65_535);
        assert_eq!(sized("0"), 262_144);
        assert_eq!(sized("1073741823"), 262_144);
        assert_eq!(sized("99999999999999999999"), 65_536, "no number");
        assert_eq!(sized("100"), 16_397);
        assert_eq!(max_message_size("v=0\r\n"), 65_536);
    }
}
