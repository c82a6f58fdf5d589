//! One quota: governor's limiter over a store that can also take back what it gave.
//!
//! governor decides by GCRA: a cell's theoretical arrival time moves one interval ahead with each request.
//! It has no way to return a request, but its stores are open to all who hold them, so a request that a later
//! limiter refused is returned by moving the time one interval back.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, RateLimiter};

use super::Quota;

/// How many principals or keys are remembered before those whose quota is whole again are forgotten. One takes
/// some 32 bytes.
const SUBJECTS: usize = 65_536;
/// How many requests pass between two looks at how many are remembered.
const SWEEP_EVERY: u32 = 1024;

/// Keyed with bytes of this process alone, so nobody outside can make two subjects collide.
static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Whom or what a quota counts: 64 bits of a keyed hash of its name. Make it once where the name is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject(u64);

impl Subject {
    /// The subject of this name, an ARN say. It is the same throughout the process and in no other.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(HASH.hash_one(name))
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Self {
        Self::of(name)
    }
}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0);
    }
}

/// Hands on a [`Subject`]'s own bits, which are a good hash already.
#[derive(Clone, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }
}

/// A store that the limiter and the bucket hold together.
pub(super) struct Held<S>(Arc<S>);

impl<S: StateStore> StateStore for Held<S> {
    type Key = S::Key;

    fn measure_and_replace<T, F, E>(&self, key: &Self::Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, decide)
    }
}

impl ShrinkableKeyedStateStore<Subject> for Held<Keyed> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

type Limiter<S, C> = RateLimiter<<S as StateStore>::Key, Held<S>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// What the quota counts one by one.
pub(super) type Keyed = DashMapStateStore<Subject, BuildHasherDefault<AsItIs>>;
/// What the quota counts all together.
pub(super) type Direct = InMemoryState;

/// A quota and what is left of it.
pub(super) struct Bucket<S: StateStore, C: Clock> {
    pub(super) quota: Quota,
    limiter: Arc<Limiter<S, C>>,
    store: Arc<S>,
    clock: C,
    calls: Arc<AtomicU32>,
}

impl<S: StateStore + Default, C: Clock + Clone> Bucket<S, C> {
    pub(super) fn new(quota: Quota, clock: &C) -> Self {
        let rate = governor::Quota::per_second(quota.per_second).allow_burst(quota.burst);
        let store = Arc::new(S::default());
        Self {
            quota,
            limiter: Arc::new(RateLimiter::new(rate, Held(Arc::clone(&store)), clock.clone())),
            store,
            clock: clock.clone(),
            calls: Arc::default(),
        }
    }

    /// A bucket for `quota` that goes on with what this one has counted, unless its rate or burst is another.
    pub(super) fn reconfigured(&self, quota: Quota) -> Self {
        if (quota.per_second, quota.burst) != (self.quota.per_second, self.quota.burst) {
            return Self::new(quota, &self.clock);
        }
        Self {
            quota,
            limiter: Arc::clone(&self.limiter),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            calls: Arc::clone(&self.calls),
        }
    }

    fn wait(&self, refusal: &NotUntil<C::Instant>) -> Duration {
        refusal.wait_time_from(self.clock.now())
    }

    /// Takes back one request that was let through.
    fn put_back(&self, key: &S::Key) {
        let interval = Nanos::from((Duration::from_secs(1) / self.quota.per_second.get()).max(Duration::from_nanos(1)));
        let moved = |arrival: Option<Nanos>| arrival.map(|arrival| ((), arrival.saturating_sub(interval))).ok_or(());
        // Nothing is remembered: then the quota is whole already.
        let _ = self.store.measure_and_replace(key, moved);
    }
}

impl<C: Clock + Clone> Bucket<Direct, C> {
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|refusal| self.wait(&refusal))
    }

    pub(super) fn give_back(&self) {
        self.put_back(&NotKeyed::NonKey);
    }
}

impl<C: Clock + Clone> Bucket<Keyed, C> {
    pub(super) fn take(&self, subject: Subject) -> Result<(), Duration> {
        let decision = self.limiter.check_key(&subject).map_err(|refusal| self.wait(&refusal));
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep(SUBJECTS);
        }
        decision
    }

    pub(super) fn give_back(&self, subject: Subject) {
        self.put_back(&subject);
    }

    /// Forgets, beyond `cap` subjects, those that cannot be told from new ones; beyond twice the cap, all: what
    /// is used by so many at once is better unlimited for a moment than unbounded in memory.
    fn sweep(&self, cap: usize) {
        if self.store.len() <= cap {
            return;
        }
        self.limiter.retain_recent();
        if self.store.len() > cap.saturating_mul(2) {
            self.store.clear();
        }
        self.store.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn quota(per_second: u32, burst: u32) -> Quota {
        let positive = |number| NonZeroU32::new(number).unwrap();
        Quota { per_second: positive(per_second), burst: positive(burst), max_wait: Duration::ZERO }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let clock = FakeRelativeClock::default();
        clock.advance(Duration::from_secs(5));
        let bucket = Bucket::<Direct, _>::new(quota(1, 3), &clock);
        for _ in 0..10 {
            assert_eq!(bucket.take(), Ok(()));
            bucket.give_back();
        }
        assert_eq!([(); 4].map(|()| bucket.take().is_ok()), [true, true, true, false]);
        bucket.give_back();
        assert_eq!([(); 2].map(|()| bucket.take().is_ok()), [true, false]);
    }

    #[test]
    fn a_return_to_one_who_took_nothing_gives_nothing() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::<Keyed, _>::new(quota(1, 1), &clock);
        let subject = Subject::of("a");
        bucket.give_back(subject);
        assert_eq!([(); 2].map(|()| bucket.take(subject).is_ok()), [true, false]);
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::<Keyed, _>::new(quota(4, 1), &clock);
        let subject = Subject::of("a");
        assert_eq!(bucket.take(subject), Ok(()));
        clock.advance(Duration::from_millis(50));
        assert_eq!(bucket.take(subject), Err(Duration::from_millis(200)));
    }

    #[test]
    fn beyond_the_cap_those_whose_quota_is_whole_are_forgotten_and_the_others_kept() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::<Keyed, _>::new(quota(1, 1), &clock);
        for number in 0..20 {
            bucket.take(Subject::of(&format!("early {number}"))).unwrap();
        }
        clock.advance(Duration::from_secs(3));
        let late = Subject::of("late");
        bucket.take(late).unwrap();
        bucket.sweep(21);
        assert_eq!(bucket.store.len(), 21, "within the cap nothing is forgotten");
        bucket.sweep(20);
        assert_eq!(bucket.store.len(), 1);
        assert!(bucket.take(late).is_err());
    }

    #[test]
    fn far_beyond_the_cap_memory_stays_bounded() {
        let bucket = Bucket::<Keyed, _>::new(quota(1, 1), &FakeRelativeClock::default());
        for number in 0..21 {
            bucket.take(Subject::of(&number.to_string())).unwrap();
        }
        bucket.sweep(10);
        assert_eq!(bucket.store.len(), 0);
    }

    #[test]
    fn requests_themselves_trigger_the_sweep() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::<Keyed, _>::new(quota(1_000, 1), &clock);
        for number in 0..SUBJECTS * 2 {
            bucket.take(Subject::of(&number.to_string())).unwrap();
            clock.advance(Duration::from_millis(1));
        }
        assert!(bucket.store.len() <= SUBJECTS + SWEEP_EVERY as usize);
    }
}
