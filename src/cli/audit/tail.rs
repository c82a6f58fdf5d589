//! `kmsgate audit tail`: the newest records, and those to come.

mod filter;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::{refuse, unreadable};
use crate::audit::reading::{Follower, Input, Line, Progress, Told, last_lines};
use crate::audit::{console_line, steers_terminal};
use crate::cli::output::plain;
use filter::Filter;

/// How long nothing is looked for: a person does not notice it, and a machine hardly that somebody looks.
const PAUSE: Duration = Duration::from_millis(200);
/// So much is shown of a line that is no record, in characters.
const FAULTY_SHOWN: usize = 100;

/// Show the newest audit records, one a line, and with --follow those to come.
///
/// A record is shown as quickstart shows it, or with --json as it was written; on a terminal what could steer it is
/// escaped. Filters have to be true all of them; in patterns `*` stands for any characters and `?` for one. A file that
/// is followed may be renamed and begun anew, as the gateway does, without a record being lost or shown twice.
/// Checkpoints are shown only with --checkpoints.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate audit tail audit.jsonl -n 100 --outcome refused
  kmsgate audit tail --config kmsgate.toml --follow --principal 'user/app-*' --operation 'GenerateDataKey*'
  kmsgate audit tail audit.jsonl --follow --json --context tenant=blue | jq .sourceIPAddress

Exit codes: 0 it was shown, or nobody reads any more, 64 an argument is at fault or the file cannot be read.")]
pub(in crate::cli) struct Arguments {
    /// The audit file; may be compressed by gzip, if it is not followed
    #[arg(value_name = "FILE", required_unless_present = "config", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The configuration whose audit file it is
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// So many of the newest records that pass the filters are shown
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 10)]
    lines: usize,
    /// Go on with what is recorded from now on, until it is interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    filter: Filter,
    /// Show checkpoints too
    #[arg(long)]
    checkpoints: bool,
    /// Print records as they were written
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let path = match file(arguments) {
        Ok(path) => path,
        Err(code) => return code,
    };
    let input = Input::new(&path);
    // A file that is not there yet can be waited for.
    let (packed, absent) = match input.is_plain_file() {
        Ok(plain) => (!plain, false),
        Err(error) if arguments.follow && error.kind() == io::ErrorKind::NotFound => (false, true),
        Err(error) => return unreadable(&input, &error),
    };
    if packed && arguments.follow {
        let hint = "follow the file that the gateway writes to";
        return refuse(format_args!("{input} is compressed or no file, and cannot be followed"), hint);
    }
    let view = View { arguments, terminal: stdout().is_terminal() };
    let shown = if packed {
        view.whole(&input)
    } else {
        let begin = if absent { Ok(0) } else { last_lines(&path, arguments.lines, &mut |line| view.shows(line)) };
        begin.and_then(|begin| view.follow(&path, begin))
    };
    match shown {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => unreadable(&input, &error),
        _ => ExitCode::SUCCESS,
    }
}

/// The file that is asked for.
fn file(arguments: &Arguments) -> Result<PathBuf, ExitCode> {
    let Some(config) = &arguments.config else { return Ok(arguments.file.clone().unwrap_or_default()) };
    super::super::load(config)?
        .audit
        .file
        .ok_or_else(|| refuse("the configuration has no audit file", "name the file that the records were kept in"))
}

/// What is shown, and how.
struct View<'a> {
    arguments: &'a Arguments,
    terminal: bool,
}

impl View<'_> {
    /// Shows what can be read only from its beginning.
    fn whole(&self, input: &Input) -> io::Result<()> {
        let mut lines = input.open(&Progress::default())?.lines;
        let mut last = VecDeque::new();
        while let Some(line) = lines.next_line()? {
            let (Line::Whole(line) | Line::Last(line)) = line else { continue };
            if self.shows(line) {
                last.push_back(self.text(line));
            }
            if last.len() > self.arguments.lines {
                last.pop_front();
            }
        }
        let mut out = stdout().lock();
        last.iter().try_for_each(|text| out.write_all(text))
    }

    /// Shows the file from `begin` on, and what comes after it.
    fn follow(&self, path: &Path, begin: u64) -> io::Result<()> {
        let mut follower = Follower::new(path, begin)?;
        let mut out = io::BufWriter::new(stdout().lock());
        loop {
            let mut written = Ok(());
            follower.poll(&mut |told| match told {
                Told::Line(line) if written.is_ok() && self.shows(line) => written = out.write_all(&self.text(line)),
                Told::Line(_) => {}
                Told::Notice(notice) => eprintln!("note: {}", plain(&notice)),
            })?;
            written.and_then(|()| out.flush())?;
            if !self.arguments.follow {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    fn shows(&self, line: &[u8]) -> bool {
        self.arguments.filter.passes(line, self.arguments.checkpoints)
    }

    /// What is written of a line, with its line feed.
    fn text(&self, line: &[u8]) -> Vec<u8> {
        if !self.arguments.json {
            return format!("{}\n", console_line(line).unwrap_or_else(|| faulty(line))).into_bytes();
        }
        if self.terminal { format!("{}\n", escaped(line)).into_bytes() } else { [line, b"\n"].concat() }
    }
}

/// A line that is no record.
fn faulty(line: &[u8]) -> String {
    format!("(no record)  {}", escaped(line).chars().take(FAULTY_SHOWN).collect::<String>())
}

/// The line with nothing in it that steers a terminal; what JSON it was it still is.
fn escaped(line: &[u8]) -> String {
    let mut text = String::new();
    for chunk in line.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if steers_terminal(letter) {
                // All of these have one unit in UTF-16, and a `String` takes all that is written to it.
                let _ = write!(text, "\\u{:04x}", u32::from(letter));
            } else {
                text.push(letter);
            }
        }
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal_and_json_means_what_it_meant() {
        let line = "{\"a\":\"\u{9b}1m\u{202e}\u{7f}é\"}";
        assert_eq!(escaped(line.as_bytes()), r#"{"a":"\u009b1m\u202e\u007fé"}"#);
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(line).unwrap(), serde_json::from_str(&escaped(line.as_bytes())).unwrap());
        assert_eq!(before, after);
        assert_eq!(escaped(b"\x1b[2J\xff"), "\\u001b[2J\u{fffd}");
        assert!(faulty(&b"\x1b".repeat(500)).chars().count() < 120);
    }
}
