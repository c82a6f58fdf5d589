//! The gateway under test: the real program with a key, a principal, a policy and an access key of its own,
//! everything in a scratch directory.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::Outcome;
use crate::children::{Guard, Launcher, free_address};
use crate::measure::now;
use crate::requests::Caller;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kmsgate");
/// How long a first answer, or quickstart's line, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to start the gateway, and how to call it.
#[derive(Debug)]
pub(crate) struct Gateway {
    arguments: Vec<String>,
    log: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// A principal that may use the key.
    pub(crate) caller: Caller,
    /// The key.
    pub(crate) key_id: String,
}

/// What `kmsgate quickstart --json` prints when it is ready.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    region: String,
    access_key_id: String,
    secret_access_key: String,
    key_id: String,
}

impl Gateway {
    /// Lets `quickstart` make a key and a principal that may use it below `scratch`.
    pub(crate) fn prepare(scratch: &Path) -> Outcome<Self> {
        let address = free_address()?;
        let (data, log) = (scratch.join("data"), scratch.join("gateway.log"));
        let arguments =
            ["quickstart", "--json", "--listen", &address.to_string(), "--admin", "127.0.0.1:0", "--data-dir"]
                .map(str::to_owned)
                .into_iter()
                .chain([data.display().to_string()])
                .collect::<Vec<_>>();
        let mut first = Launcher::plain().start(Path::new(PROGRAM), &arguments, &log)?;
        first.accepted(address)?;
        let ready = ready(&log)?;
        let caller = Caller {
            host: address.to_string(),
            region: ready.region,
            access_key_id: ready.access_key_id,
            secret: ready.secret_access_key,
        };
        Ok(Self { arguments, log, address, caller, key_id: ready.key_id })
    }

    /// Starts it; it may not accept connections yet.
    pub(crate) fn start(&self, launcher: &Launcher) -> Outcome<Guard> {
        launcher.start(Path::new(PROGRAM), &self.arguments, &self.log)
    }

    /// Starts it, asks once, ends it: milliseconds from spawn to the answer of a signed request. The request is
    /// signed beforehand, and nothing stands between spawn and program.
    pub(crate) fn time_to_answer(&self) -> Outcome<f64> {
        let body = format!(r#"{{"KeyId": "{}", "KeySpec": "AES_256"}}"#, self.key_id);
        let request = self.caller.sign("GenerateDataKeyWithoutPlaintext", &body)?;
        let begin = now();
        let mut server = self.start(&Launcher::plain())?;
        let mut stream = server.accepted(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request.bytes)?;
        let mut answer = [0; 4096];
        let count = stream.read(&mut answer)?;
        let took = begin.elapsed();
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("first answer: `{}`", answer.get(..count).unwrap_or_default().escape_ascii()).into());
        }
        Ok(took.as_secs_f64() * 1000.0)
    }
}

/// The line with the key and the access key, which appears once the gateway is ready.
fn ready(log: &Path) -> Outcome<Ready> {
    let limit = now() + PATIENCE;
    loop {
        let printed = std::fs::read_to_string(log)?;
        if let Some(line) = printed.lines().find(|line| line.starts_with("{\"endpoint\"") && line.ends_with('}')) {
            return Ok(serde_json::from_str(line)?);
        }
        if now() > limit {
            return Err("quickstart printed no line of JSON".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
