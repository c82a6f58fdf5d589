//! What the tests stand on: a gateway to call ([`Site`], [`Gateway`]), requests that can be changed after they were
//! signed ([`Caller`], [`Request`]), a client that reads no more than it is told ([`Connection`]), and the audit file.
//!
//! Every wait ends: by what it waits for, or in a failed test.

mod answer;
mod connection;
mod process;
mod quickstart;
mod request;
mod site;

use std::time::{Duration, Instant};

pub(crate) use answer::{Answer, Refusal};
pub(crate) use connection::Connection;
pub(crate) use process::{Gateway, PROGRAM, Run, run};
pub(crate) use quickstart::Quickstart;
pub(crate) use request::{CONTENT_TYPE, Caller, Request};
pub(crate) use site::Site;

/// The region and account of every site: those of AWS's documentation.
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "111122223333";
/// A policy that allows everything.
pub(crate) const ALLOW_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
/// How long anything may take that should happen at once, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The time, for bounds and measures of a test.
#[expect(clippy::disallowed_methods, reason = "what is measured is the real program in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
