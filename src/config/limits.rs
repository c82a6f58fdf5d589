//! `[limits]`: quotas of requests, each off until it is given.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::aws::Class;
use crate::faults::Section;
use crate::limits::{Quota, Quotas};

/// KMS's own highest quota is 100,000 a second; ten times that is no quota any more.
const HIGHEST_RATE: u64 = 1_000_000;
/// A client's own time-out is a few seconds; a wait that long helps nobody.
const LONGEST_WAIT_MS: u64 = 1_000;

pub(super) fn limits(section: &Section<'_>) -> Quotas {
    let classes = section.section("classes");
    let limits = Quotas {
        principal: quota(&section.section("principal")),
        key: quota(&section.section("key")),
        gateway: quota(&section.section("gateway")),
        classes: Class::ALL
            .into_iter()
            .filter_map(|class| Some((class, quota(&classes.section(class.name()))?)))
            .collect(),
    };
    classes.end();
    section.end();
    limits
}

fn quota(section: &Section<'_>) -> Option<Quota> {
    if !section.is_present() {
        return None;
    }
    let positive = |number: u64| u32::try_from(number).ok().and_then(NonZeroU32::new);
    let per_second = section
        .require("per_second", "name the lasting rate, or leave the table out for none")
        .and_then(|value| value.number(1..=HIGHEST_RATE))
        .and_then(positive);
    let burst = section.get("burst").map(|value| value.number(1..=HIGHEST_RATE).and_then(positive));
    let max_wait = section.get("max_wait_ms").and_then(|value| value.number(0..=LONGEST_WAIT_MS));
    section.end();
    let per_second = per_second?;
    // A second's worth, as AWS counts: a burst below the rate would refuse what the rate allows.
    let burst = burst.unwrap_or(Some(per_second))?;
    Some(Quota { per_second, burst, max_wait: Duration::from_millis(max_wait.unwrap_or_default()) })
}
