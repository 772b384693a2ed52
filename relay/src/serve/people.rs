//! `/stats` for people: the numbers of `/stats.json` as a page in the look of the other, without a script; it loads itself anew.

use std::fmt::Write as _;

use serde_json::Value;

const PAGE: &str = include_str!("stats.html");

/// How a number is written.
#[derive(Clone, Copy)]
enum Form {
    Count,
    Bytes,
    /// Should be 0.
    Fault,
    /// True or false.
    YesNo,
}

/// A number of `/stats.json`: its name there, what it is called here, how it is written.
type Row = (&'static str, &'static str, Form);

/// What is said, under which headings.
const SECTIONS: [(&str, &[Row]); 5] = [
    (
        "Tracker",
        &[
            ("swarms", "Swarms", Form::Count),
            ("swarm_peers", "Peers in them", Form::Count),
            ("announces_http", "Announces by HTTP", Form::Count),
            ("announces_udp", "Announces by UDP", Form::Count),
            ("announces_web", "Announces by WebSocket", Form::Count),
            ("scrapes", "Scrapes", Form::Count),
            ("announces_refused", "Refused by list or passkey", Form::Count),
        ],
    ),
    (
        "Links",
        &[
            ("torrents", "Torrents bridged", Form::Count),
            ("peers_web", "Tabs", Form::Count),
            ("peers_wire", "of them by /wire", Form::Count),
            ("peers_native", "Native peers", Form::Count),
        ],
    ),
    (
        "Traffic",
        &[
            ("bytes_native_in", "From native peers", Form::Bytes),
            ("bytes_native_out", "To native peers", Form::Bytes),
            ("bytes_web_in", "From tabs", Form::Bytes),
            ("bytes_web_out", "To tabs", Form::Bytes),
        ],
    ),
    (
        "DHT",
        &[
            ("dht_nodes_v4", "Nodes known over IPv4", Form::Count),
            ("dht_nodes_v6", "Nodes known over IPv6", Form::Count),
            ("dht_lookups", "Lookups under way", Form::Count),
            ("dht_searches", "Searches for peers", Form::Count),
            ("dht_peers", "Peers of others remembered", Form::Count),
            ("dht_reachable", "Reached by strangers", Form::YesNo),
        ],
    ),
    (
        "This relay",
        &[
            ("rss_bytes", "Memory", Form::Bytes),
            ("hash_failures", "Pieces that failed their hash", Form::Count),
            ("panics", "Panics", Form::Fault),
            ("cache_bytes", "Cache", Form::Bytes),
        ],
    ),
];

/// The page.
pub(super) fn page(numbers: &Value) -> String {
    let of = |name: &str| numbers[name].as_u64().unwrap_or_default();
    let mut sections = String::new();
    // Of a part that there is not, all is null.
    let is_there = |rows: &[Row]| rows.iter().any(|(name, ..)| !numbers[*name].is_null());
    for (heading, rows) in SECTIONS.into_iter().filter(|(_, rows)| is_there(rows)) {
        let _ = write!(sections, "<section><h2>{heading}</h2><dl>");
        for (name, words, form) in rows {
            let number = of(name);
            let (class, text) = match form {
                Form::Count => ("", grouped(number)),
                Form::Bytes => ("", size(number)),
                Form::YesNo => ("", if numbers[*name] == true { "yes" } else { "not yet" }.to_owned()),
                Form::Fault => (if number > 0 { " class=\"bad\"" } else { "" }, grouped(number)),
            };
            let _ = write!(sections, "<div{class}><dt>{words}</dt><dd>{text}</dd></div>");
        }
        sections.push_str("</dl>");
        if rows.iter().any(|(name, ..)| *name == "cache_bytes") {
            let (have, limit) = (of("cache_bytes"), of("cache_limit").max(1));
            let _ = write!(
                sections,
                "<meter max=\"{limit}\" value=\"{have}\" aria-label=\"Cache\">{} of {}</meter>",
                size(have),
                size(limit)
            );
        }
        sections.push_str("</section>\n");
    }
    let up = numbers["uptime_s"].as_f64().unwrap_or_default() as u64;
    PAGE.replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{up}", &duration(up))
        .replace("{sections}", &sections)
}

/// With a space between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    let units = ["KB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_page_has_the_numbers() {
        let page = page(
            &json!({"swarms": 1_234_567, "dht_reachable": true, "bytes_web_out": 1_500_000, "panics": 1, "cache_limit": 10, "uptime_s": 90_061.5}),
        );
        for part in [
            "<dt>Swarms</dt><dd>1\u{202f}234\u{202f}567</dd>",
            "<dt>To tabs</dt><dd>1.5 MB</dd>",
            "<div class=\"bad\"><dt>Panics</dt><dd>1</dd>",
            "<dt>Reached by strangers</dt><dd>yes</dd>",
            "up for 1 d 1 h",
            "<meter max=\"10\" value=\"0\"",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script"));
        assert!(
            !super::page(&json!({"dht_reachable": null})).contains("DHT"),
            "there is none"
        );
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1_000].map(grouped), ["0", "999", "1\u{202f}000"]);
        assert_eq!(
            [0, 999, 1_000, u64::MAX].map(size),
            ["0 B", "999 B", "1.0 KB", "18.4 EB"]
        );
        assert_eq!([5, 65, 3_700].map(duration), ["5 s", "1 min", "1 h 1 min"]);
    }
}
