//! What many keys cost, as text.

use std::fmt::{self, Display, Formatter};

use crate::keys::{LOADS, WRITERS};
use crate::load::Tally;
use crate::measure::{Spread, approximate};
use crate::server::OPEN_RATE;
use crate::tables::{QUIET, answers, line, mebi, most, targets};

/// One load, a figure a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Processor time of the gateway for one request, in microseconds.
    pub(crate) processor: Vec<f64>,
    /// Requests a second.
    pub(crate) rate: Vec<f64>,
}

/// How long callers waited in one round, in microseconds: median and 99th percentile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// For data keys, while nothing else was asked.
    pub(crate) quiet: [f64; 2],
    /// For data keys, while keys were changed.
    pub(crate) storm: [f64; 2],
    /// For data keys, after that.
    pub(crate) again: [f64; 2],
    /// For changes.
    pub(crate) change: [f64; 2],
    /// How many changes were made.
    pub(crate) changes: u64,
    /// In how many seconds.
    pub(crate) seconds: f64,
}

/// One gateway and its store.
#[derive(Debug)]
pub(crate) struct Store {
    /// How many keys it has.
    pub(crate) keys: usize,
    /// Changes a second, while the keys were made.
    pub(crate) rate: f64,
    /// How long that took, in seconds.
    pub(crate) seconds: f64,
    /// The length of its file in bytes.
    pub(crate) file: u64,
    /// Resident memory after start and one request, in KiB.
    pub(crate) resident: u64,
    /// Milliseconds from spawn to the first signed answer.
    pub(crate) starts: Vec<f64>,
    /// The rounds of data keys under changes.
    pub(crate) waits: Vec<Waits>,
    /// How many commits all its changes came to.
    pub(crate) commits: u64,
}

/// The whole part.
#[derive(Debug)]
pub(crate) struct Report {
    /// One key, one key again, all keys.
    pub(crate) stores: Vec<Store>,
    /// In the order of [`LOADS`].
    pub(crate) loads: Vec<Figures>,
    /// What all answers were.
    pub(crate) tally: Tally,
    /// The part of the machine's time that its host gave to others.
    pub(crate) stolen: f64,
}

impl Report {
    /// Of gateways that were not loaded yet.
    pub(crate) fn new(stores: Vec<Store>) -> Self {
        Self { stores, loads: vec![Figures::default(); LOADS.len()], tally: Tally::default(), stolen: 0.0 }
    }

    /// Each round's processor time of one load by that of another.
    fn ratio(&self, load: usize, by: usize) -> Spread {
        match (self.loads.get(load), self.loads.get(by)) {
            (Some(load), Some(by)) => Spread::of(load.processor.iter().zip(&by.processor).map(|(own, its)| own / its)),
            _ => Spread::of([]),
        }
    }
}

impl Store {
    /// Bytes of resident memory for each key that this store has and `small` has not.
    fn memory_each(&self, small: &Self) -> f64 {
        let [own, its] = [self.resident, small.resident].map(|kib| approximate(kib) * 1024.0);
        (own - its) / approximate((self.keys - small.keys) as u64)
    }

    fn start(&self) -> Spread {
        Spread::of(self.starts.iter().copied())
    }

    fn waits(&self, figure: impl Fn(&Waits) -> f64) -> Spread {
        Spread::of(self.waits.iter().map(figure))
    }

    /// The median of p99 under changes, each by the mean of its quiet ones before and after.
    fn slower(&self) -> Spread {
        self.waits(|waits| waits.storm[1] / f64::midpoint(waits.quiet[1], waits.again[1]))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [one, _, all] = self.stores.as_slice() else { return Ok(()) };
        writeln!(f, "\nMany keys: {} in one store, each with an alias and two tags", all.keys)?;
        writeln!(
            f,
            "Made at {:.0} changes/s in {:.1} s (CreateKey, CreateAlias); the store's file has {:.1} MiB",
            all.rate,
            all.seconds,
            mebi(all.file / 1024)
        )?;
        memory_and_start(f, one, all)?;
        self.closed_loop(f)?;
        open_loop(f, one, all)?;
        self.noise(f)?;
        targets(
            f,
            &[
                most("first signed answer, all keys, ms", 1000.0, all.start().median),
                most("memory for each key, bytes", 1024.0, all.memory_each(one)),
                most("processor time by one key's, id", 1.15, self.ratio(2, 0).median),
                most("processor time by one key's, alias", 1.15, self.ratio(4, 3).median),
                most("p99 under changes by quiet, one", 2.0, one.slower().median),
                most("p99 under changes by quiet, all", 2.0, all.slower().median),
            ],
        )
    }
}

impl Report {
    fn closed_loop(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rounds = self.loads.first().map_or(0, |load| load.processor.len());
        writeln!(f, "\nClosed loop, keys in random order. Each figure: median (min-max) of {rounds} rounds")?;
        let titles = ["server us/request", "by one key's", "1000 requests/s"];
        line(f, "", titles.into_iter().map(str::to_owned))?;
        for (index, ((name, ..), load)) in LOADS.iter().zip(&self.loads).enumerate() {
            let one = if index < 3 { 0 } else { 3 };
            let by = if index == one { String::new() } else { self.ratio(index, one).to_string() };
            let rate = Spread::of(load.rate.iter().map(|rate| rate / 1000.0));
            let processor = Spread::of(load.processor.iter().copied());
            line(f, name, [processor.to_string(), by, rate.to_string()].into_iter())?;
        }
        Ok(())
    }

    fn noise(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let same = self.ratio(1, 0);
        let verdict = if QUIET.contains(&same.median) { "the run holds" } else { "DISCARD THIS RUN" };
        let stolen = self.stolen * 100.0;
        writeln!(f, "\nNoise: one key twice, processor time {same}; {stolen:.1} % stolen by the host: {verdict}")?;
        answers(f, &self.tally)
    }
}

fn memory_and_start(f: &mut Formatter<'_>, one: &Store, all: &Store) -> fmt::Result {
    writeln!(f)?;
    let titles = ["memory idle, MiB", "each key, bytes", "first signed answer, ms"];
    line(f, "", titles.into_iter().map(str::to_owned))?;
    for (name, store) in [("one key", one), ("all keys", all)] {
        let each = if store.keys == one.keys { String::new() } else { format!("{:.0}", store.memory_each(one)) };
        let memory = format!("{:.1}", mebi(store.resident));
        line(f, name, [memory, each, store.start().to_string()].into_iter())?;
    }
    Ok(())
}

type Column = (&'static str, fn(&Waits) -> f64);

fn open_loop(f: &mut Formatter<'_>, one: &Store, all: &Store) -> fmt::Result {
    writeln!(
        f,
        "\nOpen loop at {OPEN_RATE} requests/s: quiet, while {WRITERS} connections change keys, and quiet again"
    )?;
    let columns: [Column; 8] = [
        ("quiet p50 us", |waits| waits.quiet[0]),
        ("quiet p99 us", |waits| waits.quiet[1]),
        ("changes p50 us", |waits| waits.storm[0]),
        ("changes p99 us", |waits| waits.storm[1]),
        ("again p99 by quiet", |waits| waits.again[1] / waits.quiet[1]),
        ("a change, p50 us", |waits| waits.change[0]),
        ("a change, p99 us", |waits| waits.change[1]),
        ("changes/s", |waits| approximate(waits.changes) / waits.seconds),
    ];
    line(f, "", columns.iter().map(|(title, _)| (*title).to_owned()))?;
    for (name, store) in [("one key", one), ("all keys", all)] {
        line(f, name, columns.iter().map(|(_, figure)| store.waits(figure).to_string()))?;
    }
    for (name, store) in [("one key", one), ("all keys", all)] {
        let (changes, seconds): (u64, f64) =
            store.waits.iter().fold((0, 0.0), |sum, waits| (sum.0 + waits.changes, sum.1 + waits.seconds));
        let each = approximate(changes) / approximate(store.commits.max(1));
        let rate = approximate(store.commits) / seconds;
        writeln!(f, "{name}: p99 under changes by quiet {}; {rate:.0} commits/s of {each:.1} changes", store.slower())?;
    }
    Ok(())
}
