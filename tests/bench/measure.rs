//! What the kernel says about a process and about the machine, and the middle of many figures.

use std::fs;
use std::time::Instant;

use crate::Outcome;

/// The present moment of the steady clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the time that really passes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The processor time that all threads of a process have had, in nanoseconds: user and kernel, from schedstat.
pub(crate) fn processor_nanos(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between being listed and being read; what it had done since the last look is lost.
        if let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) {
            sum += first_number(&text).ok_or("schedstat without a number")?;
        }
    }
    Ok(sum)
}

/// The resident memory of a process in KiB: `VmRSS`.
pub(crate) fn resident_kib(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status.lines().find_map(|line| first_number(line.strip_prefix("VmRSS:")?)).ok_or_else(|| "no VmRSS".into())
}

/// How many reads and writes of files a process has done; calls on sockets are not among them.
pub(crate) fn file_calls(pid: u32) -> Outcome<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let named = |name: &str| io.lines().find_map(|line| first_number(line.strip_prefix(name)?));
    named("syscr:").zip(named("syscw:")).map(|(read, write)| read + write).ok_or_else(|| "no counts of calls".into())
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

/// The processors this process may use.
pub(crate) fn allowed_cores() -> Outcome<Vec<usize>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let mut cores = Vec::new();
    for range in allowed.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend(first.parse::<usize>()?..=last.parse::<usize>()?);
    }
    Ok(cores)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
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
