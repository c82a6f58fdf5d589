//! What the kernel says about a process.

use std::fs;

use crate::Outcome;
pub(crate) use crate::figures::{Spread, approximate, machine_ticks, now, stolen_since};

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
