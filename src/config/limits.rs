//! `[limits]`: quotas of requests, each off until it is given.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::aws::Class;
use crate::faults::Section;

/// KMS's own highest quota is 100,000 a second; ten times that is no quota any more.
const HIGHEST_RATE: u64 = 1_000_000;
/// A client's own time-out is a few seconds; a wait that long helps nobody.
const LONGEST_WAIT_MS: u64 = 1_000;

/// Requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The lasting rate.
    pub per_second: NonZeroU32,
    /// How many may come at once after a pause.
    pub burst: NonZeroU32,
    /// How long a request may wait for its turn before it is refused; zero refuses at once.
    pub max_wait: Duration,
}

/// All quotas. `None` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each principal.
    pub principal: Option<Quota>,
    /// Of each key.
    pub key: Option<Quota>,
    /// Of the whole gateway.
    pub gateway: Option<Quota>,
    /// Of each class of operations, of all principals together.
    pub classes: Vec<(Class, Quota)>,
}

pub(super) fn limits(section: &Section<'_>) -> Limits {
    let classes = section.section("classes");
    let limits = Limits {
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
