//! How many replicas of the gateway share an upstream's quotas: counted by the addresses of a headless Service.
//!
//! Such a Service has one address for each pod. With `publishNotReadyAddresses` pods that start or recover are counted
//! too, which is what the budget wants: they are about to ask. Who is told decides what follows; nothing here knows of
//! budgets.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the name is looked up: cluster DNS keeps its answers for as long as a rule, and a replica more or less
/// means little for the seconds between.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10);
/// How long a look-up may take: half of what is between two.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// How many replicas share an upstream's quotas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// So many.
    Fixed(NonZeroU32),
    /// As many as this headless Service has pods: `NAME:PORT`, of which the port may be any.
    Service(Box<str>),
}

/// What finds the addresses of a name.
pub(crate) trait Resolver: Send + Sync + 'static {
    /// All addresses of `name`, `HOST:PORT`.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or there are none.
    fn addresses(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host(name).await?.map(|address| address.ip()).collect())
    }
}

/// What counts replicas: a task, if they are to be counted, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ReplicaCount {
    task: Option<AbortHandle>,
}

impl ReplicaCount {
    /// Tells `changed` a fixed number at once. A Service is looked up now and every 10 s, and each new count is told;
    /// the first is new unless it is 1. While the name cannot be looked up, the last count stays.
    pub(crate) fn follow<R: Resolver>(
        replicas: Replicas,
        resolver: R,
        runtime: &Handle,
        changed: impl Fn(NonZeroU32) + Send + Sync + 'static,
    ) -> Self {
        let task = match replicas {
            Replicas::Service(service) => Some(runtime.spawn(follow(service, resolver, changed)).abort_handle()),
            Replicas::Fixed(count) => {
                changed(count);
                None
            }
        };
        Self { task }
    }
}

impl Drop for ReplicaCount {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

async fn follow<R: Resolver>(service: Box<str>, resolver: R, changed: impl Fn(NonZeroU32)) {
    let mut ticks = interval(LOOK_UP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = NonZeroU32::MIN;
    let mut failing = false;
    loop {
        ticks.tick().await;
        match look_up(&service, &resolver).await {
            Ok(count) => {
                failing = false;
                if count != last {
                    tracing::info!(%service, replicas = count, before = last, "the replicas that share the quotas are others");
                    last = count;
                    changed(count);
                }
            }
            // One line for each time that it begins to fail.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%service, replicas = last, %error, "cannot count the replicas; the last count stays");
            }
            Err(_) => {}
        }
    }
}

async fn look_up<R: Resolver>(service: &str, resolver: &R) -> io::Result<NonZeroU32> {
    let addresses = timeout(LOOK_UP_TIMEOUT, resolver.addresses(service)).await??;
    count(&addresses).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// How many pods have these addresses. In a cluster of two address families a pod has one of each, so families are not
/// added up.
fn count(addresses: &[IpAddr]) -> Option<NonZeroU32> {
    let (v4, v6): (HashSet<&IpAddr>, HashSet<&IpAddr>) = addresses.iter().partition(|address| address.is_ipv4());
    NonZeroU32::new(u32::try_from(v4.len().max(v6.len())).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Gives these answers one after the other, then none any more. An empty one is a failure.
    struct Scripted(Mutex<VecDeque<&'static [&'static str]>>);

    impl Resolver for Scripted {
        async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            assert_eq!(name, "gateways:8700");
            let answer = self.0.lock().unwrap().pop_front();
            match answer {
                None => std::future::pending().await,
                Some([]) => Err(io::ErrorKind::ConnectionRefused.into()),
                Some(addresses) => Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()),
            }
        }
    }

    fn service() -> Replicas {
        Replicas::Service("gateways:8700".into())
    }

    /// Follows `answers`; what is told, and after how many seconds.
    fn followed(answers: &[&'static [&'static str]]) -> (ReplicaCount, UnboundedReceiver<(u32, u64)>) {
        let (told, counts) = unbounded_channel();
        let start = Instant::now();
        let resolver = Scripted(Mutex::new(answers.iter().copied().collect()));
        let changed = move |count: NonZeroU32| told.send((count.get(), start.elapsed().as_secs())).unwrap();
        (ReplicaCount::follow(service(), resolver, &Handle::current(), changed), counts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once_and_a_failure_changes_nothing() {
        let three: &[_] = &["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let (_task, mut counts) = followed(&[three, three, &[], &[], three, &["10.0.0.9", "10.0.0.1"], &["10.0.0.9"]]);
        for expected in [(3, 0), (2, 50), (1, 60)] {
            assert_eq!(counts.recv().await, Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_does_not_end_is_given_up() {
        /// Never answers, and counts how often it is asked.
        struct Silent(Arc<Mutex<u32>>);

        impl Resolver for Silent {
            async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
                *self.0.lock().unwrap() += 1;
                std::future::pending().await
            }
        }

        let asked = Arc::default();
        let resolver = Silent(Arc::clone(&asked));
        let _task = ReplicaCount::follow(service(), resolver, &Handle::current(), |_| {});
        sleep(Duration::from_secs(25)).await;
        assert_eq!(*asked.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_fixed_number_is_told_at_once() {
        let told = Arc::new(AtomicU32::new(0));
        let changed = {
            let told = Arc::clone(&told);
            move |count: NonZeroU32| told.store(count.get(), Ordering::Relaxed)
        };
        let fixed = Replicas::Fixed(NonZeroU32::new(3).unwrap());
        let _none = ReplicaCount::follow(fixed, SystemResolver, &Handle::current(), changed);
        assert_eq!(told.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_replica_is_told_nothing() {
        let (task, mut counts) = followed(&[&["10.0.0.1"], &["10.0.0.1"]]);
        sleep(Duration::from_mins(1)).await;
        drop(task);
        assert_eq!(counts.recv().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ends_with_its_owner() {
        let (task, mut counts) = followed(&[&["10.0.0.1", "10.0.0.2"], &["10.0.0.1"]]);
        assert_eq!(counts.recv().await, Some((2, 0)));
        drop(task);
        assert_eq!(counts.recv().await, None, "what tells is gone before the next look");
    }

    #[test]
    fn addresses_are_counted_once_and_those_of_two_families_are_of_the_same_pods() {
        let counted = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            count(&addresses).map(NonZeroU32::get)
        };
        assert_eq!(counted(&[]), None);
        assert_eq!(counted(&["10.0.0.1", "10.0.0.1", "10.0.0.2"]), Some(2));
        assert_eq!(counted(&["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"]), Some(2));
        assert_eq!(counted(&["10.0.0.1", "fd00::1", "fd00::2", "fd00::2"]), Some(2));
    }

    #[tokio::test]
    async fn a_real_name_is_resolved() {
        assert_eq!(look_up("localhost:8700", &SystemResolver).await.unwrap(), NonZeroU32::MIN);
        assert!(look_up("no port", &SystemResolver).await.is_err());
    }
}
