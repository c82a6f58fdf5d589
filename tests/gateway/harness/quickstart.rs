//! `kmsgate quickstart --json`, as scripts use it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;
use super::connection::Connection;
use super::process::{PROGRAM, ended};
use super::request::Caller;

/// A running quickstart; killed when this value ends.
pub(crate) struct Quickstart {
    child: Child,
    /// The line that it printed.
    pub(crate) line: Value,
    /// The access key of that line.
    pub(crate) caller: Caller,
}

fn command(data_dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["quickstart", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]);
    command.arg(data_dir).args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

impl Quickstart {
    /// Starts it and waits for its line.
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        Self::spawn(command(data_dir, more))
    }

    /// As [`Self::start`], with a standard error that nobody reads.
    pub(crate) fn start_unread(data_dir: &Path) -> Self {
        let mut command = command(data_dir, &[]);
        command.stderr(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut text = String::new();
        // It prints its line or ends.
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut text).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let member = |name: &str| line[name].as_str().unwrap().to_owned();
        let caller = Caller {
            arn: member("principal"),
            access_key_id: member("accessKeyId"),
            secret: member("secretAccessKey"),
        };
        Self { child, line, caller }
    }

    /// Starts it and kills it after a time.
    pub(crate) fn killed_after(data_dir: &Path, time: Duration) {
        let mut child = command(data_dir, &[]).spawn().unwrap();
        std::thread::sleep(time);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Where it listens, without `http://`.
    pub(crate) fn host(&self, member: &str) -> String {
        self.line[member].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
    }

    /// Calls it once.
    pub(crate) fn call(&self, operation: &str, body: &Value) -> Answer {
        let host = self.host("endpoint");
        let address: SocketAddr = host.parse().unwrap();
        Connection::open(address).exchange(&self.caller.request(&host, operation, body))
    }

    /// Ends it with SIGTERM; returns its exit code and what it printed after its line.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let command = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").arg("-c").arg(command).status().unwrap().success());
        let code = ended(&mut self.child).code();
        (code, std::io::read_to_string(self.child.stdout.take().unwrap()).unwrap())
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
