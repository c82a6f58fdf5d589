//! System calls, counted by the kernel while a load runs.
//!
//! `perf` counts them without slowing the server. Without it `strace` does, at a price in speed, which is why no
//! figure of speed is taken meanwhile; without both only reads and writes of files are known.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::children::Guard;
use crate::measure;

/// How long the counter needs to attach, how long the load runs, and when the counter ends by itself.
const ATTACH: Duration = Duration::from_millis(500);
/// How long the load runs while calls are counted.
pub(crate) const LENGTH: Duration = Duration::from_secs(1);
const COUNTER_SECONDS: &str = "2.5";

/// The calls worth a figure of their own: what a well-made server uses, and what it should not need.
const NAMED: [&str; 9] =
    ["recvfrom", "sendto", "writev", "sendmsg", "epoll_wait", "read", "write", "futex", "getrandom"];

/// The ways to count, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Tracepoints; needs the right to use them.
    Perf,
    /// ptrace; slows the server.
    Strace,
    /// `/proc/PID/io`: no sockets.
    FilesOnly,
}

/// Counts of one server, by name; `total` is every call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// All calls.
    pub(crate) total: u64,
    /// Those with a name, where the way knows names.
    pub(crate) named: Vec<(String, u64)>,
    /// How many requests were answered meanwhile.
    pub(crate) requests: u64,
}

impl Counts {
    /// `count` of them, for each request.
    pub(crate) fn each(&self, count: u64) -> f64 {
        measure::approximate(count) / measure::approximate(self.requests.max(1))
    }
}

impl Way {
    /// The best way that works here, tried on this process.
    pub(crate) fn find() -> Self {
        let own = std::process::id().to_string();
        let perf = Command::new("perf")
            .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &own, "--timeout", "50"])
            .output();
        let strace = || {
            Command::new("strace")
                .args(["-c", "-f", "-o", "/dev/null", "true"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        match perf {
            Ok(output) if output.status.success() => Self::Perf,
            _ if strace() => Self::Strace,
            _ => Self::FilesOnly,
        }
    }

    /// What is counted, for the report.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Perf => "all calls, counted by perf (raw_syscalls:sys_enter)",
            Self::Strace => "all calls, counted by strace, which slows the server and makes its batches larger",
            Self::FilesOnly => {
                "ONLY reads and writes of files, not of sockets (/proc/PID/io): no perf or strace here, or no right to them"
            }
        }
    }

    /// Begins to count the calls of process `pid`.
    pub(crate) async fn begin(self, pid: u32, scratch: &Path) -> Outcome<Counter> {
        let file = scratch.join(format!("syscalls-{pid}"));
        let pid_text = pid.to_string();
        let mut command = match self {
            Self::Perf => {
                let mut events = "raw_syscalls:sys_enter".to_owned();
                for name in NAMED {
                    events.extend([",syscalls:sys_enter_", name]);
                }
                let mut command = Command::new("timeout");
                command.args([
                    "-s",
                    "INT",
                    COUNTER_SECONDS,
                    "perf",
                    "stat",
                    "-x,",
                    "-e",
                    &events,
                    "-p",
                    &pid_text,
                    "-o",
                ]);
                command
            }
            Self::Strace => {
                let mut command = Command::new("timeout");
                command.args(["-s", "INT", COUNTER_SECONDS, "strace", "-c", "-f", "-p", &pid_text, "-o"]);
                command
            }
            Self::FilesOnly => return Ok(Counter::Files { pid, before: measure::file_calls(pid)? }),
        };
        let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        tokio::time::sleep(ATTACH).await;
        Ok(Counter::Tool { child: Guard::of(child, &file), file, way: self })
    }
}

/// A count that runs.
#[derive(Debug)]
pub(crate) enum Counter {
    /// By another program, which writes `file` when it ends.
    Tool {
        /// The program.
        child: Guard,
        /// What it writes.
        file: std::path::PathBuf,
        /// How to read that.
        way: Way,
    },
    /// By the difference of two looks.
    Files {
        /// The process.
        pid: u32,
        /// The first look.
        before: u64,
    },
}

impl Counter {
    /// Ends the count and returns it.
    pub(crate) fn end(self) -> Outcome<Counts> {
        match self {
            Self::Files { pid, before } => {
                Ok(Counts { total: measure::file_calls(pid)?.saturating_sub(before), ..Counts::default() })
            }
            Self::Tool { mut child, file, way } => {
                child.ended()?;
                let text = std::fs::read_to_string(&file)?;
                let counts = if way == Way::Perf { read_perf(&text) } else { read_strace(&text) };
                if counts.total == 0 { Err(format!("no system calls in `{text}`").into()) } else { Ok(counts) }
            }
        }
    }
}

/// Lines of `count,unit,event,...`.
fn read_perf(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines() {
        let mut fields = line.split(',');
        if let (Some(Ok(count)), Some(event)) = (fields.next().map(str::parse::<u64>), fields.nth(1)) {
            match event.strip_prefix("syscalls:sys_enter_") {
                Some(name) => counts.named.push((name.to_owned(), count)),
                None => counts.total = count,
            }
        }
    }
    counts
}

/// Lines of `% time, seconds, usecs/call, calls, [errors,] name`; the last is the total.
fn read_strace(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let (Some(Ok(count)), Some(name)) = (words.get(3).map(|word| word.parse::<u64>()), words.last()) {
            match *name {
                "total" => counts.total = count,
                name if NAMED.contains(&name) => counts.named.push((name.to_owned(), count)),
                _other => {}
            }
        }
    }
    counts
}
