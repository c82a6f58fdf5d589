//! Opens a trail: goes on with its chain where it stopped, and repairs what a crash has left of a line.
//!
//! A regular file is written on the requests' own threads: the kernel takes a line into its page cache in a
//! microsecond. Anything else (a pipe, a terminal, a collector) can block for as long as its reader likes and is
//! written on a thread of its own, and so is a file that is waited for.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::chain::{Chain, ChainEnd, ChainSettings, Link, Reason};
use super::log_file::{LogFile, Rotation, Torn, compress_left_over};
use super::writer::{Durability, Lines, SecondSink, Sink, Target, Writer};
use crate::clock::Clock;
use crate::random;

/// The sink that must succeed.
pub enum MainSink {
    /// A file, which is made if there is none, for its owner alone. What is at the path may also be a pipe or a device;
    /// opening a named pipe waits for its reader.
    File {
        /// Its path.
        path: PathBuf,
        /// When another is begun.
        rotation: Option<Rotation>,
    },
    /// What can block. It is given whole lines, and says how many bytes of them it has taken.
    Stream(Box<dyn Write + Send>),
}

/// How a trail is kept.
pub struct Trail {
    /// What an answer waits for.
    pub main: MainSink,
    /// When an answer may leave.
    pub durability: Durability,
    /// How lines are bound to each other, if they are.
    pub chain: Option<ChainSettings>,
    /// Who gets the lines too.
    pub seconds: Vec<SecondSink>,
    /// What tells how old a file is.
    pub clock: Clock,
}

impl Writer {
    /// Opens a trail.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened or read, another process writes to it, or it ends in something that is no record.
    pub fn open(trail: Trail) -> io::Result<Self> {
        let Trail { main, durability, chain, seconds, clock } = trail;
        let (target, lines) = match main {
            MainSink::File { path, rotation } if is_regular(&path)? => {
                let mut file = LogFile::open(&path, &clock)?;
                let lines = match chain {
                    None => {
                        file.end_last_line()?;
                        Lines::Closed
                    }
                    Some(settings) => {
                        let found = file.find_end()?;
                        let mut chain = chained(settings, found.end)?;
                        if let Some(Torn { offset, bytes, size }) = found.torn {
                            file.replace_end(offset, &chain.repaired(&bytes, size))?;
                            tracing::warn!(bytes = size, "the audit file ended within a line, which was repaired");
                        }
                        Lines::Chained(Box::new(chain))
                    }
                };
                if rotation.is_some_and(|rotation| rotation.compress) {
                    compress_left_over(&path);
                }
                (Target::File { file, rotation, clock }, lines)
            }
            main => {
                let stream: Box<dyn Write + Send> = match main {
                    MainSink::File { path, .. } => Box::new(fs::OpenOptions::new().append(true).open(path)?),
                    MainSink::Stream(stream) => stream,
                };
                let lines = match chain {
                    None => Lines::Closed,
                    Some(settings) => Lines::Chained(Box::new(chained(settings, None)?)),
                };
                (Target::Stream(stream), lines)
            }
        };
        let synced = durability == Durability::Synced;
        let inline = matches!(target, Target::File { .. }) && durability == Durability::Written;
        let mut sink = Sink::new(target, lines, synced, seconds);
        sink.checkpoint(Reason::Start);
        Self::start(sink, inline, durability == Durability::Queued)
    }
}

/// A file beside the sink that must succeed: it takes whole lines as they come, and is not rotated.
///
/// # Errors
///
/// As for [`MainSink::File`].
pub fn second_file(path: &Path, clock: &Clock) -> io::Result<Writer> {
    let mut file = LogFile::open(path, clock)?;
    file.end_last_line()?;
    Writer::threaded(file)
}

/// Goes on from `end`, or begins a chain.
fn chained(settings: ChainSettings, end: Option<ChainEnd>) -> io::Result<Chain> {
    let mut end = end.unwrap_or(ChainEnd::of(Link::NONE));
    if let (Some(then), Some(store)) = (&end.store, &settings.store) {
        let now = store();
        // A store that was set back brings back what was revoked since.
        if then.id == now.id && then.revision > now.revision {
            let message = format!(
                "its newest checkpoint was made at revision {} of the key store, which is at {} now and so was set back: \
                 put back the newer store, or move the audit file, and those rotated from it, away to begin another trail",
                then.revision, now.revision
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    if end.id.is_empty() {
        end.id = random::uuid().map_err(io::Error::other)?;
    }
    Ok(Chain::new(settings, end))
}

/// Whether there is a regular file at `path`, or will be.
fn is_regular(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
