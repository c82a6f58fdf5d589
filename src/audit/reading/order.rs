//! In which order files are read: each after the one that it goes on from.
//!
//! Files are given in any order, and may hold several chains. So after each file comes the one whose first line says
//! that it follows the last line read, and, where there is none, that with the lowest number.

use std::io;

use super::input::{Input, Opened, Progress};
use crate::audit::line_end::{LineEnd, LineHash};

/// The files that are still to be read.
pub(super) struct Order(Vec<Waiting>);

struct Waiting {
    input: Input,
    /// The number that the first line has, or should have: if the two first lines disagree, one was changed.
    first: Option<u64>,
    previous: Option<LineHash>,
    /// What can be read only once, opened.
    stream: Option<Opened>,
}

impl Order {
    /// Looks into each of `inputs`.
    pub(super) fn of(inputs: &[Input]) -> Result<Self, (Input, io::Error)> {
        let waiting = |input: &Input| Waiting::open(input).map_err(|error| (input.clone(), error));
        inputs.iter().map(waiting).collect::<Result<_, _>>().map(Self)
    }

    /// The next to be read, `expected` being what its first line should say.
    pub(super) fn next(
        &mut self,
        expected: Option<(u64, LineHash)>,
        progress: &Progress,
    ) -> Option<(Input, io::Result<Opened>)> {
        let rank = |waiting: &Waiting| match expected {
            Some((sequence, hash)) if waiting.first == Some(sequence) => u8::from(waiting.previous != Some(hash)),
            _ => 2,
        };
        let key = |(_, waiting): &(usize, &Waiting)| (rank(waiting), waiting.first.unwrap_or(u64::MAX));
        let (index, _) = self.0.iter().enumerate().min_by_key(key)?;
        let Waiting { input, stream, .. } = self.0.remove(index);
        let opened = stream.map_or_else(|| input.open(progress), Ok);
        Some((input, opened))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Waiting {
    fn open(input: &Input) -> io::Result<Self> {
        // What damage there is in a compressed file is a fault, told when it is read.
        let opened = input.open(&Progress::default())?;
        let mut waiting = Self { input: input.clone(), first: None, previous: None, stream: None };
        let Ok((beginning, opened)) = opened.peek() else { return Ok(waiting) };
        let mut lines = beginning.split(|byte| *byte == b'\n').map(LineEnd::parse);
        let (first, second) = (lines.next().flatten(), lines.next().flatten());
        waiting.first = second.map_or_else(|| first.map(|end| end.sequence), |end| end.sequence.checked_sub(1));
        waiting.previous = first.map(|end| end.previous);
        waiting.stream = input.is_stream().then_some(opened);
        Ok(waiting)
    }
}
