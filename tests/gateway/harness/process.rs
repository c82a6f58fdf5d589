//! The real program, as a child process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;

use serde_json::{Value, json};

use super::answer::Answer;
use super::connection::Connection;
use super::request::Caller;
use super::site::Site;
use super::{PATIENCE, eventually};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kmsgate");

/// A running gateway.
pub(crate) struct Gateway {
    process: Process,
    /// Where clients come in.
    pub(crate) address: SocketAddr,
    /// Where probes are answered.
    pub(crate) admin_address: SocketAddr,
    /// Its files.
    pub(crate) site: Site,
}

/// A child process with its log; killed when this value ends.
struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// Starts `kmsgate serve` with the files of `site` and waits until it is ready.
    pub(super) fn serve(site: Site) -> Self {
        let config = site.write();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(config);
        Self::spawn(command, site)
    }

    /// Starts `kmsgate serve` behind this line of a shell, which sets limits of the process.
    pub(crate) fn serve_limited(site: Site, limits: &str) -> Self {
        let config = site.write();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{limits}; exec \"$@\"")).args(["sh", PROGRAM, "serve", "--config"]).arg(config);
        Self::spawn(command, site)
    }

    fn spawn(mut command: Command, site: Site) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, ready) = mpsc::channel();
        let (lines, log) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::default());
        let process = Process { child, log: Arc::clone(&log) };
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(addresses) = addresses(&line) {
                    // Nobody waits for a second one.
                    let _ = sender.send(addresses);
                }
                log.lock().unwrap().push(line);
            }
        });
        let (address, admin_address) = ready.recv_timeout(PATIENCE).expect("the gateway is ready");
        Self { process, address, admin_address, site }
    }

    /// The `Host` header of requests to it.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// A connection from 127.0.0.1.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Calls it once, on a connection of its own.
    pub(crate) fn call(&self, caller: &Caller, operation: &str, body: &Value) -> Answer {
        self.connect().exchange(&caller.request(&self.host(), operation, body))
    }

    /// The ARN of a new key.
    pub(crate) fn create_key(&self) -> String {
        let made = self.call(&self.site.admin, "CreateKey", &json!({})).granted();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// The answer of the probe listener: status and text.
    pub(crate) fn probe(&self, path: &str) -> (u16, String) {
        let mut connection = Connection::open(self.admin_address);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: probe\r\n\r\n").as_bytes());
        let answer = connection.answer();
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    /// Every record of its audit file that is of a request, or of what a key does by itself.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|record| record["eventSource"] != "kmsgate").collect()
    }

    /// Every line of its audit file, each as its schema has it.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.site.path("audit.jsonl")).unwrap();
        // What stands behind the last line's end is being written at this moment.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(record).collect()
    }

    /// The one record of a request that was answered.
    pub(crate) fn record(&self, answer: &Answer) -> Value {
        let id = answer.request_id();
        let mut found = self.records().into_iter().filter(|record| record["requestID"] == id);
        let record = found.next().unwrap_or_else(|| panic!("no record of {id}"));
        assert_eq!(found.next(), None, "{id} is recorded twice");
        record
    }

    /// Waits until there are `count` records that `wanted` picks, and returns them; more would be a fault.
    pub(crate) fn records_when(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let found = eventually("a record", || {
            let found: Vec<_> = self.records().into_iter().filter(&wanted).collect();
            (found.len() >= count).then_some(found)
        });
        assert_eq!(found.len(), count, "{found:?}");
        found
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.log.lock().unwrap().join("\n")
    }

    /// Sends it a signal: `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        // There is no way to send one in the standard library; every shell has one.
        let command = format!("kill -{name} {}", self.process.child.id());
        assert!(Command::new("sh").arg("-c").arg(command).status().unwrap().success());
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        ended(&mut self.process.child)
    }

    /// Ends it with SIGKILL; its files stay.
    pub(crate) fn kill(self) -> Site {
        self.site
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log.lock().unwrap().join("\n"));
        }
    }
}

fn record(line: &str) -> Value {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema = serde_json::from_str(kmsgate::audit::RECORD_SCHEMA).unwrap();
        jsonschema::draft202012::new(&schema).unwrap()
    });
    let record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    if let Err(fault) = SCHEMA.validate(&record) {
        panic!("{}: {fault}: {line}", fault.instance_path());
    }
    record
}

/// Waits until a child has ended.
pub(super) fn ended(child: &mut Child) -> ExitStatus {
    eventually("the end of the program", || child.try_wait().unwrap())
}

/// The addresses in the line that says that a gateway is ready.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some((address("gateway")?, address("admin")?))
}

/// How a program that ended by itself ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program to its end, which must come by itself.
pub(crate) fn run(arguments: &[&str], directory: &Path) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(directory);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It is killed if it runs on.
    let mut process = Process { child, log: Arc::default() };
    let code = ended(&mut process.child).code();
    let (out, err) = (process.child.stdout.take().unwrap(), process.child.stderr.take().unwrap());
    Run { code, out: std::io::read_to_string(out).unwrap(), err: std::io::read_to_string(err).unwrap() }
}
