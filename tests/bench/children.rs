//! Child processes: each on its core, none outliving the benchmark.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::measure::now;

/// How long a server may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How children are started: through `setpriv` so that the kernel ends them with the benchmark, and through
/// `taskset` on the servers' core, where the machine has these two.
#[derive(Debug)]
pub(crate) struct Launcher {
    leash: Vec<String>,
    pin: Vec<String>,
    /// The cores that this process had before it was bound to the client's, and has again when this value ends.
    bound: Option<String>,
    /// How the cores are divided, for the report.
    pub(crate) cores: String,
}

impl Launcher {
    /// Finds out what the machine has. Servers get the first core that this process may use, the client the last.
    pub(crate) fn new() -> Outcome<Self> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let leash = words("setpriv --pdeathsig KILL");
        let leash = if works(&leash) { leash } else { Vec::new() };
        raise_open_files();
        let cores = crate::measure::allowed_cores()?;
        if let [server, .., client] = cores.as_slice() {
            let pin = words(&format!("taskset -c {server}"));
            if works(&pin) && bind(&client.to_string())? {
                let all: Vec<String> = cores.iter().map(usize::to_string).collect();
                return Ok(Self {
                    leash,
                    pin,
                    bound: Some(all.join(",")),
                    cores: format!("servers on core {server}, client on core {client}"),
                });
            }
        }
        let cores = "NOT PINNED (one core only, or no taskset): do not quote these figures".to_owned();
        Ok(Self { leash, pin: Vec::new(), bound: None, cores })
    }

    /// Starts programs as they are: on any core that this process may use, and nothing between spawn and program.
    pub(crate) fn plain() -> Self {
        Self { leash: Vec::new(), pin: Vec::new(), bound: None, cores: String::new() }
    }

    /// Starts `program` on the servers' core; what it prints goes to the end of the file `log`.
    pub(crate) fn start(&self, program: &Path, arguments: &[impl AsRef<OsStr>], log: &Path) -> Outcome<Guard> {
        let mut words: Vec<&OsStr> = self.leash.iter().chain(&self.pin).map(OsStr::new).collect();
        words.push(program.as_os_str());
        words.extend(arguments.iter().map(AsRef::as_ref));
        let (first, rest) = words.split_first().ok_or("nothing to start")?;
        let output = File::options().create(true).append(true).open(log)?;
        let child = Command::new(first)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        Ok(Guard { child, log: log.to_owned() })
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // If it fails, the next launcher finds one core only, and says so.
        drop(self.bound.as_deref().map(bind));
    }
}

/// Lets this process run on these cores alone; `false` if it may not say so.
fn bind(cores: &str) -> Outcome<bool> {
    let own = std::process::id().to_string();
    Ok(Command::new("taskset").args(["-a", "-p", "-c", cores, &own]).stdout(Stdio::null()).status()?.success())
}

/// Lets this process and its children open the files that 1,000 connections need. Where that is not allowed, the
/// connections that cannot be opened will say so.
fn raise_open_files() {
    let own = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &own, "--nofile=4096:"]).stderr(Stdio::null()).status();
    drop(raised);
}

/// Whether a prefix of a command can be used here.
fn works(prefix: &[String]) -> bool {
    let Some((first, rest)) = prefix.split_first() else { return false };
    Command::new(first).args(rest).arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A child process; it is killed when this value ends.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    log: std::path::PathBuf,
}

impl Guard {
    /// The process id. Both prefixes of a [`Launcher`] replace themselves by the program, so it is the program's.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `address` accepts a connection, and returns that connection.
    ///
    /// # Errors
    /// When the child ends first, with the end of what it printed, or takes longer than ten seconds.
    pub(crate) fn accepted(&mut self, address: SocketAddr) -> Outcome<TcpStream> {
        let limit = now() + START_LIMIT;
        loop {
            if let Ok(stream) = TcpStream::connect(address) {
                return Ok(stream);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.complaint(&format!("the server ended with {status}")));
            }
            if now() > limit {
                return Err(self.complaint("the server accepts no connection"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Takes over a child that was started elsewhere; `log` is where its words go.
    pub(crate) fn of(child: Child, log: &Path) -> Self {
        Self { child, log: log.to_owned() }
    }

    /// Asks the child to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end well.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(self.complaint(&format!("the server ended with {status}"))) }
    }

    /// Waits until the child ends by itself.
    pub(crate) fn ended(&mut self) -> Outcome<()> {
        self.child.wait()?;
        Ok(())
    }

    fn complaint(&self, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
        let printed = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut text = format!("{what}; the last lines it printed:");
        for line in printed.lines().rev().take(15).collect::<Vec<_>>().iter().rev() {
            let _infallible = write!(text, "\n  {line}");
        }
        text.into()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and nothing to say.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of the loopback interface that nothing listens on.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
