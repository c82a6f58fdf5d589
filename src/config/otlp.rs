//! `[audit.otlp]`: an OpenTelemetry collector that records are sent to.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Uri};

use super::audit::{Content, content};
use super::upstreams::Noted;
use crate::audit::otlp::{Settings, TIMEOUT};
use crate::faults::{Section, Value};
use crate::private_file;
use crate::secret::Secret;

/// Longer than an answer may wait for its record.
const LONGEST_TIMEOUT_MS: u64 = 60_000;

/// A collector, and what it gets.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// How it is reached.
    pub settings: Settings,
    /// What it gets.
    pub content: Content,
}

pub(super) fn otlp(section: &Section<'_>) -> Result<Option<Otlp>, Noted> {
    if !section.is_present() {
        section.end();
        return Ok(None);
    }
    let endpoint = section
        .require("endpoint", "name the collector: endpoint = \"https://collector:4318\"")
        .and_then(|value| value.parse::<Uri>("write https://HOST:PORT, or http://127.0.0.1:4318"));
    let headers = section.get("headers_file").map_or(Some(Vec::new()), |value| headers(&value));
    let ca_file = section.get("ca_file").map(|value| value.path().ok_or(Noted)).transpose();
    let timeout = section
        .get("timeout_ms")
        .map_or(Some(TIMEOUT), |value| value.number(1..=LONGEST_TIMEOUT_MS).map(Duration::from_millis));
    let instance_id =
        section.get("instance_id").map_or_else(|| Some(host_name()), |value| value.text().map(str::to_owned));
    let danger_plaintext = section.get("danger_plaintext").is_some_and(|value| value.boolean().unwrap_or_default());
    let content = section.get("content").map_or(Some(Content::Records), |value| content(&value));
    section.end();
    let settings = || {
        Some(Settings {
            endpoint: endpoint?,
            headers: headers?.into(),
            ca_file: ca_file.ok()?,
            timeout: timeout?,
            instance_id: instance_id?,
            danger_plaintext,
        })
    };
    let otlp = settings().zip(content).ok_or(Noted)?;
    Ok(Some(Otlp { settings: otlp.0, content: otlp.1 }))
}

/// The lines of a file of headers, which may hold a token.
fn headers(value: &Value<'_>) -> Option<Vec<(HeaderName, Secret<String>)>> {
    let file: PathBuf = value.path()?;
    let text = match private_file::read(&file) {
        Ok(text) => text,
        Err(fault) => {
            value.fault(fault.to_string(), None);
            return None;
        }
    };
    let mut headers = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let header = line.split_once(':').and_then(|(name, value)| Some((name.trim().parse().ok()?, value.trim())));
        let Some((name, header)) = header else {
            value.fault(format!("line {} of the file is no header", index + 1), Some("write NAME: VALUE"));
            return None;
        };
        headers.push((name, Secret::new(header.to_owned())));
    }
    Some(headers)
}

/// What a pod is called, among others.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
