//! A source over a provider that a script answers for, in tokio's paused time: whoever waits for a load lets time run up
//! to it. [`rotation`] has the SDK's own chain, and servers that hand out keys.

mod rotation;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// 2015-08-30T12:36:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_440_938_160);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// What one load comes to.
#[derive(Clone, Debug)]
enum Load {
    /// A key of this id that ends so long after [`NOW`].
    Until(&'static str, Duration),
    /// A key of this id that does not end.
    Endless(&'static str),
    Fails(&'static str),
    Hangs,
    Panics,
}

use Load::{Endless, Fails, Hangs, Panics, Until};

/// Answers one load after another; the last answer stays.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Load>>,
    loads: Arc<Mutex<Vec<Instant>>>,
    under_way: AtomicUsize,
    _ended: oneshot::Sender<()>,
}

impl Script {
    async fn answer(&self) -> provider::Result {
        assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two loads at once");
        self.loads.lock().unwrap().push(Instant::now());
        // Takes some time, so that others could come in between.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.under_way.store(0, Ordering::SeqCst);
        let next = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
        };
        match next {
            Until(id, left) => Ok(key(id, Some(NOW.plus(left)))),
            Endless(id) => Ok(key(id, None)),
            Fails(text) => Err(CredentialsError::provider_error(text)),
            Hangs => std::future::pending().await,
            Panics => panic!("as the script has it"),
        }
    }
}

impl ProvideCredentials for Script {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.answer())
    }
}

fn key(id: &str, end: Option<Timestamp>) -> aws_credential_types::Credentials {
    let end = end.map(|end| UNIX_EPOCH + Duration::from_secs(end.unix_seconds().unsigned_abs()));
    aws_credential_types::Credentials::new(id, SECRET, Some("TOKEN-THAT-NOBODY-SEES".into()), end, "test")
}

struct World {
    source: Arc<CredentialSource>,
    clock: ManualClock,
    loads: Arc<Mutex<Vec<Instant>>>,
    ended: oneshot::Receiver<()>,
}

impl World {
    fn of(answers: impl IntoIterator<Item = Load>) -> Self {
        let (clock, loads, (alive, ended)) = (ManualClock::new(NOW), Arc::default(), oneshot::channel());
        let answers = Mutex::new(answers.into_iter().collect());
        let script = Script { answers, loads: Arc::clone(&loads), under_way: AtomicUsize::new(0), _ended: alive };
        let source = CredentialSource::start_with(&Handle::current(), "test", script, Clock::Manual(clock.clone()));
        Self { source, clock, loads, ended }
    }

    /// Waits for the end of so many loads since the beginning.
    async fn loaded(&self, count: u64) {
        self.source.loads().wait_for(|loads| loads.ended >= count).await.unwrap();
    }

    /// The time between the beginnings of a load, counted from one, and the one after it.
    async fn between(&self, load: usize) -> Duration {
        self.loaded(u64::try_from(load).unwrap() + 1).await;
        let loads = self.loads.lock().unwrap();
        loads[load] - loads[load - 1]
    }

    fn id(&self) -> Option<String> {
        self.id_at(NOW)
    }

    fn id_at(&self, now: Timestamp) -> Option<String> {
        self.source.current(now).ok().map(|credentials| credentials.access_key_id().to_owned())
    }

    fn unready(&self) -> String {
        self.source.unready().unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_there_after_the_first_load() {
    let world = World::of([Until("FIRST", HOUR)]);
    assert_eq!(world.id(), None);
    assert_eq!(world.unready(), "there are no AWS credentials (test); they are being loaded");
    world.source.attempted().await;
    assert_eq!(world.id().as_deref(), Some("FIRST"));
    assert_eq!(world.source.unready(), None);
    // A later load is not waited for.
    world.source.attempted().await;
    assert_eq!(world.loads.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_replaced_before_they_end() {
    let world = World::of([Until("FIRST", HOUR), Until("SECOND", 2 * HOUR)]);
    let waited = world.between(1).await;
    assert!((54 * MINUTE..=55 * MINUTE + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    assert_eq!(world.id().as_deref(), Some("SECOND"));
}

#[tokio::test(start_paused = true)]
async fn those_without_an_end_are_looked_at_again() {
    let world = World::of([Endless("FIRST"), Endless("SECOND")]);
    let waited = world.between(1).await;
    assert!((14 * MINUTE..=15 * MINUTE + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    assert_eq!(world.id_at(Timestamp::LATEST).as_deref(), Some("SECOND"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_forward_is_noticed_within_a_minute() {
    let world = World::of([Until("FIRST", HOUR), Until("SECOND", 2 * HOUR)]);
    world.loaded(1).await;
    world.clock.set(NOW.plus(56 * MINUTE));
    let waited = world.between(1).await;
    assert!(waited <= MINUTE + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn old_credentials_serve_while_no_new_ones_can_be_loaded_and_not_beyond_their_end() {
    let world = World::of([Until("FIRST", HOUR), Fails("the service is away"), Until("SECOND", 2 * HOUR)]);
    world.loaded(2).await;
    let last_second = NOW.plus(HOUR).minus(Duration::from_secs(1));
    assert_eq!(world.id_at(last_second).as_deref(), Some("FIRST"));
    assert_eq!(world.source.unready(), None, "they have long to go");
    world.clock.set(last_second);
    let why = "cannot be replaced: an error occurred while loading credentials: the service is away";
    assert_eq!(world.unready(), format!("the AWS credentials (test) end at 2015-08-30T13:36:00Z and {why}"));

    let end = NOW.plus(HOUR);
    world.clock.set(end);
    let error = world.source.current(end).unwrap_err().to_string();
    let why = "none can be loaded: an error occurred while loading credentials: the service is away";
    assert_eq!(error, format!("the AWS credentials (test) have ended at 2015-08-30T13:36:00Z, and {why}"));
    assert_eq!(world.unready(), error);

    world.loaded(3).await;
    assert_eq!(world.id_at(end).as_deref(), Some("SECOND"));
    assert_eq!(world.source.unready(), None);
}

#[tokio::test(start_paused = true)]
async fn loads_that_fail_are_ever_further_apart_and_nobody_hurries_them() {
    let world = World::of([Fails("no")]);
    for (load, step) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        world.loaded(u64::try_from(load).unwrap()).await;
        // Whoever finds none asks for a load.
        assert_eq!(world.id(), None);
        let (waited, step) = (world.between(load).await, Duration::from_secs(step));
        assert!((step / 2..=step + Duration::from_millis(10)).contains(&waited), "{load}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_forgotten_with_the_next_success() {
    let short = Until("FIRST", 4 * MINUTE);
    let world = World::of([Fails("no"), Fails("no"), short.clone(), Fails("no"), short]);
    world.loaded(4).await;
    let waited = world.between(4).await;
    assert!(waited <= Duration::from_millis(1010), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_asked_for_comes_soon_and_once() {
    let world = World::of([Until("FIRST", HOUR), Until("SECOND", HOUR), Until("THIRD", HOUR)]);
    world.loaded(1).await;
    for _ in 0..100 {
        world.source.refresh_now();
    }
    let waited = world.between(1).await;
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
    assert_eq!(world.id().as_deref(), Some("SECOND"));
    let waited = world.between(2).await;
    assert!(waited > 50 * MINUTE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_during_a_load_is_done_by_it() {
    let world = World::of([Until("FIRST", HOUR)]);
    while world.loads.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.source.refresh_now();
    let waited = world.between(1).await;
    assert!(waited > 50 * MINUTE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_finds_ended_credentials_asks_for_a_load() {
    let world = World::of([Until("FIRST", HOUR), Until("SECOND", 2 * HOUR)]);
    world.loaded(1).await;
    // The task looks at the clock within a minute, and would find by itself that they have ended.
    tokio::time::sleep(10 * MINUTE + MINUTE / 2).await;
    world.clock.set(NOW.plus(HOUR));
    assert_eq!(world.id_at(NOW.plus(HOUR)), None);
    let waited = world.between(1).await;
    assert!(waited < 10 * MINUTE + MINUTE * 3 / 4, "{waited:?}");
    assert_eq!(world.id_at(NOW.plus(HOUR)).as_deref(), Some("SECOND"));
}

#[tokio::test(start_paused = true)]
async fn credentials_that_have_ended_by_one_clock_alone_are_handed_out() {
    let world = World::of([Until("FIRST", HOUR)]);
    world.loaded(1).await;
    assert_eq!(world.id_at(NOW.plus(5 * HOUR)).as_deref(), Some("FIRST"));
    world.clock.set(NOW.plus(5 * HOUR));
    assert_eq!(world.id_at(NOW).as_deref(), Some("FIRST"));
    assert_eq!(world.id_at(NOW.plus(5 * HOUR)), None);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_end_soon_by_the_upstream_s_clock_are_replaced_while_they_are_good() {
    let world = World::of([Until("FIRST", HOUR), Until("SECOND", 2 * HOUR)]);
    world.loaded(1).await;
    tokio::time::advance(10 * MINUTE).await;
    // Ours is far behind.
    assert_eq!(world.id_at(NOW.plus(55 * MINUTE)).as_deref(), Some("FIRST"));
    tokio::time::advance(10 * MINUTE).await;
    assert_eq!(world.loads.lock().unwrap().len(), 1, "there is time yet");
    assert_eq!(world.id_at(NOW.plus(57 * MINUTE)).as_deref(), Some("FIRST"));
    let waited = world.between(1).await;
    assert!(waited < 21 * MINUTE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_or_panics_is_one_that_failed() {
    let world = World::of([Hangs, Panics, Until("THIRD", HOUR)]);
    let began = Instant::now();
    world.loaded(1).await;
    assert_eq!(began.elapsed().as_secs(), 15);
    assert!(world.unready().ends_with("none can be loaded: no answer within 15 seconds"), "{}", world.unready());
    world.loaded(2).await;
    assert!(world.unready().contains("panicked"), "{}", world.unready());
    world.loaded(3).await;
    assert_eq!(world.id().as_deref(), Some("THIRD"));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_already_or_cannot_be_sent_is_not_taken() {
    let world = World::of([Until("FIRST", Duration::ZERO), Endless("TWO WORDS")]);
    world.loaded(1).await;
    assert!(world.unready().ends_with("what was found has ended already; check the clock"), "{}", world.unready());
    world.loaded(2).await;
    assert!(world.unready().contains("access key id is empty, too long or not one word"), "{}", world.unready());
    assert_eq!(world.id(), None);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_aws_refuses_make_unready_until_it_accepts_them() {
    let world = World::of([Until("FIRST", HOUR)]);
    world.loaded(1).await;
    let credentials = world.source.current(NOW).unwrap();
    world.source.accepted();
    assert_eq!(world.source.unready(), None);
    world.source.rejected(&credentials, "UnrecognizedClientException:\nno such key");
    let text = "AWS does not accept the credentials (test): UnrecognizedClientException: no such key";
    assert_eq!(world.unready(), text);
    assert_eq!(world.id().as_deref(), Some("FIRST"), "they are handed out: AWS may think again");
    world.source.accepted();
    assert_eq!(world.source.unready(), None);
}

#[tokio::test(start_paused = true)]
async fn credentials_of_several_upstreams_that_one_refuses_and_others_accept_are_good() {
    let world = World::of([Until("FIRST", HOUR)]);
    world.loaded(1).await;
    let credentials = world.source.current(NOW).unwrap();
    world.source.share();
    for _ in 0..10 {
        world.source.rejected(&credentials, "UnrecognizedClientException");
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(world.source.unready(), None);
        world.source.accepted();
    }
    for _ in 0..2 {
        world.source.rejected(&credentials, "UnrecognizedClientException");
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    assert!(world.unready().contains("does not accept"), "{}", world.unready());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_credentials_that_were_replaced_says_nothing() {
    let world = World::of([Until("FIRST", HOUR), Until("SECOND", 2 * HOUR)]);
    world.loaded(1).await;
    let first = world.source.current(NOW).unwrap();
    world.source.rejected(&first, "before");
    world.loaded(2).await;
    assert_eq!(world.source.unready(), None);
    world.source.rejected(&first, "after");
    assert_eq!(world.source.unready(), None);
}

#[tokio::test(start_paused = true)]
async fn what_others_say_is_shown_in_one_line_of_bounded_length() {
    let world = World::of([Until("FIRST", HOUR)]);
    world.loaded(1).await;
    let credentials = world.source.current(NOW).unwrap();
    for text in ["é".repeat(10_000), "a\u{1b}[31m\u{0}b ".repeat(2_000)] {
        world.source.rejected(&credentials, &text);
        let shown = world.unready();
        assert!(shown.chars().count() < 600 && !shown.contains(char::is_control), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_prints_a_secret() {
    let world = World::of([Until("FIRST", HOUR)]);
    world.loaded(1).await;
    let printed = format!("{:?} {:?}", world.source, world.source.current(NOW));
    assert!(printed.contains("FIRST") && !printed.contains("wJalr") && !printed.contains("NOBODY"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_source() {
    let World { source, ended, .. } = World::of([Until("FIRST", HOUR)]);
    source.attempted().await;
    drop(source);
    ended.await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn metrics_show_what_is_left_and_what_became_of_loads() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let answers = [Until("FIRST", HOUR), Fails("no"), Endless("SECOND")];
    let world = metrics::with_local_recorder(&recorder, || World::of(answers));
    let line = |text: &str| assert!(shown.render().lines().any(|line| line == text), "{text}: {}", shown.render());
    world.loaded(1).await;
    line(r#"kmsgate_credentials_expire_seconds{source="test"} 3600"#);
    line(r#"kmsgate_credentials_refreshes_total{source="test",outcome="loaded"} 1"#);
    line(r#"kmsgate_credentials_refreshes_total{source="test",outcome="failed"} 0"#);
    world.clock.set(NOW.plus(55 * MINUTE));
    world.loaded(2).await;
    line(r#"kmsgate_credentials_expire_seconds{source="test"} 300"#);
    line(r#"kmsgate_credentials_refreshes_total{source="test",outcome="failed"} 1"#);
    world.loaded(3).await;
    line(r#"kmsgate_credentials_expire_seconds{source="test"} inf"#);
}
