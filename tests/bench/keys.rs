//! What many keys cost: a gateway with 100,000 of them beside one with a single key.
//!
//! Start, memory, processor time of data keys under keys drawn at random, and how long callers wait for data keys
//! while others change keys. As with bare hyper, one configuration runs twice, and rounds rotate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use kmsgate::random;

use crate::Outcome;
use crate::children::{Guard, Launcher};
use crate::gateway::DATA_KEY;
use crate::keys_report::{Figures, Report, Store, Waits};
use crate::load::{CONNECTIONS, Expected, Fleet, Load, Pace, Tally};
use crate::measure::{self, approximate};
use crate::population::{Names, Population};
use crate::requests::{Request, sign_each};
use crate::server::OPEN_RATE;

/// AWS's quota of keys in a region.
pub(crate) const MANY: usize = 100_000;
/// As many as show that the benchmark works.
pub(crate) const FEW: usize = 2000;
/// Connections that change keys, each keys of its own that no other request is about.
pub(crate) const WRITERS: usize = 4;
/// How many keys each of them changes, where there are many.
const CHANGED_EACH: usize = 250;
/// How long each load takes.
const ROUND: Duration = Duration::from_secs(1);
/// What is driven before the first round.
const WARM_UP: Duration = Duration::from_millis(300);
/// A server's time to become idle again.
const SETTLE: Duration = Duration::from_millis(300);
/// How often a start is measured.
const STARTS: usize = 5;

/// The gateways that run.
const GATEWAYS: [(&str, Size); 3] = [("one", Size::One), ("again", Size::One), ("many", Size::Many)];
const ONE: usize = 0;
const AGAIN: usize = 1;
const ALL: usize = 2;
/// The loads: a gateway and how requests name its keys.
pub(crate) const LOADS: [(&str, usize, By); 5] = [
    ("one key, by id", ONE, By::Id),
    ("one key again, by id", AGAIN, By::Id),
    ("all keys, by id", ALL, By::Id),
    ("one key, by alias", ONE, By::Alias),
    ("all keys, by alias", ALL, By::Alias),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    One,
    Many,
}

/// How a request names its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// By its id.
    Id,
    /// By its alias.
    Alias,
}

/// All of it, with `many` keys.
pub(crate) async fn measure(rounds: usize, many: usize, launcher: &Launcher, scratch: &Path) -> Outcome<Report> {
    let mut stores = Vec::new();
    let mut gateways = Vec::new();
    for (name, size) in GATEWAYS {
        let changed = if size == Size::One { WRITERS } else { WRITERS * CHANGED_EACH };
        let count = if size == Size::One { 1 + changed } else { many };
        let population = Population::make(&scratch.join(name), launcher, count).await?;
        let starts = (0..STARTS).map(|_| population.gateway.time_to_answer(launcher));
        let starts = starts.collect::<Outcome<Vec<f64>>>()?;
        let gateway = Running::start(population, changed, many, launcher).await?;
        stores.push(gateway.store(starts)?);
        gateways.push(gateway);
    }
    let mut report = Report::new(stores);
    for ((_, gateway, by), figures) in LOADS.iter().zip(&mut report.loads) {
        let gateway = gateways.get_mut(*gateway).ok_or("a load without a gateway")?;
        report.tally.add(gateway.closed_loop(*by, WARM_UP, figures).await?);
        *figures = Figures::default();
    }
    let ticks = measure::machine_ticks()?;
    for round in 0..rounds {
        for place in 0..LOADS.len() {
            let index = (round + place) % LOADS.len();
            let (Some((_, gateway, by)), Some(figures)) = (LOADS.get(index), report.loads.get_mut(index)) else {
                continue;
            };
            let gateway = gateways.get_mut(*gateway).ok_or("a load without a gateway")?;
            report.tally.add(gateway.closed_loop(*by, ROUND, figures).await?);
        }
        for place in 0..2 {
            let index = if (round + place) % 2 == 0 { ONE } else { ALL };
            let (Some(gateway), Some(store)) = (gateways.get_mut(index), report.stores.get_mut(index)) else {
                continue;
            };
            report.tally.add(gateway.open_loops(&mut store.waits).await?);
        }
    }
    report.stolen = measure::stolen_since(ticks)?;
    for (gateway, store) in gateways.into_iter().zip(&mut report.stores) {
        let (file, before) = (gateway.population.gateway.store(), gateway.revision);
        gateway.process.stop()?;
        store.commits = revision(&file)? - before;
    }
    Ok(report)
}

/// A gateway that runs.
struct Running {
    population: Population,
    process: Guard,
    /// How many keys, from the end, are changed and not used.
    changed: usize,
    /// How many requests are signed for a load, no matter on how many keys.
    requests: usize,
    /// Of its store, when it was started.
    revision: u64,
}

impl Running {
    async fn start(population: Population, changed: usize, requests: usize, launcher: &Launcher) -> Outcome<Self> {
        let revision = revision(&population.gateway.store())?;
        let mut process = population.gateway.start(launcher)?;
        drop(process.accepted(population.gateway.address)?);
        let gateway = Self { population, process, changed, requests, revision };
        let request = gateway.sign(By::Id, 1)?;
        let mut fleet = gateway.fleet(1, DATA_KEY).await?;
        fleet.touch(request.first().ok_or("no request was signed")?).await?;
        tokio::time::sleep(SETTLE).await;
        Ok(gateway)
    }

    fn store(&self, starts: Vec<f64>) -> Outcome<Store> {
        Ok(Store {
            keys: self.population.keys.len(),
            rate: self.population.rate(),
            seconds: self.population.seconds,
            file: std::fs::metadata(self.population.gateway.store())?.len(),
            resident: measure::resident_kib(self.process.pid())?,
            starts,
            waits: Vec::new(),
            commits: 0,
        })
    }

    /// One closed loop, its requests on the keys in an order of its own.
    async fn closed_loop(&mut self, by: By, length: Duration, figures: &mut Figures) -> Outcome<Tally> {
        let requests = self.sign(by, self.requests)?;
        let mut fleet = self.fleet(CONNECTIONS, DATA_KEY).await?;
        let before = measure::processor_nanos(self.process.pid())?;
        let load = fleet.drive(&requests, Pace::Closed, length).await?;
        let nanos = measure::processor_nanos(self.process.pid())? - before;
        self.population.gateway.empty_audit()?;
        let answers = approximate(load.tally.answers.max(1));
        figures.processor.push(approximate(nanos) / 1e3 / answers);
        figures.rate.push(answers / load.took.as_secs_f64());
        Ok(load.tally)
    }

    /// Three open loops: quiet, under a storm of changes, quiet again.
    async fn open_loops(&mut self, waits: &mut Vec<Waits>) -> Outcome<Tally> {
        let requests = self.sign(By::Id, self.requests)?;
        let mut fleet = self.fleet(CONNECTIONS, DATA_KEY).await?;
        let mut writers = self.writers().await?;
        let pace = Pace::Open(OPEN_RATE);
        let quiet = fleet.drive(&requests, pace, ROUND).await?;
        let (storm, changes) = tokio::join!(fleet.drive(&requests, pace, ROUND), storm(&mut writers));
        let (storm, changes) = (storm?, changes?);
        let again = fleet.drive(&requests, pace, ROUND).await?;
        self.population.gateway.empty_audit()?;
        let of = |load: &Load| [load.percentile(50), load.percentile(99)];
        waits.push(Waits {
            quiet: of(&quiet),
            storm: of(&storm),
            again: of(&again),
            change: of(&changes),
            changes: changes.tally.answers,
            seconds: changes.took.as_secs_f64(),
        });
        let mut tally = Tally::default();
        for load in [quiet, storm, again, changes] {
            tally.add(load.tally);
        }
        Ok(tally)
    }

    /// Connections that are to change keys, and what each is to send.
    async fn writers(&self) -> Outcome<Vec<(Fleet, Arc<[Request]>)>> {
        let (_, changed) = self.keys();
        let mut writers = Vec::with_capacity(WRITERS);
        for keys in changed.chunks(changed.len().div_ceil(WRITERS)) {
            let switches = keys.iter().flat_map(|key| ["DisableKey", "EnableKey"].map(|switch| (switch, key)));
            let sign = |(switch, key): (&str, &Names)| {
                self.population.gateway.keeper.sign(switch, &format!(r#"{{"KeyId": "{}"}}"#, key.id))
            };
            let requests = switches.map(sign).collect::<Outcome<_>>()?;
            writers.push((self.fleet(1, Expected::Constant(b"")).await?, requests));
        }
        Ok(writers)
    }

    /// Signs `count` requests on the keys that are not changed, in an order drawn for them.
    fn sign(&self, by: By, count: usize) -> Outcome<Arc<[Request]>> {
        let (used, _) = self.keys();
        let mut order: Vec<&Names> = used.iter().collect();
        for last in (1..order.len()).rev() {
            let drawn = u64::from_le_bytes(random::bytes().map_err(|error| error.to_string())?);
            order.swap(last, usize::try_from(drawn % (last as u64 + 1))?);
        }
        let names = order.into_iter().map(|key| match by {
            By::Id => key.id.as_str(),
            By::Alias => key.alias.as_str(),
        });
        sign_each(&self.population.gateway.caller, names.cycle().take(count))
    }

    /// The keys that are used, and those that are changed.
    fn keys(&self) -> (&[Names], &[Names]) {
        let keys = &self.population.keys;
        keys.split_at(keys.len() - self.changed)
    }

    async fn fleet(&self, connections: usize, expected: Expected) -> Outcome<Fleet> {
        Fleet::open(self.population.gateway.address, connections, expected).await
    }
}

/// Lets all of them change their keys, each the next as soon as the last is answered.
async fn storm(writers: &mut [(Fleet, Arc<[Request]>)]) -> Outcome<Load> {
    let loads = writers.iter_mut().map(|(fleet, requests)| fleet.drive(requests, Pace::Closed, ROUND));
    let mut all = Load::default();
    for load in try_join_all(loads).await? {
        all.tally.add(load.tally);
        all.took = all.took.max(load.took);
        all.latencies.extend(load.latencies);
    }
    all.latencies.sort_unstable();
    Ok(all)
}

/// How many commits there were to a store that is not in use.
fn revision(store: &Path) -> Outcome<u64> {
    let database = rusqlite::Connection::open(store)?;
    let revision: i64 = database.query_row("SELECT revision FROM header", [], |row| row.get(0))?;
    Ok(u64::try_from(revision)?)
}
