//! Exactness on a paused clock, and soundness on several real runtimes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Barrier};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet, LocalSet, yield_now};
use tokio::time::{advance, sleep};

use super::*;

/// Longer than any machine takes for anything here: what ends after it was lost.
const NEVER: Duration = Duration::from_mins(2);

impl FairShare {
    async fn admit(&self, principal: Subject, cost: u32) -> Result<(), Refused> {
        match self.try_admit(principal, cost) {
            Admission::Admitted => Ok(()),
            Admission::Wait(ticket) => ticket.await,
            Admission::Refused(refused) => Err(refused),
        }
    }
}

fn subject(number: usize) -> Subject {
    Subject::of(&number.to_string())
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Takes all that may be taken at once.
fn drain(share: &FairShare) {
    while matches!(share.try_admit(subject(0), 1), Admission::Admitted) {}
}

fn ticket(share: &FairShare, principal: usize) -> Ticket<'_> {
    match share.try_admit(subject(principal), 1) {
        Admission::Wait(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// A principal that asks evenly, and how often.
struct Load {
    principal: usize,
    per_second: u64,
    cost: u32,
}

fn load(principal: usize, per_second: u64) -> Load {
    Load { principal, per_second, cost: 1 }
}

/// How many requests of each of the loads are served that come in `seconds`.
async fn served(share: FairShare, loads: &[Load], seconds: u64) -> Vec<u64> {
    let share = Rc::new(share);
    let counts: Vec<_> = loads.iter().map(|_| Rc::new(Cell::new(0))).collect();
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut asking = JoinSet::new();
            for millisecond in 0..seconds * 1_000 {
                for (load, count) in loads.iter().zip(&counts) {
                    let due = |at: u64| at * load.per_second / 1_000;
                    for _ in due(millisecond)..due(millisecond + 1) {
                        let (share, count) = (Rc::clone(&share), Rc::clone(count));
                        let (principal, cost) = (subject(load.principal), load.cost);
                        asking.spawn_local(async move {
                            if share.admit(principal, cost).await.is_ok() {
                                count.set(count.get() + 1);
                            }
                        });
                    }
                }
                while asking.try_join_next().is_some() {}
                sleep(milliseconds(1)).await;
            }
            while asking.join_next().await.is_some() {}
        })
        .await;
    counts.iter().map(|count| count.get()).collect()
}

fn within(value: u64, expected: u64, percent: u64) -> bool {
    value.abs_diff(expected) * 100 <= expected * percent
}

#[tokio::test(start_paused = true)]
async fn while_tokens_are_there_nobody_waits() {
    let share = FairShare::new(1_000.0);
    let admitted = |share: &FairShare| {
        (0..1_000).take_while(|number| matches!(share.try_admit(subject(*number), 1), Admission::Admitted)).count()
    };
    assert_eq!(admitted(&share), 21);
    advance(milliseconds(5)).await;
    assert_eq!(admitted(&share), 5);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_its_token_and_no_longer() {
    for (rate, wait) in [(1_000.0, 1), (50.0, 20), (10.0, 80)] {
        let share = FairShare::new(rate);
        drain(&share);
        let start = Instant::now();
        assert_eq!(share.admit(subject(1), 1).await, Ok(()));
        assert_eq!(start.elapsed(), milliseconds(wait), "{rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_turn_comes_too_late_is_refused_at_once() {
    let share = FairShare::new(5.0);
    drain(&share);
    let start = Instant::now();
    assert_eq!(share.admit(subject(1), 1).await, Err(Refused { wait: milliseconds(180) }));
    assert_eq!(start.elapsed(), Duration::ZERO);
    advance(milliseconds(90)).await;
    assert_eq!(share.admit(subject(1), 1).await, Ok(()), "now it comes in time");
}

#[tokio::test(start_paused = true)]
async fn as_many_may_wait_as_can_be_served_in_time_and_all_of_them_are() {
    let share = FairShare::new(1_000.0);
    drain(&share);
    let tickets: Vec<_> = (0..100).map(|_| ticket(&share, 1)).collect();
    assert!(matches!(share.try_admit(subject(1), 1), Admission::Refused(_)));
    let start = Instant::now();
    let mut granted = 0;
    for ticket in tickets {
        granted += u32::from(ticket.await.is_ok());
    }
    assert_eq!(granted, 100);
    assert_eq!(start.elapsed(), MAX_WAIT);
}

#[tokio::test(start_paused = true)]
async fn who_is_overtaken_by_newcomers_is_refused_when_its_time_is_over() {
    let share = FairShare::new(1_000.0);
    drain(&share);
    let mut early: Vec<_> = (0..100).map(|_| ticket(&share, 1)).collect();
    let newcomer = ticket(&share, 2);
    let last = early.pop().unwrap();
    let start = Instant::now();
    let (last, newcomer, _) = tokio::join!(last, newcomer, futures_util::future::join_all(early));
    assert_eq!((last.is_err(), newcomer), (true, Ok(())));
    assert_eq!(start.elapsed(), MAX_WAIT);
    assert!(matches!(share.try_admit(subject(1), 1), Admission::Wait(_)), "the budget is as it was");
}

#[tokio::test(start_paused = true)]
async fn who_asks_ten_times_its_share_does_not_take_from_who_asks_less_than_its_own() {
    for rate in [100_u32, 1_000, 4_000] {
        let total = u64::from(rate);
        let loads = [load(1, total * 5), load(2, total / 5)];
        let asked = total / 5 * 3;
        let counts = served(FairShare::new(rate.into()), &loads, 3).await;
        assert!(counts[1] * 100 >= asked * 95, "of {asked}, at {rate}: {counts:?}");
        assert!(within(counts.iter().sum(), total * 3, 4), "at {rate}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_much_is_seldom_kept_waiting_in_vain() {
    let share = Arc::new(FairShare::new(1_000.0));
    let [waited, in_vain] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let mut asking = JoinSet::new();
    for millisecond in 0..5_000 {
        for principal in [1, 1, 1, 1, 1, 2].into_iter().take(5 + usize::from(millisecond % 5 == 0)) {
            let (share, waited, in_vain) = (Arc::clone(&share), Arc::clone(&waited), Arc::clone(&in_vain));
            asking.spawn(async move {
                if let Admission::Wait(ticket) = share.try_admit(subject(principal), 1) {
                    waited.fetch_add(1, Ordering::Relaxed);
                    in_vain.fetch_add(usize::from(ticket.await.is_err()), Ordering::Relaxed);
                }
            });
        }
        while asking.try_join_next().is_some() {}
        sleep(milliseconds(1)).await;
    }
    while asking.join_next().await.is_some() {}
    let [waited, in_vain] = [waited, in_vain].map(|count| count.load(Ordering::Relaxed));
    assert!(waited > 4_500 && in_vain * 50 < waited, "{in_vain} of {waited}");
}

#[tokio::test(start_paused = true)]
async fn one_alone_has_the_whole_budget() {
    let counts = served(FairShare::new(1_000.0), &[load(1, 3_000)], 3).await;
    assert!(within(counts[0], 3_000, 5), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_principals_that_ask_for_too_much_are_served_alike() {
    let loads: Vec<_> = (0..100).map(|principal| load(principal, 40)).collect();
    let counts = served(FairShare::new(2_000.0), &loads, 4).await;
    assert!(counts.iter().all(|count| within(*count, 80, 10)), "{counts:?}");
    assert!(within(counts.iter().sum(), 8_000, 4), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn shares_are_of_what_requests_cost() {
    let loads = [load(1, 3_000), Load { principal: 2, per_second: 3_000, cost: 2 }];
    let counts = served(FairShare::new(1_000.0), &loads, 3).await;
    assert!(within(counts[0], 1_500, 5), "{counts:?}");
    assert!(within(counts[1], 750, 5), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_wait_delay_a_newcomer_by_one_round() {
    let share = FairShare::with_max_wait(1_000.0, NEVER);
    drain(&share);
    let crowd = (0..10_000).map_while(|_| match share.try_admit(subject(1), 1) {
        Admission::Wait(ticket) => Some(ticket),
        _ => None,
    });
    let crowd: Vec<_> = crowd.collect();
    assert_eq!(crowd.len(), 8_192, "as many as may wait at all");
    let start = Instant::now();
    assert_eq!(share.admit(subject(2), 1).await, Ok(()));
    assert!(start.elapsed() <= milliseconds(2), "{:?}", start.elapsed());
    drop(crowd);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_takes_no_token() {
    let share = FairShare::new(100.0);
    drain(&share);
    let gone: Vec<_> = (0..9).map(|_| ticket(&share, 1)).collect();
    let stays = ticket(&share, 1);
    drop(gone);
    let start = Instant::now();
    assert_eq!(stays.await, Ok(()));
    assert_eq!(start.elapsed(), milliseconds(10));
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_when_it_is_granted_returns_its_token() {
    let share = FairShare::new(10.0);
    drain(&share);
    let gone = ticket(&share, 1);
    advance(milliseconds(80)).await;
    // Whoever comes grants what is due.
    let next = share.try_admit(subject(2), 1);
    assert!(share.line.lock().unwrap().ring.get_mut(gone.place).is_none(), "it was granted");
    drop(gone);
    let Admission::Wait(next) = next else { panic!("{next:?}") };
    let start = Instant::now();
    assert_eq!(next.await, Ok(()));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A request that waits in a task of its own, and has been polled.
async fn waiting(share: &Arc<FairShare>, principal: usize) -> JoinHandle<Result<(), Refused>> {
    let share = Arc::clone(share);
    let task = tokio::spawn(async move { share.admit(subject(principal), 1).await });
    yield_now().await;
    task
}

#[tokio::test(start_paused = true)]
async fn a_faster_rate_serves_those_that_wait_already() {
    let share = Arc::new(FairShare::new(10.0));
    drain(&share);
    let waiting = waiting(&share, 1).await;
    let start = Instant::now();
    share.set_rate(20.0);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(start.elapsed(), milliseconds(30), "not after the 80 ms that it was to be");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_hangs_up_is_followed_by_another() {
    let share = Arc::new(FairShare::new(100.0));
    drain(&share);
    let driver = waiting(&share, 1).await;
    let others = [waiting(&share, 2).await, waiting(&share, 3).await];
    let start = Instant::now();
    driver.abort();
    for other in others {
        assert_eq!(other.await.unwrap(), Ok(()));
    }
    assert_eq!(start.elapsed(), milliseconds(20));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_stuck_holds_nobody_beyond_its_own_patience() {
    let share = FairShare::new(1_000.0);
    drain(&share);
    let mut stuck = ticket(&share, 1);
    assert!(Pin::new(&mut stuck).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let start = Instant::now();
    assert_eq!(ticket(&share, 2).await, Ok(()), "it looks at its deadline and grants what is due");
    assert_eq!(start.elapsed(), MAX_WAIT);
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_was_never_polled_holds_nobody() {
    let share = FairShare::new(1_000.0);
    drain(&share);
    let idle = ticket(&share, 1);
    let start = Instant::now();
    assert_eq!(ticket(&share, 2).await, Ok(()));
    assert_eq!(start.elapsed(), milliseconds(2));
    drop(idle);
}

/// A ticket that counts how often it is polled.
struct Counted<'a>(Ticket<'a>, &'a Cell<u64>);

impl Future for Counted<'_> {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll(context)
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_are_woken_for_their_grants_and_the_driver_once_a_millisecond() {
    for rate in [500.0, 5_000.0, 50_000.0] {
        let share = FairShare::new(rate);
        drain(&share);
        let polls = Cell::new(0);
        let waiting = (0..usize::MAX).map_while(|number| match share.try_admit(subject(number % 7), 1) {
            Admission::Wait(ticket) => Some(Counted(ticket, &polls)),
            _ => None,
        });
        let waiting: Vec<_> = waiting.collect();
        let (count, start) = (u64::try_from(waiting.len()).unwrap(), Instant::now());
        let outcomes = futures_util::future::join_all(waiting).await;
        assert!(outcomes.iter().all(Result::is_ok), "{rate}");
        let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap();
        // The first poll of each, its grant, the driver's looks, and one more for each change of the driver.
        assert!(polls.get() <= 2 * count + milliseconds + 7, "{rate}: {} for {count}", polls.get());
    }
}

/// Runs `work` on as many threads, each with a runtime of its own as the gateway's workers have.
fn on_workers<F: Future<Output = ()>>(count: usize, work: impl Fn(usize) -> F + Sync) {
    let started = Barrier::new(count);
    thread::scope(|scope| {
        for worker in 0..count {
            let (work, started) = (&work, &started);
            scope.spawn(move || {
                let runtime: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
                started.wait();
                runtime.block_on(work(worker));
            });
        }
    });
}

#[test]
fn on_several_runtimes_no_grant_is_lost_when_others_hang_up() {
    // Nobody comes after the start and nobody's patience ends, so whom the drivers forget would wait for ever.
    let share = FairShare::with_max_wait(20_000.0, 10 * NEVER);
    let granted = AtomicUsize::new(0);
    let start = Instant::now();
    on_workers(4, async |worker| {
        let asking = (0..1_000).map(|number| {
            let (share, granted) = (&share, &granted);
            async move {
                let admission = share.admit(subject(number % 13), 1);
                // Every third hangs up, at times of its own.
                if number % 3 == 0 {
                    let patience = Duration::from_micros(u64::try_from(number * 37 + worker).unwrap());
                    let _ = tokio::time::timeout(patience, admission).await;
                } else {
                    assert_eq!(admission.await, Ok(()));
                    granted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        tokio::time::timeout(NEVER, futures_util::future::join_all(asking)).await.expect("somebody was forgotten");
    });
    assert_eq!(granted.load(Ordering::Relaxed), 4 * 666);
    let line = share.line.lock().unwrap();
    assert!(line.ring.is_empty() && line.driver.is_none() && !share.busy.load(Ordering::Relaxed));
    assert!(start.elapsed() < NEVER);
}

#[test]
fn on_several_runtimes_every_request_ends_and_no_more_are_admitted_than_the_budget() {
    let share = FairShare::new(5_000.0);
    let outcomes: Mutex<BTreeMap<bool, u32>> = Mutex::default();
    let start = Instant::now();
    on_workers(4, async |worker| {
        for round in 0..10 {
            let asking = (0..200).map(|number| share.admit(subject((worker + round + number) % 17), 1));
            let all = tokio::time::timeout(NEVER, futures_util::future::join_all(asking));
            for outcome in all.await.expect("somebody was forgotten") {
                *outcomes.lock().unwrap().entry(outcome.is_ok()).or_default() += 1;
            }
        }
    });
    let elapsed = start.elapsed();
    let outcomes = outcomes.into_inner().unwrap();
    let admitted = outcomes.get(&true).copied().unwrap_or_default();
    assert_eq!(outcomes.values().sum::<u32>(), 4 * 10 * 200);
    // One for each worker may be taken out of turn and owed.
    let most = 5_000.0f64.mul_add(elapsed.as_secs_f64(), 100.0 + 1.0 + 4.0);
    assert!(f64::from(admitted) <= most, "{admitted} in {elapsed:?}");
    // What may be taken at once is, however short the time.
    assert!(admitted > 100, "{admitted}");
}

#[test]
#[ignore = "prints what an admission costs; run it alone, in the release profile"]
fn what_an_uncontended_admission_costs() {
    const COUNT: u32 = 5_000_000;
    let share = FairShare::new(f64::INFINITY);
    let principal = subject(1);
    let start = Instant::now();
    let admitted = (0..COUNT).filter(|_| matches!(share.try_admit(principal, 1), Admission::Admitted)).count();
    println!("{:?} for each of {admitted}", start.elapsed() / COUNT);
}
