//! `[backend]` with `kind = "aws"`: where requests are forwarded to, as whom, and within what time.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::quota;
use crate::aws::{AccountId, Arn, Region, Regions};
use crate::backend::aws::{
    ConnectionSettings, EndpointSettings, LookUpSettings, Role, Settings, Timeouts, UpstreamSettings,
};
use crate::faults::{Section, Value};

/// A handshake is two round trips; more than this is a network that is down.
const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// KMS answers within 20 ms, and within some 100 ms where it has to make an RSA key.
const FIRST_BYTE_TIMEOUT_MS: u64 = 5_000;
/// Less than the SDKs' own 60 s, so that the caller is told why.
const CALL_TIMEOUT_MS: u64 = 10_000;
/// Load balancers of AWS's close what was idle for 60 s; that KMS's do is not verified.
const IDLE_TIMEOUT_MS: u64 = 50_000;
/// For each worker: the first requests do not wait for a handshake.
const WARM_CONNECTIONS: u64 = 2;
/// For each worker. One connection carries some 50 calls a second at 20 ms each.
const MAX_CONNECTIONS: u64 = 256;
/// For each worker.
const MAX_IDLE_CONNECTIONS: u64 = 64;
/// As long as a change of a tag or an alias at AWS takes to be seen everywhere, and less.
const LOOK_UP_LIFETIME_MS: u64 = 60_000;
/// A key that was just made is not missed for long.
const ABSENT_LIFETIME_MS: u64 = 5_000;
/// Some 300 bytes each.
const LOOK_UP_ENTRIES: u64 = 10_000;

const ONE_MINUTE_MS: u64 = 60_000;
const ONE_HOUR_MS: u64 = 3_600_000;
const MOST_CONNECTIONS: u64 = 100_000;
const MOST_ENTRIES: u64 = 10_000_000;
/// The longest role session name of STS's.
const SESSION_NAME: std::ops::RangeInclusive<usize> = 2..=64;

pub(super) fn settings(section: &Section<'_>, regions: &Regions, account: AccountId) -> Option<Settings> {
    let endpoint = endpoint(section);
    let role = role(section);
    let timeouts = timeouts(section);
    let connections = connections(section);
    let look_ups = look_ups(&section.section("look_ups"));
    let share = quota::share(&section.section("quota"));
    let more: Vec<_> = section.sections("upstreams");
    let more = more.iter().map(|table| upstream(table, regions, account)).collect::<Vec<_>>();
    section.end();
    let (endpoint, role) = (endpoint?, role?);
    let mut upstreams: Vec<UpstreamSettings> = Vec::new();
    for one in more {
        let (table_fault, one) = one?;
        if upstreams.iter().any(|other| (&other.region, other.account) == (&one.region, one.account)) {
            table_fault(format!("account {} in {} has two upstreams", one.account, one.region));
        }
        upstreams.push(one);
    }
    let own = |region: &Region| UpstreamSettings {
        region: region.clone(),
        account,
        endpoint: endpoint.clone(),
        role: role.clone(),
    };
    for (place, region) in regions.all().iter().enumerate() {
        if upstreams.iter().any(|other| (&other.region, other.account) == (region, account)) {
            continue;
        }
        if place > 0 && matches!(endpoint, EndpointSettings::Url { .. }) {
            let message = format!("is of one region, and `{region}` is served too");
            section.fault("endpoint_url", message, Some("give the other region an entry in [[backend.upstreams]]"));
        }
        upstreams.push(own(region));
    }
    // The gateway's own account and region first.
    upstreams.sort_by_key(|one| (one.region != *regions.own(), one.account != account));
    Some(Settings { upstreams, timeouts: timeouts?, connections: connections?, look_ups: look_ups?, share: share? })
}

/// One of `[[backend.upstreams]]`, and what notes a fault of it.
fn upstream<'t>(
    table: &'t Section<'t>,
    regions: &Regions,
    account: AccountId,
) -> Option<(impl Fn(String) + 't, UpstreamSettings)> {
    let region = match table.get("region") {
        Some(value) => {
            let region: Region = value.parse("write it like us-east-1")?;
            if !regions.all().contains(&region) {
                value.fault(format!("`{region}` is not served"), Some("add it to replica_regions"));
            }
            region
        }
        None => regions.own().clone(),
    };
    let account = match table.get("account") {
        Some(value) => value.parse("write its 12 digits in quotes")?,
        None => account,
    };
    let (endpoint, role) = (endpoint(table), role(table));
    table.end();
    let fault = |message| table.fault("", message, Some("name each account and region once"));
    Some((fault, UpstreamSettings { region, account, endpoint: endpoint?, role: role? }))
}

fn endpoint(section: &Section<'_>) -> Option<EndpointSettings> {
    let url = section.get("endpoint_url");
    let ca_file = section.get("ca_file");
    let flag = |name| section.get(name).map(|value| (value.boolean().unwrap_or_default(), value));
    let (fips, dual_stack) = (flag("fips"), flag("dual_stack"));
    let on = |flag: &Option<(bool, Value<'_>)>| flag.as_ref().is_some_and(|(on, _)| *on);
    let Some(value) = url else {
        if let Some(value) = &ca_file {
            value.fault("is for an endpoint_url of your own; AWS's certificates are checked by the system's", None);
        }
        return Some(EndpointSettings::Aws { fips: on(&fips), dual_stack: on(&dual_stack) });
    };
    for (set, flag) in [fips, dual_stack].into_iter().flatten() {
        if set {
            // As the SDKs have it.
            flag.fault("cannot be combined with endpoint_url", Some("write the name of the endpoint that you mean"));
        }
    }
    let url = url_of(&value)?;
    let ca_file = match ca_file {
        Some(file) => Some(readable(&file)?),
        None => None,
    };
    Some(EndpointSettings::Url { url, ca_file })
}

fn url_of(value: &Value<'_>) -> Option<Uri> {
    const FORM: &str = "write https://HOST or https://HOST:PORT";
    let url: Uri = value.parse(FORM)?;
    let bare = matches!(url.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("/"));
    let authority = url.authority().filter(|authority| !authority.as_str().contains('@'));
    let (Some(authority), true) = (authority, bare) else {
        value.fault("is more, or less, than a scheme and a host", Some(FORM));
        return None;
    };
    match url.scheme_str() {
        Some("https") => Some(url),
        Some("http") if is_loopback(authority.host()) => Some(url),
        Some("http") => {
            value.fault("would send data keys over the network without TLS", Some(FORM));
            None
        }
        _ => {
            value.fault("has no scheme that KMS is spoken over", Some(FORM));
            None
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn readable(value: &Value<'_>) -> Option<PathBuf> {
    let file = value.path()?;
    if !file.is_file() {
        value.fault(format!("`{}` is no file", file.display()), Some("name a PEM file of certificates"));
        return None;
    }
    Some(file)
}

/// `None`: at fault. `Some(None)`: no role.
#[expect(clippy::option_option, reason = "a fault and an absence are two things, and both are told apart here alone")]
fn role(section: &Section<'_>) -> Option<Option<Role>> {
    let (arn, session_name) = (section.get("role_arn"), section.get("role_session_name"));
    let external_id = section.get("role_external_id");
    let Some(arn) = arn else {
        for value in [session_name, external_id].into_iter().flatten() {
            value.fault(
                "is said without a role",
                Some("name the role: role_arn = \"arn:aws:iam::111122223333:role/NAME\""),
            );
        }
        return Some(None);
    };
    let text = arn.text()?;
    if account_of_role(text).is_none() {
        arn.fault(format!("`{text}` is no role's ARN"), Some("write arn:aws:iam::111122223333:role/NAME"));
        return None;
    }
    let session_name = match &session_name {
        Some(value) => value.text()?,
        None => "kmsgate",
    };
    if !SESSION_NAME.contains(&session_name.len())
        || !session_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
    {
        let message = format!("`{session_name}` is no session name of STS's");
        section.fault("role_session_name", message, Some("write 2 to 64 letters, digits or _+=,.@-"));
        return None;
    }
    let external_id = match &external_id {
        Some(value) => Some(value.text()?.into()),
        None => None,
    };
    Some(Some(Role { arn: text.into(), session_name: session_name.into(), external_id }))
}

/// The account of a role's ARN.
pub(super) fn account_of_role(arn: &str) -> Option<AccountId> {
    let arn = Arn::parse(arn).ok()?;
    (arn.service == "iam" && arn.resource.starts_with("role/")).then(|| arn.account.parse().ok())?
}

fn timeouts(section: &Section<'_>) -> Option<Timeouts> {
    let time = |name, default| milliseconds(section, name, default, 1..=ONE_MINUTE_MS);
    let connect = time("connect_timeout_ms", CONNECT_TIMEOUT_MS);
    let first_byte = time("first_byte_timeout_ms", FIRST_BYTE_TIMEOUT_MS);
    let call = time("call_timeout_ms", CALL_TIMEOUT_MS);
    Some(Timeouts { connect: connect?, first_byte: first_byte?, call: call? })
}

fn connections(section: &Section<'_>) -> Option<ConnectionSettings> {
    let idle_timeout = milliseconds(section, "idle_timeout_ms", IDLE_TIMEOUT_MS, 0..=ONE_HOUR_MS);
    let most = number(section, "max_connections", MAX_CONNECTIONS, 1..=MOST_CONNECTIONS);
    let most_idle = number(section, "max_idle_connections", MAX_IDLE_CONNECTIONS, 0..=MOST_CONNECTIONS);
    let warm = number(section, "warm_connections", WARM_CONNECTIONS, 0..=MOST_CONNECTIONS);
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let (most, most_idle, warm) = (count(most?), count(most_idle?), count(warm?));
    Some(ConnectionSettings { idle_timeout: idle_timeout?, warm: warm.min(most_idle).min(most), most_idle, most })
}

fn look_ups(section: &Section<'_>) -> Option<LookUpSettings> {
    let lifetime = milliseconds(section, "lifetime_ms", LOOK_UP_LIFETIME_MS, 0..=ONE_HOUR_MS);
    let absent_lifetime = milliseconds(section, "absent_lifetime_ms", ABSENT_LIFETIME_MS, 0..=ONE_HOUR_MS);
    let entries = number(section, "entries", LOOK_UP_ENTRIES, 1..=MOST_ENTRIES);
    section.end();
    Some(LookUpSettings { lifetime: lifetime?, absent_lifetime: absent_lifetime?, entries: entries? })
}

fn milliseconds(
    section: &Section<'_>,
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Option<Duration> {
    number(section, name, default, range).map(Duration::from_millis)
}

fn number(
    section: &Section<'_>,
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    section.get(name).map_or(Some(default), |value| value.number(range))
}
