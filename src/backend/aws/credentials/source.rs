//! The credentials of one role, for all who sign with them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_credential_types::provider::ProvideCredentials;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::refresh::Refresher;
use super::rejection::Rejection;
use super::{Chain, Credentials};
use crate::aws::{AccountId, Region};
use crate::backend::aws::Role;
use crate::clock::{Clock, Timestamp};

/// What cannot be replaced and ends within this makes the gateway unready: long enough for a load balancer to notice
/// and for what is under way to end, and short enough to have tried many times before.
const ABOUT_TO_END: Duration = Duration::from_mins(2);
/// What has less than this left by the upstream's clock, and more by ours, is replaced at once: the task that replaces
/// credentials goes by ours, and is a minute earlier where the two agree.
const ENDS_SOONER: Duration = Duration::from_mins(4);
/// Where several upstreams are called with the same credentials, one may refuse what the others accept (a region that is
/// not enabled for the account): an acceptance within this time shows that they are good. Without it every call to such
/// a region would take all others from the gateway.
const DOUBTED_AFTER: Duration = Duration::from_secs(5);
/// What others say is shown up to so many characters.
const LONGEST_TEXT: usize = 500;

/// Credentials that a task of its own keeps fresh. Dropping it ends the task.
pub(crate) struct CredentialSource {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What the task and its readers share.
pub(super) struct Shared {
    /// Names the source in the log and in metrics.
    pub(super) name: Box<str>,
    pub(super) clock: Clock,
    current: ArcSwapOption<Credentials>,
    pub(super) loads: watch::Sender<Loads>,
    /// Somebody wants them to be loaded now.
    pub(super) wake: Notify,
    rejection: Rejection,
    /// Whether they are of more than one upstream.
    of_several: AtomicBool,
    meters: Meters,
}

/// What became of the loads so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    /// How many have ended.
    pub(super) ended: u64,
    /// Why the last one failed, if it did.
    pub(super) failure: Option<Arc<str>>,
}

struct Meters {
    expire: Gauge,
    loaded: Counter,
    failed: Counter,
}

impl CredentialSource {
    /// Starts to load the credentials of `role`, or of the default chain itself, for calls in `region`.
    #[must_use]
    pub(crate) fn start(handle: &Handle, region: &Region, role: Option<&Role>, clock: Clock) -> Arc<Self> {
        let chain = Chain::new(region, role);
        let name = chain.name().to_owned();
        Self::start_with(handle, &name, chain, clock)
    }

    /// Starts to load what `provider` gives, on the runtime of `handle`, which needs time and I/O. A load may take some
    /// milliseconds of its thread, so no worker should wait behind it. `name` is shown to operators.
    #[must_use]
    pub(crate) fn start_with<P>(handle: &Handle, name: &str, provider: P, clock: Clock) -> Arc<Self>
    where
        P: ProvideCredentials + 'static,
    {
        let shared = Arc::new(Shared {
            name: name.into(),
            clock,
            current: ArcSwapOption::empty(),
            loads: watch::Sender::default(),
            wake: Notify::new(),
            rejection: Rejection::default(),
            of_several: AtomicBool::new(false),
            meters: Meters::new(name),
        });
        let task = handle.spawn(Refresher::new(Arc::clone(&shared), provider).run());
        Arc::new(Self { shared, task: task.abort_handle() })
    }

    #[cfg(test)]
    /// Waits until the first load has ended, well or not: at most 15 seconds.
    pub(crate) async fn attempted(&self) {
        // The sender is in `self`, so there is an end to wait for.
        let _ = self.shared.loads.subscribe().wait_for(|loads| loads.ended > 0).await;
    }

    /// The credentials to sign with at `theirs`, the upstream's time. Never waits.
    ///
    /// Credentials that have ended by that time or by our clock, and not by both, are handed out: one of the two is wrong,
    /// and only an answer can tell which, so something has to be sent.
    ///
    /// # Errors
    ///
    /// [`NoCredentials`] if none were loaded yet, or those that were have ended by both clocks; then a load is asked for.
    pub(crate) fn current(&self, theirs: Timestamp) -> Result<Arc<Credentials>, NoCredentials> {
        let ours = self.shared.clock.now();
        let earlier = theirs.min(ours);
        let Some(current) = self.shared.current().filter(|credentials| credentials.valid_at(earlier)) else {
            self.refresh_now();
            return Err(self.shared.none(earlier));
        };
        let ends_soon = |now| current.left(now).is_some_and(|left| left < ENDS_SOONER);
        if ends_soon(theirs) && !ends_soon(ours) {
            self.refresh_now();
        }
        Ok(current)
    }

    /// One more upstream is called with them.
    pub(crate) fn share(&self) {
        self.shared.of_several.store(true, Ordering::Relaxed);
    }

    /// Whose they are, where that was said.
    pub(crate) fn account(&self) -> Option<AccountId> {
        self.shared.current()?.account()
    }

    /// Asks for a load soon, because AWS said that the credentials have ended. However often it is asked, a load follows
    /// another by five seconds, and while loads fail they keep to their own times.
    pub(crate) fn refresh_now(&self) {
        self.shared.wake.notify_one();
    }

    /// AWS does not accept a request that was signed with `credentials`, for a reason that lies in them; `detail` is
    /// what it said. Forgotten at the next [`accepted`](Self::accepted), and when other credentials are loaded.
    pub(crate) fn rejected(&self, credentials: &Credentials, detail: &str) {
        // A late answer to a request that was signed with those before says nothing of these.
        if !self.shared.signs_with(credentials.access_key_id()) {
            return;
        }
        let detail = shown(detail);
        if self.shared.rejection.set(&detail) {
            tracing::warn!(source = %self.shared.name, detail, "AWS does not accept the credentials");
        }
    }

    /// AWS has accepted a signature.
    pub(crate) fn accepted(&self) {
        if self.shared.rejection.clear() {
            tracing::info!(source = %self.shared.name, "AWS accepts the credentials again");
        }
    }

    /// Why requests cannot be signed, or soon cannot, in one line for an operator; `None` if they can.
    #[must_use]
    pub(crate) fn unready(&self) -> Option<String> {
        let (shared, now) = (&*self.shared, self.shared.clock.now());
        let name = &shared.name;
        let Some(current) = shared.current().filter(|credentials| credentials.valid_at(now)) else {
            return Some(shared.none(now).to_string());
        };
        let failure = shared.loads.borrow().failure.clone();
        if let (Some(failure), Some(end)) = (failure, current.expires_at())
            && end.since(now) < ABOUT_TO_END
        {
            let end = end.iso8601();
            return Some(format!("the AWS credentials ({name}) end at {end} and cannot be replaced: {failure}"));
        }
        let of_several = shared.of_several.load(Ordering::Relaxed);
        let detail = shared.rejection.get(if of_several { DOUBTED_AFTER } else { Duration::ZERO })?;
        Some(format!("AWS does not accept the credentials ({name}): {detail}"))
    }
}

#[cfg(test)]
impl CredentialSource {
    pub(super) fn loads(&self) -> watch::Receiver<Loads> {
        self.shared.loads.subscribe()
    }
}

impl Drop for CredentialSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.shared.current();
        f.debug_struct("CredentialSource")
            .field("name", &self.shared.name)
            .field("current", &current)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn current(&self) -> Option<Arc<Credentials>> {
        self.current.load_full()
    }

    /// Takes up what was loaded.
    pub(super) fn replace(&self, credentials: Credentials) {
        if !self.signs_with(credentials.access_key_id()) {
            let (id, expires_at) = (credentials.access_key_id(), credentials.expires_at());
            tracing::info!(source = %self.name, access_key_id = id, ?expires_at, "AWS credentials loaded");
            self.rejection.clear();
        }
        self.current.store(Some(Arc::new(credentials)));
        self.meters.loaded.increment(1);
        self.ended(None);
    }

    /// Notes that a load failed, for what reason.
    pub(super) fn failed(&self, reason: &str) {
        let reason: Arc<str> = shown(reason).into();
        tracing::warn!(source = %self.name, %reason, "AWS credentials cannot be loaded");
        self.meters.failed.increment(1);
        self.ended(Some(reason));
    }

    fn ended(&self, failure: Option<Arc<str>>) {
        self.measure();
        self.loads.send_modify(|loads| {
            if loads.failure.is_some() && failure.is_none() {
                tracing::info!(source = %self.name, "AWS credentials can be loaded again");
            }
            loads.ended += 1;
            loads.failure = failure;
        });
    }

    /// Shows how long the credentials are still good for.
    pub(super) fn measure(&self) {
        let left = self.current().map_or(Some(Duration::ZERO), |credentials| credentials.left(self.clock.now()));
        self.meters.expire.set(left.map_or(f64::INFINITY, |left| left.as_secs_f64()));
    }

    fn signs_with(&self, access_key_id: &str) -> bool {
        self.current.load().as_ref().is_some_and(|current| current.access_key_id() == access_key_id)
    }

    /// Why there are none.
    fn none(&self, now: Timestamp) -> NoCredentials {
        let loads = self.loads.borrow();
        let ended = self.current().and_then(|current| current.expires_at()).filter(|end| *end <= now);
        let name = &self.name;
        let what = match ended {
            Some(end) => format!("the AWS credentials ({name}) have ended at {}", end.iso8601()),
            None => format!("there are no AWS credentials ({name})"),
        };
        NoCredentials(match &loads.failure {
            Some(failure) => format!("{what}, and none can be loaded: {failure}"),
            None => format!("{what}; they are being loaded"),
        })
    }
}

impl Meters {
    fn new(source: &str) -> Self {
        let label = || ("source", source.to_owned());
        let refreshes = |outcome: &'static str| {
            let labels = [label(), ("outcome", outcome.to_owned())];
            counter!("kmsgate_credentials_refreshes_total", &labels)
        };
        let expire = gauge!("kmsgate_credentials_expire_seconds", &[label()]);
        Self { expire, loaded: refreshes("loaded"), failed: refreshes("failed") }
    }
}

/// A text of another's in one line of bounded length.
fn shown(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut shown = String::new();
    for (index, word) in words.enumerate() {
        if index > 0 {
            shown.push(' ');
        }
        shown.extend(word.chars().take(LONGEST_TEXT));
        if shown.chars().count() >= LONGEST_TEXT {
            return shown.chars().take(LONGEST_TEXT).chain(['…']).collect();
        }
    }
    shown
}

/// There is nothing to sign with; says why, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoCredentials(String);
