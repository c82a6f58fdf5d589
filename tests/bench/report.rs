//! The figures as text: tables, the noise that tells whether they hold, and the targets.

use std::fmt::{self, Display, Formatter};

use crate::load::Tally;
use crate::measure::{Spread, approximate};
use crate::server::{IDLE_CONNECTIONS, OPEN_RATE};
use crate::syscalls::Counts;

/// Outside of this an A/A comparison of processor time says that the machine was too noisy.
pub(crate) const QUIET: std::ops::RangeInclusive<f64> = 0.97..=1.03;
/// A server under closed loop that has less of its core than this does not show what it can do.
const SATURATED: f64 = 0.9;

/// One server's figures of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Requests a second, closed loop.
    pub(crate) rate: f64,
    /// Processor time of the server for one request, in microseconds, closed loop.
    pub(crate) processor: f64,
    /// The same of the client.
    pub(crate) client: f64,
    /// The part of its core that the server used, closed loop.
    pub(crate) busy: f64,
    /// Latency in microseconds, closed loop: median and 99th percentile.
    pub(crate) closed: [f64; 2],
    /// The same, open loop.
    pub(crate) open: [f64; 2],
}

/// A server's resident memory in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// After start and one request.
    pub(crate) idle: u64,
    /// With [`IDLE_CONNECTIONS`] open connections that have had one answer each.
    pub(crate) connected: u64,
    /// After all rounds.
    pub(crate) loaded: u64,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// In the order of time.
    pub(crate) rounds: Vec<Round>,
    /// Its system calls.
    pub(crate) calls: Counts,
    /// Its memory.
    pub(crate) memory: Memory,
}

/// The whole run.
#[derive(Debug)]
pub(crate) struct Report {
    /// The yardstick.
    pub(crate) bare: Figures,
    /// The yardstick again.
    pub(crate) again: Figures,
    /// The gateway.
    pub(crate) gateway: Figures,
    /// Milliseconds from spawn to the first signed answer.
    pub(crate) starts: Vec<f64>,
    /// How load, machine and counts came about, a line each.
    pub(crate) notes: Vec<String>,
    /// What all answers of the run were.
    pub(crate) tally: Tally,
    /// The part of the machine's time that its host gave to others.
    pub(crate) stolen: f64,
}

impl Figures {
    /// Of a server that has just started.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new(), calls: Counts::default(), memory: Memory::default() }
    }

    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }

    /// Each round's figure by the same round's figure of `other`.
    fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().zip(&other.rounds).map(|(own, its)| figure(own) / figure(its)))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        self.closed_loop(f)?;
        self.open_loop(f)?;
        self.system_calls(f)?;
        self.memory_and_start(f)?;
        self.noise(f)?;
        self.targets(f)
    }
}

type Column = (&'static str, fn(&Round) -> f64);

impl Report {
    fn closed_loop(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let columns: [Column; 6] = [
            ("1000 requests/s", |round| round.rate / 1000.0),
            ("server us/request", |round| round.processor),
            ("p50 us", |round| round.closed[0]),
            ("p99 us", |round| round.closed[1]),
            ("core in use", |round| round.busy),
            ("client us/request", |round| round.client),
        ];
        writeln!(f, "\nClosed loop. Each figure: median (min-max) of {} rounds", self.bare.rounds.len())?;
        self.table(f, &columns)
    }

    fn open_loop(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let columns: [Column; 2] = [("p50 us", |round| round.open[0]), ("p99 us", |round| round.open[1])];
        writeln!(f, "\nOpen loop at {OPEN_RATE} requests/s, latency counted from when a request was due")?;
        self.table(f, &columns)
    }

    fn table(&self, f: &mut Formatter<'_>, columns: &[Column]) -> fmt::Result {
        line(f, "", columns.iter().map(|(title, _)| (*title).to_owned()))?;
        for server in [&self.bare, &self.again, &self.gateway] {
            line(f, server.name, columns.iter().map(|(_, figure)| server.spread(figure).to_string()))?;
        }
        for server in [&self.again, &self.gateway] {
            let name = format!("{} / {}", server.name, self.bare.name);
            line(f, &name, columns.iter().map(|(_, figure)| server.ratio(&self.bare, figure).to_string()))?;
        }
        Ok(())
    }

    fn system_calls(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nSystem calls for each request, and their ratio to {}'s", self.bare.name)?;
        let base = self.bare.calls.each(self.bare.calls.total);
        for Figures { name, calls, .. } in [&self.bare, &self.again, &self.gateway] {
            let each = calls.each(calls.total);
            write!(f, "{name:34}{each:.3}  {:.2} ", each / base)?;
            for (name, count) in calls.named.iter().filter(|(_, count)| *count > 0) {
                write!(f, "  {name} {:.4}", calls.each(*count))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn memory_and_start(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nResident memory, MiB (VmRSS)")?;
        let titles = ["idle".to_owned(), format!("{IDLE_CONNECTIONS} connections"), "after the load".to_owned()];
        line(f, "", titles.into_iter())?;
        for server in [&self.bare, &self.again, &self.gateway] {
            let Memory { idle, connected, loaded } = server.memory;
            line(f, server.name, [idle, connected, loaded].into_iter().map(|kib| format!("{:.1}", mebi(kib))))?;
        }
        let starts = Spread::of(self.starts.iter().copied());
        writeln!(f, "\nSpawn to first signed answer, ms: {starts} of {} starts", self.starts.len())
    }

    fn noise(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let same = self.again.ratio(&self.bare, |round| round.processor);
        writeln!(
            f,
            "\nNoise: the same server twice, processor time {same}; {:.1} % stolen by the host",
            self.stolen * 100.0
        )?;
        let verdict =
            if QUIET.contains(&same.median) { "the run holds" } else { "DISCARD THIS RUN: the machine was too noisy" };
        writeln!(f, "Verdict: {verdict} (median to be within {:.2}-{:.2})", QUIET.start(), QUIET.end())?;
        let (busy, own) = (self.bare.spread(|round| round.busy).median, self.bare.spread(|round| round.client).median);
        if own > self.bare.spread(|round| round.processor).median {
            writeln!(
                f,
                "Note: the client needs more time than bare hyper and bounds its rate: the ratio of rates flatters"
            )?;
        } else if busy < SATURATED {
            writeln!(
                f,
                "Note: bare hyper had only {busy:.2} of its core: other programs took the rest, rates are not to be quoted"
            )?;
        }
        answers(f, &self.tally)
    }

    fn targets(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (gateway, bare) = (&self.gateway, &self.bare);
        let rate = gateway.ratio(bare, |round| round.rate).median;
        let rows = [
            ("requests/s by bare hyper's", "at least", 0.65, rate, rate >= 0.65),
            most("processor time by bare hyper's", 1.55, gateway.ratio(bare, |round| round.processor).median),
            most("memory idle, MiB", 12.0, mebi(gateway.memory.idle)),
            most("memory with 1000 connections, MiB", 40.0, mebi(gateway.memory.connected)),
            most("spawn to first signed answer, ms", 60.0, Spread::of(self.starts.iter().copied()).median),
        ];
        targets(f, &rows)
    }
}

/// A target: its name, `at least` or `at most`, the limit, what was measured, and whether that meets it.
type Target = (&'static str, &'static str, f64, f64, bool);

/// A target that is met by `limit` or less.
pub(crate) fn most(name: &'static str, limit: f64, measured: f64) -> Target {
    (name, "at most", limit, measured, measured <= limit)
}

/// The targets, a line each.
pub(crate) fn targets(f: &mut Formatter<'_>, rows: &[Target]) -> fmt::Result {
    writeln!(f, "\nTargets")?;
    for (name, bound, limit, measured, met) in rows {
        writeln!(f, "{name:34}{bound:>9} {limit:<6} {measured:>8.2}  {}", if *met { "met" } else { "NOT MET" })?;
    }
    Ok(())
}

/// What the answers of a run were.
pub(crate) fn answers(f: &mut Formatter<'_>, tally: &Tally) -> fmt::Result {
    let Tally { answers, forged, wrong, first_wrong } = tally;
    writeln!(f, "Answers checked: {answers}, of them {forged} to forged requests; wrong: {wrong}")?;
    first_wrong.iter().try_for_each(|first| writeln!(f, "First wrong answer: {first}"))
}

/// A row of a table.
pub(crate) fn line(f: &mut Formatter<'_>, name: &str, cells: impl Iterator<Item = String>) -> fmt::Result {
    write!(f, "{name:34}")?;
    for cell in cells {
        write!(f, "{cell:23}")?;
    }
    writeln!(f)
}

/// KiB as MiB.
pub(crate) fn mebi(kib: u64) -> f64 {
    approximate(kib) / 1024.0
}
