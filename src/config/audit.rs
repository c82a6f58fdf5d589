//! `[audit]`: where records go, when an answer may leave, and how the trail is made tamper-evident.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::otlp::{Otlp, otlp};
use super::upstreams::Noted;
use crate::audit::{Durability, Rotation, UNAUTHENTICATED_PER_SECOND};
use crate::faults::{Section, Value};

/// What is not yet signed can be changed unseen, so no longer than this.
const LONGEST_CHECKPOINT_INTERVAL_MS: u64 = 10_000;
const SHORTEST_CHECKPOINT_INTERVAL_MS: u64 = 100;
/// A day of a busy gateway, and some seconds of compression.
const ROTATION_BYTES: u64 = 256 * 1024 * 1024;
/// Smaller files would be mostly checkpoints.
const SMALLEST_ROTATION_BYTES: u64 = 64 * 1024;
const LARGEST_ROTATION_BYTES: u64 = 1 << 40;
const LONGEST_ROTATION_HOURS: u64 = 24 * 366;
/// For tests that ask for each record. At 900 bytes each, 10,000 refusals a second would fill 800 GB a day.
const MOST_UNAUTHENTICATED: u64 = 10_000;
const WHAT_TO_WRITE: &str = "write records or checkpoints";

/// The audit trail.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Appended to.
    pub file: Option<PathBuf>,
    /// What standard output gets.
    pub stdout: Option<Content>,
    /// Where records are sent.
    pub otlp: Option<Otlp>,
    /// What an answer waits for.
    pub required: SinkName,
    /// When an answer may leave.
    pub durability: Durability,
    /// How lines are bound to each other and signed.
    pub chain: Option<ChainSetting>,
    /// When another file is begun.
    pub rotation: Option<Rotation>,
    /// How many refusals of unauthenticated requests are recorded one by one each second; the others are summed up.
    pub unauthenticated_per_second: NonZeroU32,
}

/// What a sink gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Every line.
    Records,
    /// The signed checkpoints alone, to be kept where the gateway's host cannot change them.
    Checkpoints,
}

/// A kind of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkName {
    /// `file`
    File,
    /// `stdout`
    Stdout,
    /// `otlp`
    Otlp,
}

/// The chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSetting {
    /// The key that signs checkpoints; made if it is not there.
    pub signing_key_file: Option<PathBuf>,
    /// The longest time between two checkpoints.
    pub interval: Duration,
}

pub(super) fn audit(section: &Section<'_>) -> Option<Audit> {
    let file = section.get("file").map(|value| file(&value));
    let stdout_content = section.get("stdout").map(|value| content(&value));
    let required = section.get("required");
    let durability = section.get("durability").map_or(Some(Durability::default()), |value| durability(&value));
    let chain = chain(section);
    let rotation_section = section.section("rotation");
    let rotation = rotation(&rotation_section, file.is_some());
    let otlp = otlp(&section.section("otlp"));
    let unauthenticated_per_second = unauthenticated_per_second(section);
    section.end();

    let file = file.map(|file| file.ok_or(Noted)).transpose().ok()?;
    let stdout_content = stdout_content.map(|content| content.ok_or(Noted)).transpose().ok()?;
    let otlp = otlp.ok()?;
    // Standard output is what a container's log collector reads; the program's own log is on standard error.
    let nothing_else = file.is_none() && otlp.is_none();
    let stdout_content = stdout_content.or(nothing_else.then_some(Content::Records));
    let required_name = match &required {
        Some(value) => sink_name(value)?,
        None if file.is_some() => SinkName::File,
        None if otlp.is_some() => SinkName::Otlp,
        None => SinkName::Stdout,
    };
    let content = match required_name {
        SinkName::File => file.as_ref().map(|_| Content::Records),
        SinkName::Stdout => stdout_content,
        SinkName::Otlp => otlp.as_ref().map(|otlp| otlp.content),
    };
    let (at_fault, hint) = match content {
        Some(Content::Records) => (None, ""),
        Some(Content::Checkpoints) => (Some("the required sink has to get every record"), "require another sink"),
        None => (Some("names a sink that is not configured"), "configure it in [audit], or name another"),
    };
    if let Some(message) = at_fault {
        match &required {
            Some(value) => value.fault(message, Some(hint)),
            None => section.fault("", message, Some(hint)),
        }
    }
    if file.is_some() && required_name != SinkName::File && rotation_section.is_present() {
        rotation_section.fault("", "a file that is not the required sink is not rotated", Some("require the file"));
    }
    if matches!(chain, Ok(None)) {
        let content = otlp.as_ref().map(|otlp| otlp.content).into_iter().chain(stdout_content);
        if content.into_iter().any(|content| content == Content::Checkpoints) {
            section.fault("", "without a chain there are no checkpoints for a sink", Some("set audit.chain to true"));
        }
    }
    Some(Audit {
        file,
        stdout: stdout_content,
        otlp,
        required: required_name,
        durability: durability?,
        chain: chain.ok()?,
        rotation: rotation.ok()?,
        unauthenticated_per_second: unauthenticated_per_second?,
    })
}

fn unauthenticated_per_second(section: &Section<'_>) -> Option<NonZeroU32> {
    let Some(value) = section.get("unauthenticated_per_second") else { return Some(UNAUTHENTICATED_PER_SECOND) };
    NonZeroU32::new(u32::try_from(value.number(1..=MOST_UNAUTHENTICATED)?).ok()?)
}

fn file(value: &Value<'_>) -> Option<PathBuf> {
    let file = value.path()?;
    let parent = file.parent().filter(|parent| *parent != Path::new(""));
    if file.is_dir() {
        value.fault(format!("`{}` is a directory", file.display()), Some("name a file in it"));
    } else if parent.is_some_and(|parent| !parent.is_dir()) {
        value.fault(format!("the directory of `{}` does not exist", file.display()), Some("make the directory"));
    }
    Some(file)
}

pub(super) fn content(value: &Value<'_>) -> Option<Content> {
    match value.text()? {
        "records" => Some(Content::Records),
        "checkpoints" => Some(Content::Checkpoints),
        other => {
            value.fault(format!("`{other}` is nothing that a sink can get"), Some(WHAT_TO_WRITE));
            None
        }
    }
}

fn sink_name(value: &Value<'_>) -> Option<SinkName> {
    match value.text()? {
        "file" => Some(SinkName::File),
        "stdout" => Some(SinkName::Stdout),
        "otlp" => Some(SinkName::Otlp),
        other => {
            value.fault(format!("`{other}` is no sink"), Some("write file, stdout or otlp"));
            None
        }
    }
}

fn durability(value: &Value<'_>) -> Option<Durability> {
    match value.text()? {
        "queued" => Some(Durability::Queued),
        "written" => Some(Durability::Written),
        "synced" => Some(Durability::Synced),
        other => {
            value.fault(format!("`{other}` is no durability"), Some("write queued, written or synced"));
            None
        }
    }
}

/// `Ok(None)`: there is to be none. `Err`: a fault was noted.
fn chain(section: &Section<'_>) -> Result<Option<ChainSetting>, Noted> {
    let wanted = section.get("chain").map_or(Some(true), |value| value.boolean());
    let key = section.get("signing_key_file");
    let interval = section.get("checkpoint_interval_ms");
    if wanted == Some(false) {
        for value in [&key, &interval].into_iter().flatten() {
            value.fault("means nothing without a chain", Some("take it out, or set audit.chain to true"));
        }
        return Ok(None);
    }
    let signing_key_file = key.map(|value| value.path().ok_or(Noted)).transpose();
    let range = SHORTEST_CHECKPOINT_INTERVAL_MS..=LONGEST_CHECKPOINT_INTERVAL_MS;
    let interval = interval.map_or(Some(LONGEST_CHECKPOINT_INTERVAL_MS), |value| value.number(range)).ok_or(Noted);
    wanted.ok_or(Noted)?;
    Ok(Some(ChainSetting { signing_key_file: signing_key_file?, interval: Duration::from_millis(interval?) }))
}

/// `Ok(None)`: there is no file. `Err`: a fault was noted.
fn rotation(section: &Section<'_>, file: bool) -> Result<Option<Rotation>, Noted> {
    let range = SMALLEST_ROTATION_BYTES..=LARGEST_ROTATION_BYTES;
    let bytes = section.get("bytes").map_or(Some(ROTATION_BYTES), |value| value.number(range)).ok_or(Noted);
    let hours = section.get("hours").map(|value| value.number(1..=LONGEST_ROTATION_HOURS).ok_or(Noted)).transpose();
    let compress = section.get("compress").map_or(Some(true), |value| value.boolean()).ok_or(Noted);
    if section.is_present() && !file {
        section.fault("bytes", "there is no file to rotate", Some("take [audit.rotation] out, or name a file"));
    }
    section.end();
    let after = hours?.map(|hours| Duration::from_secs(hours * 60 * 60));
    let rotation = Rotation { bytes: bytes?, after, compress: compress? };
    Ok(file.then_some(rotation))
}
