//! The task that loads credentials, and loads them again in time. There is one for each source, so no two loads of one
//! source are ever under way.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use futures_util::FutureExt;
use tokio::select;
use tokio::time::{Instant, sleep_until, timeout};

use super::Credentials;
use super::schedule;
use super::source::Shared;
use crate::random;

/// How long one load may take, the chain and the role together. The SDK tries each call three times, and gives up a
/// connection after three seconds.
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// The least time from the end of a load to one that is asked for: every request may ask.
const ASKED_APART: Duration = Duration::from_secs(5);
/// How often the clock is looked at: it may have been set, or have run on while the machine slept.
const LOOK_EVERY: Duration = Duration::from_mins(1);

pub(super) struct Refresher<P> {
    shared: Arc<Shared>,
    provider: P,
    /// Failures since the last success.
    failures: u32,
}

impl<P: ProvideCredentials> Refresher<P> {
    pub(super) const fn new(shared: Arc<Shared>, provider: P) -> Self {
        Self { shared, provider, failures: 0 }
    }

    pub(super) async fn run(mut self) {
        loop {
            let loaded = self.load().await;
            let wait = self.take_up(loaded);
            // What was asked for meanwhile has been done.
            let _ = self.shared.wake.notified().now_or_never();
            self.wait(wait).await;
        }
    }

    /// Keeps what was loaded, or notes that it failed; how long to wait until the next load.
    fn take_up(&mut self, loaded: Result<Credentials, String>) -> Duration {
        match loaded {
            Ok(credentials) => {
                let left = credentials.left(self.shared.clock.now());
                self.failures = 0;
                self.shared.replace(credentials);
                schedule::after_success(left, fraction())
            }
            Err(reason) => {
                self.failures = self.failures.saturating_add(1);
                self.shared.failed(&reason);
                schedule::after_failure(self.failures, fraction())
            }
        }
    }

    async fn load(&self) -> Result<Credentials, String> {
        // A panic of the SDK's is a load that failed: without this task there would be no other.
        let loading = AssertUnwindSafe(async { self.provider.provide_credentials().await }).catch_unwind();
        let found = match timeout(LOAD_TIMEOUT, loading).await {
            Ok(Ok(Ok(found))) => found,
            Ok(Ok(Err(error))) => return Err(with_causes(&error)),
            Ok(Err(_)) => return Err("the search for credentials panicked; please report it".to_owned()),
            Err(_) => return Err(format!("no answer within {} seconds", LOAD_TIMEOUT.as_secs())),
        };
        let credentials = Credentials::new(&found).map_err(|error| error.to_string())?;
        if credentials.valid_at(self.shared.clock.now()) {
            Ok(credentials)
        } else {
            Err("what was found has ended already; check the clock".to_owned())
        }
    }

    /// Waits as long, by whichever clock says so first, or until a load is asked for.
    async fn wait(&self, wait: Duration) {
        let clock = &self.shared.clock;
        let (began, due) = (Instant::now(), clock.now().plus(wait));
        while began.elapsed() < wait && clock.now() < due {
            let look = Instant::now() + LOOK_EVERY;
            select! {
                () = sleep_until(look.min(began + wait)) => self.shared.measure(),
                () = self.shared.wake.notified(), if self.failures == 0 => {
                    return sleep_until(began + ASKED_APART).await;
                }
            }
        }
    }
}

/// What an error says, and what its causes say. The SDK's own texts name no secret.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A random number from 0 to 1; the middle if there are no random bytes.
fn fraction() -> f64 {
    random::bytes().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}
