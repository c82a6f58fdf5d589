//! What is odd about the times in a trail. Clocks are set and machines are slow, so none of it is a fault.

use std::time::Duration;

use super::findings::{Findings, Place};
use super::head::Head;
use crate::clock::Timestamp;

/// A checkpoint may be later than its interval, by what a busy machine takes and by the second to which times are cut.
const SLACK: Duration = Duration::from_secs(2);
/// A record has the time at which its request came and is written when it ends, so a line may be older than the one
/// before it by as long as a request can take, with some room.
const LONGEST_REQUEST: Duration = Duration::from_mins(1);

/// The times seen in a chain.
#[derive(Debug)]
pub(super) struct Times {
    interval: Duration,
    newest: Option<Timestamp>,
    checkpoint: Option<Timestamp>,
    /// Most lines have the time of the one before.
    last: Option<([u8; 20], Timestamp)>,
}

impl Times {
    pub(super) const fn new(interval: Duration) -> Self {
        Self { interval, newest: None, checkpoint: None, last: None }
    }

    /// The time of a line.
    pub(super) fn line(
        &mut self,
        head: Option<Head<'_>>,
        signed: bool,
        place: Place,
        findings: &mut Findings,
    ) -> Option<Timestamp> {
        let head = head?;
        let time = match self.last {
            Some((text, time)) if text == *head.time => time,
            _ => head.timestamp()?,
        };
        self.last = Some((*head.time, time));
        let newest = *self.newest.get_or_insert(time);
        let behind = newest.since(time);
        if behind > LONGEST_REQUEST && !signed {
            findings.note("timeWentBack", place, || format!("eventTime goes back by {} s", behind.as_secs()));
            self.newest = Some(time);
        } else {
            self.newest = Some(newest.max(time));
        }
        Some(time)
    }

    /// A checkpoint that was made at `time`; behind a start or a gap it may come late.
    pub(super) fn checkpoint(
        &mut self,
        start: bool,
        gap: bool,
        time: Option<Timestamp>,
        place: Place,
        findings: &mut Findings,
    ) {
        let (Some(time), before) = (time, self.checkpoint) else { return };
        self.checkpoint = Some(time);
        let Some(before) = before else { return };
        if before > time {
            let back = before.since(time).as_secs();
            let what = || format!("the clock was set back by {back} s since the checkpoint before");
            findings.note("clockWentBack", place, what);
            self.newest = Some(time);
        } else if !start && !gap && time.since(before) > self.interval + SLACK {
            findings.note("lateCheckpoint", place, || self.late(before, time));
        }
    }

    /// The chain ends with `last`.
    pub(super) fn end(&mut self, last: Option<Place>, findings: &mut Findings) {
        if let (Some(checkpoint), Some(newest)) = (self.checkpoint, self.newest)
            && newest.since(checkpoint) > self.interval + SLACK
        {
            findings.note("lateCheckpoint", last, || self.late(checkpoint, newest));
        }
        *self = Self::new(self.interval);
    }

    fn late(&self, from: Timestamp, to: Timestamp) -> String {
        let (passed, interval) = (to.since(from).as_secs(), self.interval.as_secs());
        format!("{passed} s without a checkpoint, where {interval} s is the most")
    }
}
