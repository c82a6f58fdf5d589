//! `cargo bench --bench forward`: what the gateway costs in front of a KMS, beyond a proxy that checks nothing.
//!
//! Four servers forward the same requests to the same upstream: a proxy on hyper, it once more (whatever the two
//! differ in is noise), nginx, and the gateway with SigV4, policy, limits, audit to a file and a signature of its own.
//! Rounds alternate in rotating order, so that a noisy minute of the machine meets all of them. It prints ratios and
//! compares them with the targets; a target that is not met is no failure, a wrong answer is one.

#[path = "../children.rs"]
#[expect(dead_code, reason = "the benchmark `gateway` ends servers that are to say how they ended")]
mod children;
#[path = "../connection.rs"]
#[expect(dead_code, reason = "the benchmark `gateway` looks at answers outside of a load too")]
mod connection;
#[path = "../figures.rs"]
mod figures;
mod gateway;
#[path = "../load.rs"]
mod load;
#[path = "../measure.rs"]
mod measure;
mod nginx;
mod peer;
mod proxy;
mod report;
#[path = "../requests.rs"]
mod requests;
#[path = "../rounds.rs"]
mod rounds;
#[path = "../server.rs"]
mod server;
#[path = "../setup.rs"]
mod setup;
#[path = "../syscalls.rs"]
mod syscalls;
#[path = "../tables.rs"]
mod tables;
mod upstream;

use std::path::Path;
use std::process::ExitCode;

use children::Launcher;
use gateway::Gateway;
use load::Tally;
use nginx::Nginx;
use peer::Peer;
use report::Report;
use requests::Requests;
use syscalls::Way;
use upstream::Upstream;

/// A result whose error is told to the operator.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The upstream runs on the client's core.
const CLIENT_SHARES_ITS_CORE: bool = true;

const USAGE: &str = "usage: cargo bench --bench forward [-- [--quick] [--without-gateway]]
  --quick            2 rounds instead of 9: shows that the benchmark works, and no more
  --without-gateway  only the proxies that check nothing";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "--bench").collect();
    let outcome = match words.as_slice() {
        [upstream::ARGUMENT, script] => upstream::run(script).map(|()| true),
        [proxy::ARGUMENT, script] => proxy::run(script).map(|()| true),
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
    gateway: bool,
}

impl Plan {
    fn read(words: &[&str]) -> Outcome<Self> {
        let mut plan = Self { rounds: 9, gateway: true };
        for word in words {
            match *word {
                "--quick" => plan.rounds = 2,
                "--without-gateway" => plan.gateway = false,
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
        let nginx = Nginx::find();
        if nginx.is_none() {
            println!("{}", nginx::MISSING);
        }
        let scratch = tempfile::tempdir()?;
        let launcher = Launcher::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(self.measure(nginx.as_ref(), &launcher, scratch.path()))?;
        print!("{report}");
        Ok(report.sound())
    }

    async fn measure(&self, nginx: Option<&Nginx>, launcher: &Launcher, scratch: &Path) -> Outcome<Report> {
        let mut upstream = Upstream::start(gateway::KEY_ARN, scratch).await?;
        let gateway = Gateway::prepare(&scratch.join("gateway"), upstream.address)?;
        let mut requests = Requests::new(gateway.caller.clone(), gateway::KEY_ARN.to_owned())?;
        let mut peers = vec![
            Peer::proxy(report::PROXY, launcher, &upstream, scratch)?,
            Peer::proxy(report::AGAIN, launcher, &upstream, scratch)?,
        ];
        peers.extend(nginx.map(|nginx| Peer::nginx(nginx, launcher, &upstream, scratch)).transpose()?);
        if self.gateway {
            peers.push(Peer::gateway(&gateway, launcher, &upstream)?);
        }
        let mut tally = Tally::default();
        for peer in &mut peers {
            tally.add(peer.prepare(&mut requests).await?);
        }
        let ticks = measure::machine_ticks()?;
        for round in 0..self.rounds {
            for place in 0..peers.len() {
                let index = (round + place) % peers.len();
                if let Some(peer) = peers.get_mut(index) {
                    tally.add(peer.round(&requests.fresh()?, &mut upstream).await?);
                }
            }
        }
        let stolen = measure::stolen_since(ticks)?;
        let way = Way::find();
        for peer in &mut peers {
            tally.add(peer.server.calls(&requests.fresh()?, way, scratch).await?.tally);
        }
        let mut notes = vec![
            format!("{} keep-alive connections; {}, with the upstream", load::CONNECTIONS, launcher.cores),
            format!("System calls: {}", way.describe()),
        ];
        notes.extend(nginx.map(|nginx| nginx.version.clone()));
        let servers = peers.into_iter().map(Peer::measured).collect();
        Ok(Report { servers, notes, tally, stolen })
    }
}
