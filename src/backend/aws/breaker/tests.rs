use std::sync::Arc;

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> (Breaker, Instant) {
    (Breaker::new("111122223333/eu-west-1"), Instant::now())
}

impl Breaker {
    fn fails(&self, times: u32, now: Instant) {
        for _ in 0..times {
            self.admit(now).unwrap().failed(now);
        }
    }

    fn is_open(&self, now: Instant) -> bool {
        self.admit(now).is_err()
    }

    /// How long from `now` until a call is let through, to a tenth of a second. That call goes away again.
    fn pause(&self, now: Instant) -> Duration {
        (0..1000).map(|tenths| SECOND / 10 * tenths).find(|pause| !self.is_open(now + *pause)).unwrap()
    }
}

fn within_jitter(pause: Duration, nominal: Duration) -> bool {
    (nominal..=nominal + nominal / 4 + SECOND / 10).contains(&pause)
}

#[test]
fn it_opens_at_the_fifth_failure_in_a_row() {
    let (breaker, now) = breaker();
    breaker.fails(4, now);
    assert!(!breaker.is_open(now));
    breaker.fails(1, now);
    assert!(breaker.is_open(now));
}

#[test]
fn an_answer_in_between_begins_the_row_anew() {
    let (breaker, now) = breaker();
    for _ in 0..10 {
        breaker.fails(4, now);
        breaker.admit(now).unwrap().succeeded();
    }
    assert!(!breaker.is_open(now));
}

#[test]
fn failures_that_are_far_apart_are_not_one_outage() {
    let (breaker, now) = breaker();
    for turn in 0..20 {
        breaker.fails(1, now + WINDOW / 3 * turn);
    }
    assert!(!breaker.is_open(now + WINDOW * 7));
}

#[test]
fn a_call_that_nobody_waited_for_says_nothing() {
    let (breaker, now) = breaker();
    breaker.fails(4, now);
    drop(breaker.admit(now).unwrap());
    breaker.fails(1, now);
    assert!(breaker.is_open(now), "it does not count as an answer");
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_long_waited_for_in_vain_are_failures_and_others_are_not() {
    for (waited, opens) in [(SECOND * 9 / 10, false), (PATIENCE, true)] {
        let (breaker, now) = breaker();
        let passes: Vec<_> = (0..5).map(|_| breaker.admit(now).unwrap()).collect();
        tokio::time::advance(waited).await;
        drop(passes);
        assert!(!breaker.is_open(now), "nothing was sent");

        let now = Instant::now();
        let mut passes: Vec<_> = (0..5).map(|_| breaker.admit(now).unwrap()).collect();
        for pass in &mut passes {
            pass.handed_over(now);
        }
        tokio::time::advance(waited).await;
        drop(passes);
        assert_eq!(breaker.is_open(Instant::now()), opens);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_long_waited_for_in_vain_has_failed() {
    let (breaker, now) = breaker();
    breaker.fails(5, now);
    tokio::time::advance(SECOND * 2).await;
    let mut probe = breaker.admit(Instant::now()).unwrap();
    probe.handed_over(Instant::now());
    tokio::time::advance(SECOND * 10).await;
    drop(probe);
    assert!(within_jitter(breaker.pause(Instant::now()), SECOND * 2));
}

#[test]
fn an_answer_that_tells_nothing_neither_opens_nor_closes_it() {
    let (breaker, now) = breaker();
    breaker.fails(4, now);
    breaker.admit(now).unwrap().says_nothing();
    breaker.fails(1, now);
    let later = now + SECOND * 2;
    breaker.admit(later).unwrap().says_nothing();
    breaker.admit(later).unwrap().failed(later);
    assert!(breaker.is_open(later), "it was the next call's to find out");
}

#[test]
fn after_the_pause_one_call_is_let_through_and_its_answer_closes_it() {
    let (breaker, now) = breaker();
    breaker.fails(5, now);
    assert!(breaker.is_open(now + SECOND * 9 / 10));
    let later = now + SECOND * 2;
    let probe = breaker.admit(later).unwrap();
    assert!((0..100).all(|_| breaker.is_open(later + SECOND * 60)), "one is enough, however long it takes");
    probe.succeeded();
    assert!((0..100).all(|_| !breaker.is_open(later)));
    // And the failures before are forgotten.
    breaker.fails(4, later);
    assert!(!breaker.is_open(later));
}

#[test]
fn each_probe_that_fails_doubles_the_pause_up_to_half_a_minute() {
    let (breaker, mut now) = breaker();
    breaker.fails(5, now);
    for nominal in [1, 2, 4, 8, 16, 30, 30].map(|seconds| SECOND * seconds) {
        let pause = breaker.pause(now);
        assert!(within_jitter(pause, nominal), "{pause:?} where {nominal:?} is due");
        now += pause;
        breaker.admit(now).unwrap().failed(now);
    }
    now += breaker.pause(now);
    breaker.admit(now).unwrap().succeeded();
    breaker.fails(5, now);
    assert!(within_jitter(breaker.pause(now), SECOND), "closed in between, it begins with the first pause");
}

#[test]
fn a_probe_whose_owner_goes_away_is_the_next_call_s() {
    let (breaker, now) = breaker();
    breaker.fails(5, now);
    let later = now + SECOND * 2;
    for _ in 0..10 {
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.is_open(later));
        drop(probe);
    }
    breaker.admit(later).unwrap().succeeded();
    assert!(!breaker.is_open(later));
}

#[test]
fn calls_from_before_the_outage_neither_close_it_nor_prolong_it() {
    let (breaker, now) = breaker();
    let (answered, unanswered) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    let (answered_late, unanswered_late) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    breaker.fails(5, now);
    answered.succeeded();
    unanswered.failed(now + SECOND);
    assert!(breaker.is_open(now));
    let later = now + SECOND * 2;
    let probe = breaker.admit(later).unwrap();
    answered_late.succeeded();
    unanswered_late.failed(later);
    assert!(breaker.is_open(later), "the probe alone decides");
    probe.succeeded();
    assert!(!breaker.is_open(later));
}

#[test]
fn of_many_threads_one_gets_the_probe() {
    let (breaker, now) = breaker();
    breaker.fails(5, now);
    let later = now + SECOND * 2;
    let passes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| breaker.admit(later))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
    });
    assert_eq!(passes.len(), 1);
}

#[tokio::test]
async fn of_many_calls_at_once_one_is_the_probe_and_the_rest_go_on_once_it_is_answered() {
    let (breaker, now) = breaker();
    breaker.fails(5, now);
    let (breaker, later) = (Arc::new(breaker), now + SECOND * 2);
    let call = || async {
        let Ok(pass) = breaker.admit(later) else { return false };
        tokio::task::yield_now().await;
        pass.succeeded();
        true
    };
    let made = |outcomes: Vec<bool>| outcomes.into_iter().filter(|made| *made).count();
    assert_eq!(made(join_all((0..50).map(|_| call())).await), 1);
    assert_eq!(made(join_all((0..50).map(|_| call())).await), 50);
}

#[test]
fn its_metrics_show_whether_it_is_open_and_what_was_given_up() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let breaker = metrics::with_local_recorder(&recorder, || Breaker::new("111122223333/eu-west-1"));
    let shows = |open: u8| {
        let line = format!("kmsgate_upstream_circuit_open{{upstream=\"111122223333/eu-west-1\"}} {open}");
        assert!(recorder.handle().render().contains(&line), "{}", recorder.handle().render());
    };
    let now = Instant::now();
    shows(0);
    breaker.fails(5, now);
    shows(1);
    let probe = breaker.admit(now + SECOND * 2).unwrap();
    shows(1);
    probe.succeeded();
    shows(0);

    let abandoned = |count: u8| {
        let labels = r#"{upstream="111122223333/eu-west-1",kind="abandoned"}"#;
        let line = format!("kmsgate_upstream_failures_total{labels} {count}\n");
        assert!(recorder.handle().render().contains(&line), "{}", recorder.handle().render());
    };
    drop(breaker.admit(now).unwrap());
    let mut answered = breaker.admit(now).unwrap();
    answered.handed_over(now);
    answered.succeeded();
    abandoned(0);
    let mut given_up = breaker.admit(now).unwrap();
    given_up.handed_over(now);
    drop(given_up);
    abandoned(1);
}
