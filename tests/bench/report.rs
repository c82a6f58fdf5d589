//! What a request costs, as text: tables, the noise that tells whether they hold, and the targets.

use std::fmt::{self, Display, Formatter};

use crate::load::Tally;
use crate::measure::Spread;
use crate::rounds::Figures;
use crate::server::OPEN_RATE;
use crate::tables::{CLOSED, OPEN, QUIET, SATURATED, answers, least, mebi, memory, most, system_calls, table, targets};

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

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        let (servers, base) = ([&self.bare, &self.again, &self.gateway], [&self.bare]);
        writeln!(f, "\nClosed loop. Each figure: median (min-max) of {} rounds", self.bare.rounds.len())?;
        table(f, &CLOSED, &servers, &base)?;
        writeln!(f, "\nOpen loop at {OPEN_RATE} requests/s, latency counted from when a request was due")?;
        table(f, &OPEN, &servers, &base)?;
        system_calls(f, &servers, &base)?;
        self.memory_and_start(f)?;
        self.noise(f)?;
        self.targets(f)
    }
}

impl Report {
    fn memory_and_start(&self, f: &mut Formatter<'_>) -> fmt::Result {
        memory(f, &[&self.bare, &self.again, &self.gateway])?;
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
        let rows = [
            least("requests/s by bare hyper's", 0.65, gateway.ratio(bare, |round| round.rate).median),
            most("processor time by bare hyper's", 1.55, gateway.ratio(bare, |round| round.processor).median),
            most("memory idle, MiB", 12.0, mebi(gateway.memory.idle)),
            most("memory with 1000 connections, MiB", 40.0, mebi(gateway.memory.connected)),
            most("spawn to first signed answer, ms", 60.0, Spread::of(self.starts.iter().copied()).median),
        ];
        targets(f, &rows)
    }
}
