//! What an upstream said about keys, kept for a while: facts and absences, so many and no more.
//!
//! A name that many requests ask for at once is looked up once, and all of them get what came of it; a fault, which is
//! not kept, too. But that one principal's part of the quota is used up is nothing to the others: the next of them asks.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::{Fault, KeyView, LookUpSettings};
use crate::kms::Exception;
use crate::policy::KeyFacts;

/// Why a name leads to no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotKnown {
    /// The upstream says that there is none.
    #[error("{0}")]
    Refused(Exception),
    /// The upstream does not let the gateway know.
    #[error("the gateway may not look it up: {0}")]
    Denied(Arc<str>),
    /// The upstream could not be asked.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What a name leads to.
pub(super) type Outcome = Result<Arc<KeyView>, NotKnown>;

/// What came of one look-up.
#[derive(Clone)]
struct Kept {
    outcome: Outcome,
    until: Instant,
}

/// The look-ups of one upstream.
pub(super) struct LookUps {
    kept: Cache<String, Kept>,
    lifetime: Duration,
    absent_lifetime: Duration,
}

impl LookUps {
    pub(super) fn new(settings: LookUpSettings) -> Self {
        let LookUpSettings { lifetime, absent_lifetime, entries } = settings;
        Self { kept: Cache::new(usize::try_from(entries).unwrap_or(usize::MAX)), lifetime, absent_lifetime }
    }

    /// What `name` is known to lead to, if all these facts of it are.
    pub(super) fn known(&self, name: &str, facts: KeyFacts) -> Option<Outcome> {
        let kept = self.kept.get(name)?;
        kept.serves(facts).then_some(kept.outcome)
    }

    /// What `name` leads to: as it is known, or else as `look_up` finds it, which is kept.
    pub(super) async fn find(&self, name: &str, facts: KeyFacts, look_up: impl Future<Output = Outcome>) -> Outcome {
        self.kept.remove_if(name, |kept| !kept.serves(facts));
        let found = async {
            let outcome = look_up.await;
            let lifetime = match &outcome {
                Ok(_) => self.lifetime,
                Err(NotKnown::Refused(_) | NotKnown::Denied(_)) => self.absent_lifetime,
                Err(NotKnown::Fault(fault @ Fault::ShareUsedUp)) => return Err(fault.clone()),
                // Told to those who wait, and to nobody after them.
                Err(NotKnown::Fault(_)) => Duration::ZERO,
            };
            Ok(Kept { outcome, until: Instant::now() + lifetime })
        };
        match self.kept.get_or_insert_async(name, found).await {
            Ok(kept) => kept.outcome,
            Err(of_the_caller) => Err(of_the_caller.into()),
        }
    }

    /// Forgets what `name` leads to.
    pub(super) fn forget(&self, name: &str) {
        self.kept.remove(name);
    }

    /// Forgets everything: something was changed.
    pub(super) fn forget_all(&self) {
        self.kept.clear();
    }
}

impl Kept {
    fn serves(&self, facts: KeyFacts) -> bool {
        let known = |key: &Arc<KeyView>| key.facts | facts == key.facts && !key.is_doubted();
        self.outcome.as_ref().map_or(true, known) && Instant::now() < self.until
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::aws::KeyArn;
    use crate::kms::ExceptionKind;

    const SETTINGS: LookUpSettings =
        LookUpSettings { lifetime: Duration::from_mins(1), absent_lifetime: Duration::from_secs(5), entries: 100 };
    const NOTHING: KeyFacts = KeyFacts { metadata: false, tags: false, aliases: false };
    const TAGS: KeyFacts = KeyFacts { tags: true, ..NOTHING };
    const ALIAS: &str = "alias/orders";

    #[expect(clippy::unnecessary_wraps, reason = "it is one of three outcomes")]
    fn key(facts: KeyFacts) -> Outcome {
        let arn: KeyArn =
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
        Ok(Arc::new(KeyView::looked_up(arn, facts)))
    }

    fn absent() -> Outcome {
        Err(NotKnown::Refused(Exception::bare(ExceptionKind::NotFound)))
    }

    fn fault() -> Outcome {
        Err(NotKnown::Fault(Fault::CircuitOpen))
    }

    /// An upstream that takes its time, and counts.
    struct Upstream {
        look_ups: LookUps,
        asked: AtomicUsize,
    }

    impl Upstream {
        fn new() -> Self {
            Self { look_ups: LookUps::new(SETTINGS), asked: AtomicUsize::new(0) }
        }

        async fn find(&self, facts: KeyFacts, outcome: Outcome) -> Outcome {
            let look_up = async {
                self.asked.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
                outcome
            };
            self.look_ups.find(ALIAS, facts, look_up).await
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_many_ask_for_at_once_is_looked_up_once() {
        let upstream = Upstream::new();
        let found = join_all((0..50).map(|_| upstream.find(NOTHING, key(NOTHING)))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(upstream.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_and_an_absence_are_believed_for_their_times() {
        for (outcome, lifetime) in [(key(NOTHING), SETTINGS.lifetime), (absent(), SETTINGS.absent_lifetime)] {
            let upstream = Upstream::new();
            assert!(upstream.look_ups.known(ALIAS, NOTHING).is_none());
            let _ = upstream.find(NOTHING, outcome.clone()).await;
            advance(lifetime.saturating_sub(Duration::from_millis(1))).await;
            assert_eq!(upstream.look_ups.known(ALIAS, NOTHING).unwrap().is_ok(), outcome.is_ok());
            advance(Duration::from_millis(1)).await;
            assert!(upstream.look_ups.known(ALIAS, NOTHING).is_none());
            let _ = upstream.find(NOTHING, outcome).await;
            assert_eq!(upstream.asked(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_told_to_those_who_wait_and_is_not_kept() {
        let upstream = Upstream::new();
        let found = join_all((0..50).map(|_| upstream.find(NOTHING, fault()))).await;
        assert!(found.iter().all(Result::is_err));
        assert_eq!(upstream.asked(), 1);
        assert!(upstream.find(NOTHING, key(NOTHING)).await.is_ok());
        assert_eq!(upstream.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn that_one_has_used_up_its_part_is_told_to_nobody_else_who_waits() {
        let upstream = Upstream::new();
        let used_up = upstream.find(NOTHING, Err(NotKnown::Fault(Fault::ShareUsedUp)));
        let (used_up, found) = tokio::join!(used_up, upstream.find(NOTHING, key(NOTHING)));
        assert!(matches!(used_up, Err(NotKnown::Fault(Fault::ShareUsedUp))));
        assert!(found.is_ok());
        assert_eq!(upstream.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_to_know_more_looks_it_up_again() {
        let upstream = Upstream::new();
        let _ = upstream.find(NOTHING, key(NOTHING)).await;
        assert!(upstream.look_ups.known(ALIAS, TAGS).is_none());
        assert!(upstream.find(TAGS, key(TAGS)).await.unwrap().facts.tags);
        assert!(upstream.look_ups.known(ALIAS, NOTHING).is_some(), "more than is asked for is enough");
        assert_eq!(upstream.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_for_which_a_request_was_refused_is_looked_up_again_once_in_five_seconds_at_most() {
        let upstream = Upstream::new();
        for _ in 0..3 {
            let key = upstream.find(NOTHING, key(NOTHING)).await.unwrap();
            key.doubt();
            advance(Duration::from_secs(4)).await;
            key.doubt();
            assert!(upstream.look_ups.known(ALIAS, NOTHING).is_some());
            advance(Duration::from_secs(1)).await;
            key.doubt();
            assert!(upstream.look_ups.known(ALIAS, NOTHING).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_forgotten_is_looked_up_again() {
        let upstream = Upstream::new();
        for forget in [(|look_ups| look_ups.forget(ALIAS)) as fn(&LookUps), LookUps::forget_all] {
            let _ = upstream.find(NOTHING, key(NOTHING)).await;
            forget(&upstream.look_ups);
            assert!(upstream.look_ups.known(ALIAS, NOTHING).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_whose_client_has_gone_is_taken_over_by_the_next() {
        let upstream = Upstream::new();
        let gone = tokio::time::timeout(Duration::from_millis(5), upstream.find(NOTHING, key(NOTHING)));
        let (gone, found) = tokio::join!(gone, upstream.find(NOTHING, key(NOTHING)));
        assert!(gone.is_err() && found.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_there_is_room_for() {
        let upstream = Upstream::new();
        for number in 0..10_000 {
            let _ = upstream.look_ups.find(&format!("alias/{number}"), NOTHING, async { absent() }).await;
        }
        assert!(upstream.look_ups.kept.len() <= 100, "{}", upstream.look_ups.kept.len());
    }
}
