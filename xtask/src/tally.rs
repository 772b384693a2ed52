//! Counting tests: each suite's own summary lines, added up.

use std::ops::AddAssign;

/// How many single tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
    pub(crate) const SKIPPED: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 1,
    };

    /// Adds what `line` counts, if it is a summary of `cargo test`, `cargo nextest` or node's test runner (TAP).
    pub(crate) fn see(&mut self, line: &str) {
        let line = strip_colours(line);
        // Indented it is what a test printed that nextest shows, and counts itself.
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.see_counts(counts, "ignored");
        }
        let line = line.trim();
        if line.starts_with("Summary [") {
            self.see_counts(line.split_once(':').map_or("", |(_, counts)| counts), "skipped");
        } else if let Some(counts) = line.strip_prefix("# ") {
            self.see_tap(counts);
        }
    }

    /// Numbers that stand before their word: `12 passed`, `1 failed`; nextest writes details in brackets.
    fn see_counts(&mut self, counts: &str, skipped: &str) {
        let words: Vec<&str> = counts
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let &[number, word] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" | "timed" => self.failed += number,
                _ if word == skipped => self.skipped += number,
                _ => {}
            }
        }
    }

    /// The trailer of TAP output: `# pass 12`. A cancelled test is one that never came to its end: a failure.
    fn see_tap(&mut self, counts: &str) {
        let Some((word, number)) = counts.split_once(' ') else {
            return;
        };
        let Ok(number) = number.trim().parse::<u64>() else {
            return;
        };
        match word {
            "pass" => self.passed += number,
            "fail" | "cancelled" => self.failed += number,
            "skipped" | "todo" => self.skipped += number,
            _ => {}
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Without terminal escapes (`ESC [ … letter`), which test runners write when colours are forced.
fn strip_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.see(line));
        tally
    }

    #[test]
    fn cargo_test_is_counted_over_all_its_programs() {
        let lines = [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.00s",
        ];
        assert_eq!(
            tally(&lines),
            Tally {
                passed: 15,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn nextest_details_and_the_output_of_failed_tests_are_not_counted_twice() {
        let lines = [
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored",
            "     Summary [   0.005s] 10 tests run: 7 passed (1 slow), 2 failed, 1 timed out, 4 skipped",
        ];
        assert_eq!(
            tally(&lines),
            Tally {
                passed: 7,
                failed: 3,
                skipped: 4
            }
        );
    }

    #[test]
    fn colours_do_not_hide_a_summary() {
        let lines = [
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.005s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32mpassed\u{1b}[0m, 0 skipped",
        ];
        assert_eq!(
            tally(&lines),
            Tally {
                passed: 1,
                failed: 0,
                skipped: 0
            }
        );
    }

    #[test]
    fn a_cancelled_node_test_is_a_failure() {
        let lines = [
            "# tests 9",
            "# pass 5",
            "# fail 1",
            "# cancelled 1",
            "# skipped 2",
            "# duration_ms 12.5",
        ];
        assert_eq!(
            tally(&lines),
            Tally {
                passed: 5,
                failed: 2,
                skipped: 2
            }
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            tally(&["test a::b ... ok", "# Subtest: x", "1 passed"]),
            Tally::default()
        );
    }
}
