//! What all benchmarks here share: the clock, the middle of many figures, and what the host took of the machine.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::time::Instant;

use crate::Outcome;

/// The present moment of the steady clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the time that really passes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time of all processors so far, and the part of it that the host gave to other machines, in clock ticks.
pub(crate) fn machine_ticks() -> Outcome<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let numbers: Vec<u64> =
        stat.lines().next().unwrap_or_default().split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; the two after them are parts of the first two.
    Ok((numbers.iter().take(8).sum(), numbers.get(7).copied().unwrap_or(0)))
}

/// The part of the machine's time that its host gave to others since `before`.
pub(crate) fn stolen_since(before: (u64, u64)) -> Outcome<f64> {
    let (all, stolen) = machine_ticks()?;
    Ok(approximate(stolen.saturating_sub(before.1)) / approximate(all.saturating_sub(before.0).max(1)))
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn approximate(count: u64) -> f64 {
    count as f64
}

/// The middle of some figures, and their ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// The smallest.
    pub(crate) min: f64,
    /// The middle one; of an even number the mean of the two in the middle.
    pub(crate) median: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of `figures`; of none, not a number.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { min: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), max: at(last) }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 100.0 { 2 } else { 0 };
        let Self { min, median, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$}-{max:.digits$})")
    }
}
