//! A population: the policies of one size of a series, and the questions that are put to them.

use crate::Outcome;
use crate::figures::{approximate, now};
use crate::question::Question;
use crate::series::{Make, Series};

/// How many members the hot questions are about, in each population: as many as the smallest has.
const HOT_MEMBERS: usize = 10;
/// How many questions those are.
const HOT_QUESTIONS: usize = 64;
/// How often they are asked for one figure.
const HOT_REPEATS: usize = 32;
/// How many questions are asked of all members for one figure.
const COLD_QUESTIONS: usize = 2048;
/// One in so many questions is one that is refused.
const REFUSED: usize = 8;

/// Which questions are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// The same 64 over and over, about the same ten members: what they touch stays in the caches.
    Hot,
    /// About all members, in random order: what they touch comes from as far away as the population is large.
    Cold,
}

/// One size of a series.
pub(crate) struct Population {
    /// How many members it has.
    pub(crate) size: usize,
    hot: Vec<Question>,
    cold: Vec<Question>,
    /// Where the cold questions go on.
    next: usize,
    /// Decisions so far.
    pub(crate) decisions: u64,
    /// Those that were not as they must be.
    pub(crate) wrong: u64,
}

impl Population {
    /// Makes all policies and all questions.
    ///
    /// # Errors
    /// When a policy of it is refused.
    pub(crate) fn make(series: &Series, size: usize) -> Outcome<Self> {
        let make = (series.make)(size)?;
        let members = shuffled(size);
        let some: Vec<usize> = members.iter().copied().take(HOT_MEMBERS).collect();
        let hot = questions(&make, some.iter().copied().cycle().take(HOT_QUESTIONS))?;
        let cold = questions(&make, members.into_iter())?;
        Ok(Self { size, hot, cold, next: 0, decisions: 0, wrong: 0 })
    }

    /// Asks each question once: what is wrong with the first decision that is wrong.
    pub(crate) fn first_fault(&mut self) -> Option<String> {
        let mut faults = self.hot.iter().chain(&self.cold).filter_map(Question::fault);
        let first = faults.next();
        self.wrong += faults.count() as u64 + u64::from(first.is_some());
        self.decisions += (self.hot.len() + self.cold.len()) as u64;
        first
    }

    /// Nanoseconds a decision, over one batch.
    pub(crate) fn nanos(&mut self, load: Load) -> f64 {
        let (wrong, count, nanos) = match load {
            Load::Hot => {
                // One pass for the caches, which the populations before have filled.
                let lost = wrong(self.hot.iter());
                let batch = || (0..HOT_REPEATS).flat_map(|_| &self.hot);
                let (late, nanos) = timed(batch());
                (lost + late, HOT_REPEATS * self.hot.len(), nanos)
            }
            Load::Cold => {
                let batch = self.cold.iter().cycle().skip(self.next).take(COLD_QUESTIONS);
                let (wrong, nanos) = timed(batch);
                self.next = (self.next + COLD_QUESTIONS) % self.cold.len().max(1);
                (wrong, COLD_QUESTIONS, nanos)
            }
        };
        self.decisions += count as u64;
        self.wrong += wrong;
        nanos / approximate(count as u64)
    }
}

fn timed<'q>(questions: impl Iterator<Item = &'q Question>) -> (u64, f64) {
    let start = now();
    let wrong = wrong(questions);
    (wrong, (now() - start).as_secs_f64() * 1e9)
}

fn wrong<'q>(questions: impl Iterator<Item = &'q Question>) -> u64 {
    questions.map(|question| u64::from(!question.is_answered_rightly())).sum()
}

fn questions(make: &Make, members: impl Iterator<Item = usize>) -> Outcome<Vec<Question>> {
    members.enumerate().map(|(place, member)| make(member, place % REFUSED == REFUSED - 1)).collect()
}

/// The numbers below `size` in a random order, the same one in each run.
fn shuffled(size: usize) -> Vec<usize> {
    let mut members: Vec<usize> = (0..size).collect();
    members.sort_by_cached_key(|member| scrambled(*member as u64));
    members
}

/// A number that looks random and belongs to `number` alone (splitmix64, by Sebastiano Vigna).
pub(crate) const fn scrambled(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
