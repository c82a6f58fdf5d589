//! How lines follow each other: by their numbers, and by the hash of the line before.
//!
//! A line that was changed is noticed at the next, whose hash of it is another one. Which of the two was changed is not
//! known before the line after them is read: if that one's hash of the second is right, the second is as it was written
//! and the first was changed; otherwise the second was.
//!
//! Behind a number that is out of order the next line decides what happened: lines are missing, or one too many is here,
//! or only the number was changed. So one fault is one fault, and does not make all that comes after it one.

use super::findings::Place;
use crate::audit::line_end::LineHash;

/// Where a line stands among those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the first.
    First,
    /// It has a number that can follow.
    Follows,
    /// Lines are missing in front of it, from this number on.
    Gap(u64),
    /// It stands here too late; the number that should be here.
    Astray(u64),
}

/// A line whose hash is not the one that the next line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accused {
    pub(super) place: Place,
    pub(super) by: Accuser,
}

/// What is known of the line that accuses another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accuser {
    /// It is signed.
    Signed,
    /// The line after it vouches for it.
    VouchedFor,
    /// Nothing: no line follows it.
    Unknown,
}

/// What the next line may be.
#[derive(Clone, Copy, Debug)]
struct Next {
    sequence: u64,
    /// The hash that it has to say.
    previous: LineHash,
    /// The line with that hash.
    place: Place,
}

impl Next {
    const fn after(sequence: u64, hash: LineHash, place: Place) -> Self {
        Self { sequence: sequence.saturating_add(1), previous: hash, place }
    }
}

/// A link that does not hold, until it is known which of its ends is at fault.
#[derive(Clone, Copy, Debug)]
struct Broken {
    former: Place,
    latter: Place,
}

/// One line, as far as the links are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linked {
    pub(super) sequence: u64,
    pub(super) previous: LineHash,
    pub(super) hash: LineHash,
    pub(super) place: Place,
    /// It is a checkpoint with a signature that is right.
    pub(super) signed: bool,
}

/// The end of what has been read.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// The likeliest first; none before the first line.
    next: Vec<Next>,
    broken: Option<Broken>,
}

impl Links {
    /// The number and the hash of the line before, of the line that should come next.
    pub(super) fn expected(&self) -> Option<(u64, LineHash)> {
        self.next.first().map(|next| (next.sequence, next.previous))
    }

    /// Takes a line whose end can be read.
    pub(super) fn follow(&mut self, line: Linked) -> (Step, Option<Accused>) {
        let expected = self.next.first().copied();
        let found = self.next.iter().find(|next| next.sequence == line.sequence).copied();
        let (step, accused) = match (found, expected) {
            (Some(next), _) => (Step::Follows, self.link(next, line)),
            (None, None) => (Step::First, None),
            (None, Some(next)) if next.sequence < line.sequence => (Step::Gap(next.sequence), self.end()),
            (None, Some(next)) => (Step::Astray(next.sequence), None),
        };
        let after = Next::after(line.sequence, line.hash, line.place);
        let renumbered = expected.map(|next| Next::after(next.sequence, line.hash, line.place));
        self.next.clear();
        match step {
            Step::First | Step::Follows => self.next.push(after),
            Step::Gap(_) => self.next.extend([Some(after), renumbered].into_iter().flatten()),
            Step::Astray(_) => self.next.extend([expected, renumbered, Some(after)].into_iter().flatten()),
        }
        (step, accused)
    }

    /// Takes a line whose end cannot be read: it was put in, or stands where one should.
    pub(super) fn unreadable(&mut self, hash: LineHash, place: Place) {
        if let Some(expected) = self.next.first().copied() {
            self.next.truncate(1);
            self.next.push(Next::after(expected.sequence, hash, place));
        }
    }

    /// Whom the last line accuses, if nothing comes after it.
    pub(super) fn end(&mut self) -> Option<Accused> {
        self.broken.take().map(|broken| Accused { place: broken.former, by: Accuser::Unknown })
    }

    fn link(&mut self, next: Next, line: Linked) -> Option<Accused> {
        // That an accuser is itself at fault is seen here too: then it accuses nobody.
        let before = self.broken.take();
        if line.previous == next.previous {
            return before.map(|broken| Accused { place: broken.former, by: Accuser::VouchedFor });
        }
        if line.signed {
            return Some(Accused { place: next.place, by: Accuser::Signed });
        }
        self.broken = Some(Broken { former: next.place, latter: line.place });
        let other = before.filter(|broken| broken.latter != next.place)?;
        Some(Accused { place: other.former, by: Accuser::Unknown })
    }
}
