//! What the audit trail costs: gateways that differ in it alone, beside one without any. Rounds rotate, and the one
//! without runs twice.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use crate::Outcome;
use crate::children::Launcher;
use crate::gateway::{DATA_KEY, Gateway};
use crate::load::{CONNECTIONS, Tally};
use crate::measure;
use crate::requests::Requests;
use crate::rounds::Figures;
use crate::server::Server;
use crate::server_unrecorded::{ARGUMENT, ARGUMENT_TOGETHER};
use crate::tables::{CLOSED, QUIET, answers, least, table, targets};

/// The gateways: a name, how it is started if it is to have no trail, and the lines of its `[audit]`.
///
/// Answers wait for their records until all that are ready have theirs, and then leave together; client and kernel are
/// woken less often, which is worth more than a record costs. So the yardstick does that too, and records nothing.
const GATEWAYS: [(&str, Option<&str>, &str); 7] = [
    ("no audit", Some(ARGUMENT_TOGETHER), ""),
    ("no audit again", Some(ARGUMENT_TOGETHER), ""),
    ("no audit, answers at once", Some(ARGUMENT), ""),
    ("queued, chained", None, "durability = 'queued'"),
    ("written, without chain", None, "chain = false"),
    ("written, chained", None, ""),
    ("synced, chained", None, "durability = 'synced'"),
];

/// All gateways' figures.
pub(crate) struct Report {
    figures: Vec<Figures>,
    /// What all answers of the run were.
    pub(crate) tally: Tally,
    stolen: f64,
    cores: String,
}

/// All of it.
pub(crate) async fn measure(rounds: usize, launcher: &Launcher, scratch: &Path) -> Outcome<Report> {
    let mut running = Vec::new();
    for (index, (name, unrecorded, audit)) in GATEWAYS.into_iter().enumerate() {
        let directory = scratch.join(index.to_string());
        std::fs::create_dir(&directory)?;
        let gateway = Gateway::prepare_with(&directory, audit)?;
        let process = match unrecorded {
            Some(argument) => gateway.start_unrecorded(launcher, argument)?,
            None => gateway.start(launcher)?,
        };
        let server = Server::new(name, process, gateway.address, DATA_KEY)?;
        let requests = Requests::new(gateway.caller.clone(), gateway.key_id.clone())?;
        running.push((gateway, server, requests));
    }
    let mut tally = Tally::default();
    for (_, server, requests) in &mut running {
        tally.add(server.warm_up(&requests.fresh()?).await?.tally);
    }
    let ticks = measure::machine_ticks()?;
    for round in 0..rounds {
        for place in 0..running.len() {
            let index = (round + place) % running.len();
            let Some((gateway, server, requests)) = running.get_mut(index) else { continue };
            for load in server.round(&requests.fresh()?).await? {
                tally.add(load.tally);
            }
            // Many loads would fill the disk.
            gateway.empty_audit()?;
        }
    }
    let stolen = measure::stolen_since(ticks)?;
    let figures = running.into_iter().map(|(_, server, _)| server.figures).collect();
    Ok(Report { figures, tally, stolen, cores: launcher.cores.clone() })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat the audit trail costs. {CONNECTIONS} keep-alive connections; {}", self.cores)?;
        let Some(rounds) = self.figures.first().map(|none| none.rounds.len()) else { return Ok(()) };
        writeln!(f, "Closed loop. Each figure: median (min-max) of {rounds} rounds")?;
        let servers: Vec<&Figures> = self.figures.iter().collect();
        let [none, again, _, _, unchained, written, synced] = servers.as_slice() else { return Ok(()) };
        table(f, &CLOSED, &servers, &[none, written])?;
        let same = again.ratio(none, |round| round.processor);
        writeln!(f, "\nNoise: the same twice, processor time {same}; {:.1} % stolen by the host", self.stolen * 100.0)?;
        let verdict = if QUIET.contains(&same.median) { "the run holds" } else { "DISCARD THIS RUN" };
        writeln!(f, "Verdict: {verdict} (median to be within {:.2}-{:.2})", QUIET.start(), QUIET.end())?;
        answers(f, &self.tally)?;
        let rows = [
            least("requests/s written by no audit's", 0.92, unchained.ratio(none, |round| round.rate).median),
            least("the same, chained", 0.85, written.ratio(none, |round| round.rate).median),
            least("requests/s synced by written's", 0.5, synced.ratio(written, |round| round.rate).median),
        ];
        targets(f, &rows)
    }
}
