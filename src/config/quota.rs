//! `[backend.quota]`: how much of KMS's request quotas the gateway uses, and with how many replicas it shares that.

use std::num::NonZeroU32;

use crate::aws::UpstreamQuota;
use crate::backend::aws::{Replicas, ShareSettings};
use crate::faults::Section;

/// What is left is for those who call KMS past the gateway.
const PERCENT: u64 = 80;
const MOST_REPLICAS: u64 = 10_000;
/// Ten times the highest quota that AWS documents.
const HIGHEST_RATE: u64 = 1_000_000;

pub(super) fn share(section: &Section<'_>) -> Option<ShareSettings> {
    let percent = section.get("percent").map_or(Some(PERCENT), |value| value.number(1..=100));
    let replicas = replicas(section);
    let rates = section.section("per_second");
    let per_second = UpstreamQuota::ALL.iter().filter_map(|quota| {
        let rate = rates.get(quota.name())?.number(1..=HIGHEST_RATE)?;
        Some((*quota, u32::try_from(rate).unwrap_or(u32::MAX)))
    });
    let per_second = per_second.collect();
    rates.end();
    section.end();
    Some(ShareSettings { percent: u8::try_from(percent?).unwrap_or(100), per_second, replicas: replicas? })
}

fn replicas(section: &Section<'_>) -> Option<Replicas> {
    let (count, service) = (section.get("replicas"), section.get("replicas_service"));
    if let (Some(count), Some(_)) = (&count, &service) {
        count.fault(
            "cannot be combined with replicas_service",
            Some("give the number, or the Service that counts them"),
        );
    }
    match (count, service) {
        (_, Some(service)) => {
            let name = service.text()?;
            let host_and_port =
                name.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            if host_and_port.is_none() {
                service.fault(
                    format!("`{name}` is no name and port"),
                    Some("write NAME.NAMESPACE.svc:8700; the port may be any"),
                );
                return None;
            }
            Some(Replicas::Service(name.into()))
        }
        (Some(count), None) => {
            let count = u32::try_from(count.number(1..=MOST_REPLICAS)?).ok().and_then(NonZeroU32::new);
            count.map(Replicas::Fixed)
        }
        (None, None) => Some(Replicas::Fixed(NonZeroU32::MIN)),
    }
}
