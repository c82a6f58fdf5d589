//! What commands print.

use std::io::{self, Write as _};

use crate::audit::steers_terminal;

/// Writes an answer to standard output. Who closed it before its end wants no more, and that is no failure.
pub(super) fn say(answer: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(answer.as_bytes()).and_then(|()| out.flush());
}

/// Where a text from a request or a record is shown to a person: nothing in it can steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if steers_terminal(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A number of things, in words that agree: `1 line`, `2,000 lines`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_their_thousands_apart() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        assert!(numbers.iter().all(|(number, text)| grouped(*number) == *text));
        assert_eq!((counted(1, "line"), counted(0, "line")), ("1 line".to_owned(), "0 lines".to_owned()));
    }
}
