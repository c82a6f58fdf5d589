//! What forwarding costs, as text: tables, the noise that tells whether they hold, and the targets.

use std::fmt::{self, Display, Formatter};

use crate::load::Tally;
use crate::measure::{Spread, approximate};
use crate::rounds::{Figures, Round};
use crate::server::OPEN_RATE;
use crate::tables::{CLOSED, OPEN, QUIET, SATURATED, answers, least, memory, most, system_calls, table, targets};

/// The yardstick.
pub(crate) const PROXY: &str = "hyper proxy";
/// The yardstick again.
pub(crate) const AGAIN: &str = "hyper proxy again";
/// The peer.
pub(crate) const NGINX: &str = "nginx";
/// The gateway.
pub(crate) const GATEWAY: &str = "kmsgate";

/// One server.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Its figures.
    pub(crate) figures: Figures,
    /// How many requests it had to forward in its rounds.
    pub(crate) due: u64,
    /// How many arrived at the upstream.
    pub(crate) arrived: u64,
}

/// The whole run.
#[derive(Debug)]
pub(crate) struct Report {
    /// The bare proxy, it again, and those that were there of nginx and the gateway.
    pub(crate) servers: Vec<Measured>,
    /// How load, machine and counts came about, a line each.
    pub(crate) notes: Vec<String>,
    /// What all answers of the run were.
    pub(crate) tally: Tally,
    /// The part of the machine's time that its host gave to others.
    pub(crate) stolen: f64,
}

impl Report {
    /// Whether every answer was right, and what had to be forwarded was, and nothing else.
    pub(crate) fn sound(&self) -> bool {
        self.tally.wrong == 0 && self.servers.iter().all(Measured::sound)
    }

    fn named(&self, name: &str) -> Option<&Figures> {
        self.servers.iter().map(|server| &server.figures).find(|figures| figures.name == name)
    }
}

impl Measured {
    /// One request in a hundred is forged: a gateway that forwards these, or another twice, is not sound.
    fn sound(&self) -> bool {
        self.due > 0 && self.arrived == self.due
    }

    /// What arrived by what was due.
    fn share(&self) -> f64 {
        approximate(self.arrived) / approximate(self.due.max(1))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        let servers: Vec<&Figures> = self.servers.iter().map(|server| &server.figures).collect();
        let bases: Vec<&Figures> = [PROXY, NGINX].into_iter().filter_map(|name| self.named(name)).collect();
        let rounds = servers.first().map_or(0, |server| server.rounds.len());
        writeln!(f, "\nClosed loop. Each figure: median (min-max) of {rounds} rounds")?;
        table(f, &CLOSED, &servers, &bases)?;
        writeln!(f, "\nOpen loop at {OPEN_RATE} requests/s, latency counted from when a request was due")?;
        table(f, &OPEN, &servers, &bases)?;
        self.added(f)?;
        system_calls(f, &servers, &bases)?;
        memory(f, &servers)?;
        self.noise(f)?;
        self.saturation(f)?;
        self.forwarded(f)?;
        answers(f, &self.tally)?;
        self.targets(f)
    }
}

impl Report {
    fn added(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (one, other) in [(AGAIN, PROXY), (GATEWAY, NGINX)] {
            if let (Some(own), Some(its)) = (self.named(one), self.named(other)) {
                writeln!(f, "{one} - {other}, p50 us: {}", beyond(own, its))?;
            }
        }
        Ok(())
    }

    fn noise(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Some(proxy), Some(again)) = (self.named(PROXY), self.named(AGAIN)) else { return Ok(()) };
        let [rate, processor] = [|round: &Round| round.rate, |round: &Round| round.processor]
            .map(|figure: fn(&Round) -> f64| again.ratio(proxy, figure));
        let stolen = self.stolen * 100.0;
        writeln!(
            f,
            "\nNoise: the same proxy twice, requests/s {rate}, processor time {processor}; {stolen:.1} % stolen by the host"
        )?;
        let quiet = [rate, processor].iter().all(|spread| QUIET.contains(&spread.median));
        let verdict = if quiet { "the run holds" } else { "THIS RUN IS NOT TO BE TRUSTED: the machine was too noisy" };
        writeln!(f, "Verdict: {verdict} (medians to be within {:.2}-{:.2})", QUIET.start(), QUIET.end())
    }

    fn saturation(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Measured { figures, .. } in &self.servers {
            let busy = figures.spread(|round| round.busy).median;
            if busy < SATURATED {
                writeln!(
                    f,
                    "Note: {} had only {busy:.2} of its core: client and upstream bounded it, or other programs took \
                     the rest; its rate is not to be quoted",
                    figures.name
                )?;
            }
        }
        Ok(())
    }

    fn forwarded(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for server in &self.servers {
            let Measured { figures, due, arrived } = server;
            let verdict = if server.sound() { "" } else { "  WRONG" };
            writeln!(
                f,
                "{}: {arrived} requests arrived at the upstream, {due} had to ({:.4}){verdict}",
                figures.name,
                server.share()
            )?;
        }
        Ok(())
    }

    fn targets(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Some(proxy), Some(gateway)) = (self.named(PROXY), self.named(GATEWAY)) else { return Ok(()) };
        // By a proxy on hyper-util's client, which these two were set for; one with a pool for each thread takes a tenth
        // less time.
        let mut rows = vec![
            least("requests/s by hyper proxy's", 0.70, gateway.ratio(proxy, |round| round.rate).median),
            most("processor time by hyper proxy's", 1.45, gateway.ratio(proxy, |round| round.processor).median),
        ];
        if let Some(nginx) = self.named(NGINX) {
            rows.push(most("added p50 over nginx, us", 25.0, beyond(gateway, nginx).median));
        }
        targets(f, &rows)
    }
}

/// How much longer callers of `one` wait than those of `other`, open loop: p50 in microseconds, round by round.
fn beyond(one: &Figures, other: &Figures) -> Spread {
    Spread::of(one.rounds.iter().zip(&other.rounds).map(|(own, its)| own.open[0] - its.open[0]))
}
