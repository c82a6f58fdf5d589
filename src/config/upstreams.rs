//! `[backend]` with `kind = "aws"`: where requests are forwarded to, as whom, and within what time.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;

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

const LONGEST_MS: u64 = 60_000;
const ONE_HOUR_MS: u64 = 3_600_000;
const MOST_CONNECTIONS: u64 = 100_000;
const MOST_ENTRIES: u64 = 10_000_000;
/// A role's session name, as STS has it (API reference, `AssumeRole`).
const SESSION_NAME: RangeInclusive<usize> = 2..=64;
/// An external id, likewise.
const EXTERNAL_ID: RangeInclusive<usize> = 2..=1224;

/// Something is at fault, and was noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

/// The upstreams of a gateway for these regions and this account, each of which is missing where it is at fault: the
/// faults of this section are found all the same.
pub(super) fn settings(
    section: &Section<'_>,
    role: Result<Option<Role>, Noted>,
    regions: Option<&Regions>,
    account: Option<AccountId>,
) -> Option<Settings> {
    let endpoint = endpoint(section);
    let timeouts = timeouts(section);
    let connections = connections(section);
    let look_ups = look_ups(&section.section("look_ups"));
    let share = quota::share(&section.section("quota"));
    let tables = section.sections("upstreams");
    let named: Vec<_> = tables.iter().map(|table| (table, upstream(table, regions, account))).collect();
    section.end();
    let role = role.ok();
    let own = |region: &Region| {
        let (endpoint, role) = (endpoint.clone()?, role.clone()?);
        Some(UpstreamSettings { region: region.clone(), account: account?, endpoint, role })
    };
    let upstreams = all(section, named, own, regions?, account?);
    Some(Settings {
        upstreams: upstreams?,
        timeouts: timeouts?,
        connections: connections?,
        look_ups: look_ups?,
        share: share?,
    })
}

/// Those that have a table of their own, and for each other region of the gateway's account its `own`; the gateway's own
/// account and region first.
fn all(
    section: &Section<'_>,
    named: Vec<(&Section<'_>, Option<UpstreamSettings>)>,
    own: impl Fn(&Region) -> Option<UpstreamSettings>,
    regions: &Regions,
    account: AccountId,
) -> Option<Vec<UpstreamSettings>> {
    let mut upstreams: Vec<UpstreamSettings> = Vec::new();
    for (table, one) in named {
        let one = one?;
        if has(&upstreams, &one.region, one.account) {
            let message = format!("account {} in {} has two upstreams", one.account, one.region);
            table.fault("", message, Some("name each account and region once"));
        }
        upstreams.push(one);
    }
    for (place, region) in regions.all().iter().enumerate() {
        if has(&upstreams, region, account) {
            continue;
        }
        let own = own(region)?;
        if place > 0 && matches!(own.endpoint, EndpointSettings::Url { .. }) {
            let message = format!("is of one region, and `{region}` is served too");
            section.fault("endpoint_url", message, Some("give the other region an entry in [[backend.upstreams]]"));
        }
        upstreams.push(own);
    }
    upstreams.sort_by_key(|one| (one.region != *regions.own(), one.account != account));
    Some(upstreams)
}

fn has(upstreams: &[UpstreamSettings], region: &Region, account: AccountId) -> bool {
    upstreams.iter().any(|one| one.region == *region && one.account == account)
}

/// One of `[[backend.upstreams]]`: of the gateway's own region and account, where it names no other.
fn upstream(table: &Section<'_>, regions: Option<&Regions>, account: Option<AccountId>) -> Option<UpstreamSettings> {
    let (region, of) = (table.get("region"), table.get("account"));
    let (endpoint, role) = (endpoint(table), role(table));
    table.end();
    let region = match region {
        Some(value) => served(&value, regions),
        None => regions.map(|regions| regions.own().clone()),
    };
    let account = match of {
        Some(value) => value.parse("write its 12 digits in quotes"),
        None => account,
    };
    Some(UpstreamSettings { region: region?, account: account?, endpoint: endpoint?, role: role.ok()? })
}

/// A region that the gateway is asked for.
fn served(value: &Value<'_>, regions: Option<&Regions>) -> Option<Region> {
    let region: Region = value.parse("write it like us-east-1")?;
    if !regions?.all().contains(&region) {
        value.fault(format!("`{region}` is not served"), Some("add it to replica_regions"));
    }
    Some(region)
}

fn endpoint(section: &Section<'_>) -> Option<EndpointSettings> {
    let url = section.get("endpoint_url");
    let ca_file = section.get("ca_file");
    let flag = |name| section.get(name).map(|value| (value.boolean().unwrap_or_default(), value));
    let (fips, dual_stack) = (flag("fips"), flag("dual_stack"));
    let on = |flag: &Option<(bool, Value<'_>)>| flag.as_ref().is_some_and(|(on, _)| *on);
    let Some(value) = url else {
        if let Some(value) = &ca_file {
            value.fault(
                "is for an endpoint_url, and there is none: AWS's own endpoints have certificates of public authorities",
                Some("take it out, or give the endpoint_url that it is for"),
            );
        }
        return Some(EndpointSettings::Aws { fips: on(&fips), dual_stack: on(&dual_stack) });
    };
    for (set, flag) in [fips, dual_stack].into_iter().flatten() {
        if set {
            // As the SDKs have it.
            flag.fault(
                "cannot be combined with endpoint_url",
                Some("write the endpoint that you mean in endpoint_url"),
            );
        }
    }
    let url = url_of(&value);
    let ca_file = match ca_file {
        Some(file) => Some(readable(&file)?),
        None => None,
    };
    Some(EndpointSettings::Url { url: url?, ca_file })
}

const URL: &str = "write https://HOST or https://HOST:PORT";

/// A URL that requests can be sent to. What is refused is not quoted: it may hold a password.
fn url_of(value: &Value<'_>) -> Option<Uri> {
    match checked(value.text()?) {
        Ok(url) => Some(url),
        Err(message) => {
            value.fault(message, Some(URL));
            None
        }
    }
}

fn checked(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| "is no URL")?;
    let authority = url.authority().filter(|authority| !authority.host().is_empty()).ok_or("has no host")?;
    let host = authority.host();
    if authority.as_str().contains('@') {
        return Err("holds a user or a password: requests are signed, and need neither");
    }
    // The parser takes any digits for a port, and then has none.
    if authority.port_u16() == Some(0) || (authority.port_u16().is_none() && authority.as_str() != host) {
        return Err("has a port that is no number from 1 to 65535");
    }
    if !matches!(url.path_and_query().map(PathAndQuery::as_str), None | Some("/")) {
        return Err("has a path or a query: KMS is at `/`");
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_loopback(host) => Ok(url),
        Some("http") => Err("would send data keys over the network without TLS"),
        _ => Err("does not begin with https://"),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

fn readable(value: &Value<'_>) -> Option<PathBuf> {
    let file = value.path()?;
    if !file.is_file() {
        value.fault(format!("`{}` is no file", file.display()), Some("name a PEM file of certificates"));
        return None;
    }
    Some(file)
}

/// The role that is to be assumed, if there is one.
pub(super) fn role(section: &Section<'_>) -> Result<Option<Role>, Noted> {
    let arn = section.get("role_arn");
    let (session_name, external_id) = (section.get("role_session_name"), section.get("role_external_id"));
    let Some(arn) = arn else {
        for value in [&session_name, &external_id].into_iter().flatten() {
            let hint = "name the role: role_arn = \"arn:aws:iam::111122223333:role/NAME\"";
            value.fault("is for a role, and there is none", Some(hint));
        }
        return Ok(None);
    };
    let arn = arn.text().and_then(|text| {
        if account_of_role(text).is_none() {
            arn.fault(format!("`{text}` is no role's ARN"), Some("write arn:aws:iam::111122223333:role/NAME"));
            return None;
        }
        Some(text)
    });
    let session_name = match &session_name {
        Some(value) => of_sts(value, SESSION_NAME, b"_+=,.@-", "write 2 to 64 letters, digits or _+=,.@-"),
        None => Some("kmsgate"),
    };
    let external_id = match &external_id {
        Some(value) => {
            of_sts(value, EXTERNAL_ID, b"_+=,.@:/-", "write 2 to 1224 letters, digits or _+=,.@:/-").map(Some)
        }
        None => Some(None),
    };
    let role = arn.zip(session_name).zip(external_id).map(|((arn, session_name), external_id)| Role {
        arn: arn.into(),
        session_name: session_name.into(),
        external_id: external_id.map(Into::into),
    });
    role.map(Some).ok_or(Noted)
}

/// A text that STS takes: so many letters, digits and `others`.
fn of_sts<'t>(value: &Value<'t>, length: RangeInclusive<usize>, others: &[u8], hint: &str) -> Option<&'t str> {
    let text = value.text()?;
    let takes = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    if !length.contains(&text.len()) || !text.bytes().all(takes) {
        value.fault(format!("`{text}` is none that STS takes"), Some(hint));
        return None;
    }
    Some(text)
}

/// The account of a role's ARN.
pub(super) fn account_of_role(arn: &str) -> Option<AccountId> {
    let arn = Arn::parse(arn).ok()?;
    let name = arn.resource.strip_prefix("role/").filter(|name| !name.is_empty() && !name.ends_with('/'));
    (arn.service == "iam" && name.is_some()).then(|| arn.account.parse().ok())?
}

fn timeouts(section: &Section<'_>) -> Option<Timeouts> {
    let time = |name, default| milliseconds(section, name, default, 1..=LONGEST_MS);
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
    range: RangeInclusive<u64>,
) -> Option<Duration> {
    number(section, name, default, range).map(Duration::from_millis)
}

fn number(section: &Section<'_>, name: &'static str, default: u64, range: RangeInclusive<u64>) -> Option<u64> {
    section.get(name).map_or(Some(default), |value| value.number(range))
}
