//! Follows a chain line by line: its links, its checkpoints and what is odd about them.

use std::time::Duration;

use super::checkpoint::{self, Checkpoint};
use super::expected::Expected;
use super::findings::{Findings, Place};
use super::head::Head;
use super::links::{Accused, Accuser, Linked, Links, Step};
use super::public_keys::PublicKeys;
use super::times::Times;
use crate::audit::line_end::{LineEnd, LineHash};
use crate::audit::own_event::{CHECKPOINT, REPAIRED};
use crate::clock::Timestamp;

/// So many chains are told apart; a gateway makes one, or one each time it is started if it writes to standard output.
const CHAINS: usize = 10_000;

/// A chain, or as much of it as was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its UUID, if a checkpoint says it.
    pub id: Option<String>,
    /// The number of its first line that was given.
    pub first: u64,
    /// The number of its last.
    pub last: u64,
    /// How many checkpoints are rightly signed.
    pub checkpoints: u64,
    /// The newest of them.
    pub newest: Option<Signed>,
    /// How many lines follow the newest checkpoint: they are chained, and not signed yet.
    pub unsigned: u64,
}

/// A checkpoint whose signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its number.
    pub sequence: u64,
    /// When it was made.
    pub time: Option<Timestamp>,
    /// The hash of its line.
    pub hash: LineHash,
}

/// Reads chains.
pub(super) struct Reader<'k> {
    keys: &'k PublicKeys,
    expected: Expected,
    pub(super) findings: Findings,
    chains: Vec<Chain>,
    links: Links,
    times: Times,
    /// Lines are missing since the newest checkpoint.
    gap: bool,
    store: Option<checkpoint::Store>,
    last: Option<Place>,
}

impl<'k> Reader<'k> {
    pub(super) fn new(keys: &'k PublicKeys, mut expected: Expected, interval: Duration) -> Self {
        expected.sort();
        let times = Times::new(interval);
        let (findings, chains, links) = Default::default();
        Self { keys, expected, findings, chains, links, times, gap: false, store: None, last: None }
    }

    /// What the next line should say.
    pub(super) fn next(&self) -> Option<(u64, LineHash)> {
        self.links.expected()
    }

    /// Takes the next line.
    pub(super) fn line(&mut self, line: &[u8], mut place: Place) {
        let hash = LineHash::of(line);
        let Some(end) = LineEnd::parse(line) else {
            let what =
                "this is no line of the trail: its end is not a sequence and a previousHash as the gateway writes them";
            self.findings.fault(place, what);
            return self.links.unreadable(hash, place);
        };
        place.sequence = Some(end.sequence);
        let head = Head::parse(line);
        let checkpoint = self.checkpoint(line, &end, head, place);
        if end.sequence == 1 && end.previous == LineHash::ZERO && checkpoint.as_ref().is_some_and(|it| self.is_new(it))
        {
            self.begin_another(place);
        }
        let signed = checkpoint.is_some();
        let linked = Linked { sequence: end.sequence, previous: end.previous, hash, place, signed };
        let (step, accused) = self.links.follow(linked);
        if let Some(accused) = accused {
            self.accuse(accused);
        }
        self.step(step, &end, signed, place);
        if matches!(step, Step::Astray(_)) {
            return;
        }
        self.last = Some(place);
        let time = self.times.line(head, signed, place, &mut self.findings);
        if head.is_some_and(|head| head.is(REPAIRED)) {
            self.findings
                .note("repaired", place, || "a crash left a line half-written here, which was kept".to_owned());
        }
        let Some(chain) = self.chains.last_mut() else { return };
        chain.last = end.sequence;
        chain.unsigned += 1;
        if let Some(checkpoint) = checkpoint {
            self.sign(checkpoint, Signed { sequence: end.sequence, time, hash }, place);
        }
    }

    /// Nothing follows.
    pub(super) fn end(mut self) -> (Findings, Vec<Chain>) {
        self.end_chain();
        let (first, last) = (self.chains.iter().map(|chain| chain.first), self.chains.iter().map(|chain| chain.last));
        let ends = first.min().zip(last.max());
        if ends.is_none() && self.findings.no_fault() {
            self.findings.fault(None, "there is no line in what was given");
        }
        self.expected.tell(ends, &mut self.findings);
        (self.findings, self.chains)
    }

    /// The checkpoint that the line is, if its signature is right; if it is wrong, that is told.
    fn checkpoint(
        &mut self,
        line: &[u8],
        end: &LineEnd<'_>,
        head: Option<Head<'_>>,
        place: Place,
    ) -> Option<Checkpoint> {
        let named = head.is_some_and(|head| head.is(CHECKPOINT));
        let read = match (&end.signature, named) {
            (None, false) => return None,
            (None, true) => Err("a checkpoint without its signature".to_owned()),
            (Some(_), false) => Err("a signature on a line that is no checkpoint".to_owned()),
            (Some(signature), true) => Checkpoint::read(line, signature, self.keys),
        };
        read.map_err(|what| self.findings.fault(place, what)).ok()
    }

    /// Whether it is of a chain that has not been read.
    fn is_new(&self, checkpoint: &Checkpoint) -> bool {
        let known = self.chains.iter().any(|chain| chain.id.as_ref() == Some(&checkpoint.chain));
        !known && (1..CHAINS).contains(&self.chains.len())
    }

    fn begin_another(&mut self, place: Place) {
        self.end_chain();
        (self.links, self.gap, self.store) = Default::default();
        let what = || "another chain begins; nothing shows that the one before it was complete".to_owned();
        self.findings.note("anotherChain", place, what);
    }

    fn end_chain(&mut self) {
        if let Some(accused) = self.links.end() {
            self.accuse(accused);
        }
        self.times.end(self.last, &mut self.findings);
        if let Some(chain) = self.chains.last()
            && chain.newest.is_none()
        {
            self.findings.fault(self.last, "no line of the chain is signed: there is no checkpoint in what was given");
        }
    }

    fn accuse(&mut self, Accused { place, by }: Accused) {
        let what = match by {
            Accuser::VouchedFor => "this line was changed: the next one holds the hash of another",
            Accuser::Signed => {
                "this line, or one between it and the checkpoint before, was changed: the signed checkpoint behind it \
                 holds the hash of another"
            }
            Accuser::Unknown => "this line or the next was changed: the next one holds the hash of another",
        };
        self.findings.fault(place, what);
    }

    fn step(&mut self, step: Step, end: &LineEnd<'_>, signed: bool, place: Place) {
        let sequence = end.sequence;
        match step {
            Step::First => self.first(sequence, signed, place),
            Step::Follows => {}
            Step::Gap(from) => {
                self.gap = true;
                let what = if sequence - from == 1 {
                    format!("line {from} of the chain is missing in front of this one")
                } else {
                    format!("lines {from} to {} of the chain are missing in front of this one", sequence - 1)
                };
                self.findings.fault(place, what);
            }
            Step::Astray(expected) => {
                let what = format!("line {expected} of the chain should be here: this one is twice there, or moved");
                self.findings.fault(place, what);
            }
        }
        let contradiction = match (sequence, end.previous == LineHash::ZERO) {
            (1, false) => "the first line of a chain, with the hash of a line before it",
            (2.., true) => "not the first line of a chain, and without the hash of one before it",
            _ => return,
        };
        self.findings.fault(place, contradiction);
    }

    fn first(&mut self, first: u64, signed: bool, place: Place) {
        self.chains.push(Chain { first, ..Chain::default() });
        if first == 1 && !signed {
            self.findings.fault(place, "a chain begins with a checkpoint, and this line is none");
        } else if first > 1 {
            let what = || format!("what was given begins at line {first} of the chain; what came before is not known");
            self.findings.note("beginsLater", place, what);
        }
    }

    /// A checkpoint signs all that came before it.
    fn sign(&mut self, checkpoint: Checkpoint, signed: Signed, place: Place) {
        self.expected.found(signed.hash);
        self.times.checkpoint(checkpoint.is_start(), self.gap, signed.time, place, &mut self.findings);
        if let Some(what) = self.contradiction(&checkpoint, signed.sequence) {
            self.findings.fault(place, what);
        }
        if let (Some(before), Some(now)) = (&self.store, &checkpoint.store)
            && before.id == now.id
            && before.revision > now.revision
        {
            let (before, now) = (before.revision, now.revision);
            let what =
                || format!("the store went back from revision {before} to {now}: it was replaced by an older one");
            self.findings.note("storeWentBack", place, what);
        }
        self.gap = false;
        self.store = checkpoint.store.or(self.store.take());
        if let Some(chain) = self.chains.last_mut() {
            chain.id.get_or_insert(checkpoint.chain);
            chain.checkpoints += 1;
            chain.unsigned = 0;
            chain.newest = Some(signed);
        }
    }

    /// What a checkpoint says that cannot be so after what came before it.
    fn contradiction(&self, checkpoint: &Checkpoint, sequence: u64) -> Option<String> {
        let chain = self.chains.last()?;
        if let Some(id) = chain.id.as_ref().filter(|id| **id != checkpoint.chain) {
            return Some(format!("a checkpoint of another chain, {}, in chain {id}", checkpoint.chain));
        }
        let Some(previous) = &checkpoint.previous else {
            return (sequence > 1)
                .then(|| "a checkpoint that says that it is the first of its chain, and is not".to_owned());
        };
        let named = previous.sequence;
        let wrong = match chain.newest {
            Some(newest) if named == newest.sequence => !previous.is(newest.hash),
            // It may be among the lines that are missing.
            Some(newest) => !self.gap || named < newest.sequence || named >= sequence,
            None => !self.gap && named >= chain.first,
        };
        wrong.then(|| format!("the checkpoint before, it says, is line {named} with another hash than is there"))
    }
}
