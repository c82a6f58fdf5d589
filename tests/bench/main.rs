//! `cargo bench --bench gateway`: what the gateway costs beyond a bare hyper server.
//!
//! Three servers run beside each other: bare hyper, bare hyper once more (whatever the two differ in is noise), and
//! the gateway with SigV4, policy, limits, audit to a file and real cryptography. Rounds alternate in rotating
//! order, so that a noisy minute of the machine meets all of them. It prints ratios and compares them with the
//! targets; a target that is not met is no failure, a wrong answer is one.

mod audit;
mod children;
mod connection;
mod figures;
mod gateway;
mod keys;
mod keys_report;
mod load;
mod measure;
mod population;
mod report;
mod requests;
mod rounds;
mod server;
mod server_bare;
mod server_unrecorded;
mod setup;
mod syscalls;
mod tables;

use std::path::Path;
use std::process::ExitCode;

use children::{Launcher, free_address};
use connection::Connection;
use gateway::{DATA_KEY, Gateway};
use load::{Expected, Tally};
use report::Report;
use requests::{Request, Requests};
use server::Server;
use syscalls::Way;

/// A result whose error is told to the operator.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Nothing that is measured runs on the client's core.
const CLIENT_SHARES_ITS_CORE: bool = false;
/// How often the start is measured.
const STARTS: usize = 5;

const USAGE: &str = "usage: cargo bench --bench gateway [-- [--quick] [--requests|--audit|--keys]]
  --quick      2 rounds instead of 9, 2,000 keys instead of 100,000: shows that the benchmark works, and no more
  --requests   only what a request costs beyond bare hyper
  --audit      only what the audit trail costs
  --keys       only what many keys cost";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "--bench").collect();
    let outcome = match words.as_slice() {
        [server_bare::ARGUMENT, script] => server_bare::run(script).map(|()| true),
        [server_unrecorded::ARGUMENT, file] => server_unrecorded::run(file, false).map(|()| true),
        [server_unrecorded::ARGUMENT_TOGETHER, file] => server_unrecorded::run(file, true).map(|()| true),
        words => Plan::read(words).and_then(|plan| plan.run()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be measured.
struct Plan {
    rounds: usize,
    keys: usize,
    parts: &'static [Part],
}

#[derive(Clone, Copy)]
enum Part {
    Requests,
    Audit,
    Keys,
}

impl Plan {
    fn read(words: &[&str]) -> Outcome<Self> {
        let mut plan = Self { rounds: 9, keys: keys::MANY, parts: &[Part::Requests, Part::Audit, Part::Keys] };
        for word in words {
            match *word {
                "--quick" => (plan.rounds, plan.keys) = (2, keys::FEW),
                "--requests" => plan.parts = &[Part::Requests],
                "--audit" => plan.parts = &[Part::Audit],
                "--keys" => plan.parts = &[Part::Keys],
                _other => return Err(USAGE.into()),
            }
        }
        Ok(plan)
    }

    /// The whole run; `false` when an answer was wrong.
    fn run(&self) -> Outcome<bool> {
        if cfg!(debug_assertions) {
            println!("A DEBUG BUILD: it shows that the benchmark works; its figures mean nothing.");
        }
        let mut wrong = 0;
        for part in self.parts {
            wrong += match part {
                Part::Requests => run_requests(self.rounds)?,
                Part::Audit => run_audit(self.rounds)?,
                Part::Keys => run_keys(self.rounds, self.keys)?,
            };
        }
        Ok(wrong == 0)
    }
}

/// What a request costs: how many answers were wrong.
fn run_requests(rounds: usize) -> Outcome<u64> {
    let scratch = tempfile::tempdir()?;
    let gateway = Gateway::prepare(scratch.path())?;
    // Before this process binds itself to the client's core, which its children would inherit.
    let starts = (0..STARTS).map(|_| gateway.time_to_answer(&Launcher::plain())).collect::<Outcome<Vec<f64>>>()?;
    let launcher = Launcher::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure_all(rounds, &gateway, starts, &launcher, scratch.path()))?;
    print!("{report}");
    Ok(report.tally.wrong)
}

/// What the audit trail costs: how many answers were wrong.
fn run_audit(rounds: usize) -> Outcome<u64> {
    let scratch = tempfile::tempdir()?;
    let launcher = Launcher::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(audit::measure(rounds, &launcher, scratch.path()))?;
    print!("{report}");
    Ok(report.tally.wrong)
}

/// What many keys cost: how many answers were wrong.
fn run_keys(rounds: usize, many: usize) -> Outcome<u64> {
    let scratch = tempfile::tempdir()?;
    let launcher = Launcher::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(keys::measure(rounds, many, &launcher, scratch.path()))?;
    print!("{report}");
    Ok(report.tally.wrong)
}

async fn measure_all(
    rounds: usize,
    gateway: &Gateway,
    starts: Vec<f64>,
    launcher: &Launcher,
    scratch: &Path,
) -> Outcome<Report> {
    let mut requests = Requests::new(gateway.caller.clone(), gateway.key_id.clone())?;
    let mut servers = start_servers(gateway, launcher, requests.honest()?, scratch).await?;
    for server in &mut servers {
        server.memory(requests.honest()?).await?;
    }
    let mut tally = Tally::default();
    for server in &servers {
        tally.add(server.warm_up(&requests.fresh()?).await?.tally);
    }
    let ticks = measure::machine_ticks()?;
    for round in 0..rounds {
        for place in 0..servers.len() {
            let index = (round + place) % servers.len();
            if let Some(server) = servers.get_mut(index) {
                let [closed, open] = server.round(&requests.fresh()?).await?;
                tally.add(closed.tally);
                tally.add(open.tally);
            }
        }
    }
    let stolen = measure::stolen_since(ticks)?;
    let way = Way::find();
    for server in &mut servers {
        tally.add(server.calls(&requests.fresh()?, way, scratch).await?.tally);
    }
    let notes = vec![
        format!("{} keep-alive connections; {}", load::CONNECTIONS, launcher.cores),
        format!("System calls: {}", way.describe()),
    ];
    let [bare, again, gateway] = servers.map(|server| server.figures);
    Ok(Report { bare, again, gateway, starts, notes, tally, stolen })
}

/// Starts the gateway, looks at one of its answers, and starts bare hyper twice with answers of that size.
async fn start_servers(
    gateway: &Gateway,
    launcher: &Launcher,
    request: &Request,
    scratch: &Path,
) -> Outcome<[Server; 3]> {
    let product = Server::new("gateway", gateway.start(launcher)?, gateway.address, DATA_KEY)?;
    let mut connection = Connection::open(gateway.address).await?;
    let answer = connection.exchange(&request.bytes).await?;
    if let Some(wrong) = DATA_KEY.mismatch(&answer, false) {
        return Err(wrong.into());
    }
    let (headers, length) = (answer.own_headers()?, answer.body.len());
    // The expectation is copied to every connection; this process ends with the run.
    let body: &'static str = "x".repeat(length).leak();
    let bare = |name| -> Outcome<Server> {
        let script = server_bare::Script { listen: free_address()?, headers: headers.clone(), body: body.to_owned() };
        let arguments = [server_bare::ARGUMENT, &serde_json::to_string(&script)?];
        let process = launcher.start(&std::env::current_exe()?, &arguments, &scratch.join("bare.log"))?;
        Server::new(name, process, script.listen, Expected::Constant(body.as_bytes()))
    };
    Ok([bare("bare hyper")?, bare("bare hyper again")?, product])
}
