//! The writer against sinks that are slow, that fail and that take half a line.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::task::Context;

use futures_util::future::join_all;
use tokio::runtime::Builder;

use super::*;

/// A sink in memory whose behaviour a test sets.
#[derive(Clone, Default)]
struct Memory(Arc<MemoryState>);

#[derive(Default)]
struct MemoryState {
    bytes: Mutex<Vec<u8>>,
    calls: AtomicUsize,
    /// Refuse every call.
    broken: AtomicBool,
    /// Refuse every third call, take part of every second and dawdle.
    moody: AtomicBool,
}

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.bytes.lock().unwrap().clone()).unwrap()
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn break_down(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let call = self.0.calls.fetch_add(1, Ordering::SeqCst);
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("no space left"));
        }
        let mut taken = bytes.len();
        if self.0.moody.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_micros(50));
            if call.is_multiple_of(3) {
                return Err(io::Error::other("not now"));
            }
            if call.is_multiple_of(2) {
                taken = taken.div_ceil(2);
            }
        }
        self.0.bytes.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn inline() -> (Memory, Writer) {
    let memory = Memory::default();
    (memory.clone(), Writer::of_texts(memory))
}

/// Writes `each` lines from each of `threads` runtimes, some of whose clients hang up; the lines acknowledged.
fn many_workers(writer: &Arc<Writer>, threads: usize, each: usize) -> HashSet<String> {
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let writer = Arc::clone(writer);
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    let tasks = (0..each).map(|request| {
                        let writer = Arc::clone(&writer);
                        tokio::spawn(async move {
                            for _ in 0..request % 7 {
                                tokio::task::yield_now().await;
                            }
                            let line = format!("{thread}-{request}");
                            let ticket = writer.enqueue(line.as_bytes());
                            if request % 11 == 0 {
                                drop(ticket);
                                return None;
                            }
                            let limit = Duration::from_mins(1);
                            let outcome = tokio::time::timeout(limit, ticket).await.expect("a wake-up was lost");
                            outcome.is_ok().then_some(line)
                        })
                    });
                    join_all(tasks).await.into_iter().filter_map(Result::unwrap).collect::<Vec<_>>()
                })
            })
        })
        .collect();
    workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
}

/// Asserts that all lines are there, whole and once each, and `acknowledged` among them.
fn assert_complete(memory: &Memory, acknowledged: &HashSet<String>, threads: usize, each: usize) {
    let text = memory.text();
    let lines: HashSet<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), text.lines().count(), "a line was written twice");
    let all: HashSet<String> =
        (0..threads).flat_map(|thread| (0..each).map(move |request| format!("{thread}-{request}"))).collect();
    assert_eq!(lines, all);
    assert!(acknowledged.is_subset(&lines));
}

#[test]
fn requests_that_are_ready_together_are_written_with_one_call() {
    let (memory, writer) = inline();
    let writer = Arc::new(writer);
    Builder::new_current_thread().build().unwrap().block_on(async {
        let tasks = (0..32).map(|n| {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move { writer.enqueue(format!("line {n}").as_bytes()).await })
        });
        for outcome in join_all(tasks).await {
            assert_eq!(outcome.unwrap(), Ok(()));
        }
    });
    assert_eq!((memory.calls(), memory.text().lines().count()), (1, 32));
    assert_eq!(writer.written(), 32);
}

#[test]
fn every_line_of_many_workers_is_written_once() {
    for threaded in [false, true] {
        let memory = Memory::default();
        let writer =
            if threaded { Writer::threaded(memory.clone()).unwrap() } else { Writer::of_texts(memory.clone()) };
        let writer = Arc::new(writer);
        let acknowledged = many_workers(&writer, 4, 2_000);
        assert_eq!(writer.drain(Duration::from_secs(10)), Ok(()));
        assert_complete(&memory, &acknowledged, 4, 2_000);
        assert_eq!(acknowledged.len(), 4 * (2_000 - 2_000_usize.div_ceil(11)));
        assert_eq!(writer.shared.held.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_sink_that_fails_now_and_then_loses_and_repeats_nothing() {
    for threaded in [false, true] {
        let memory = Memory::default();
        memory.0.moody.store(true, Ordering::SeqCst);
        let writer =
            if threaded { Writer::threaded(memory.clone()).unwrap() } else { Writer::of_texts(memory.clone()) };
        let writer = Arc::new(writer);
        let acknowledged = many_workers(&writer, 4, 500);
        memory.0.moody.store(false, Ordering::SeqCst);
        assert_eq!(writer.drain(Duration::from_secs(10)), Ok(()));
        assert_complete(&memory, &acknowledged, 4, 500);
    }
}

#[tokio::test]
async fn a_write_that_fails_refuses_its_batch_and_what_comes_after_until_it_succeeds() {
    let (memory, writer) = inline();
    memory.break_down(true);
    let (first, second) = tokio::join!(writer.enqueue(b"first"), writer.enqueue(b"second"));
    let refusal = first.unwrap_err();
    assert_eq!(second.unwrap_err(), refusal);
    assert_eq!(refusal.to_string(), "the audit log cannot be written: no space left");
    assert_eq!(writer.health(), Err(refusal.clone()));
    assert_eq!(writer.reserve().unwrap_err(), refusal);
    // A request that had its place already is refused too, and its record waits with the others.
    assert_eq!(writer.enqueue(b"third").await, Err(refusal));

    memory.break_down(false);
    assert!(writer.reserve().is_ok(), "service resumes by itself");
    assert_eq!(writer.enqueue(b"fourth").await, Ok(()));
    assert_eq!(memory.text(), "first\nsecond\nthird\nfourth\n");
    assert_eq!(writer.health(), Ok(()));
}

#[tokio::test]
async fn half_a_line_is_ended_before_another_begins() {
    struct Half(Memory, usize);
    impl Write for Half {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            match self.1 {
                1 => self.0.write(&bytes[..bytes.len() / 2]),
                2 => Err(io::ErrorKind::StorageFull.into()),
                3 => Err(io::ErrorKind::Interrupted.into()),
                _ => self.0.write(bytes),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let memory = Memory::default();
    let writer = Writer::of_texts(Half(memory.clone(), 0));
    assert!(writer.enqueue(b"a line of some length").await.is_err());
    assert_eq!(memory.text(), "a line of s");
    assert_eq!(writer.enqueue(b"another").await, Ok(()));
    assert_eq!(memory.text(), "a line of some length\nanother\n");
}

#[tokio::test]
async fn a_sink_that_takes_nothing_is_a_failure_and_not_an_endless_loop() {
    struct Nothing;
    impl Write for Nothing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(Writer::of_texts(Nothing).enqueue(b"line").await.is_err());
}

#[test]
fn a_ticket_that_nobody_waits_for_is_written_all_the_same() {
    let (memory, writer) = inline();
    drop(writer.enqueue(b"hung up"));
    assert_eq!(memory.text(), "hung up\n");
    let mut started = Box::pin(writer.enqueue(b"hung up while waiting"));
    assert!(started.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(started);
    assert_eq!(memory.text(), "hung up\nhung up while waiting\n");
}

#[test]
fn places_are_bounded_and_given_back() {
    let (_, writer) = inline();
    let places: Vec<_> = std::iter::from_fn(|| writer.reserve().ok()).collect();
    assert_eq!(places.len(), BACKLOG_BYTES / PLACE_BYTES);
    assert!(writer.reserve().is_err());
    drop(places);
    assert!(writer.reserve().is_ok());
}

#[test]
fn a_sink_that_blocks_refuses_new_requests_and_loses_none_that_had_a_place() {
    struct Blocked(Arc<Mutex<()>>, Memory);
    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.lock());
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (gate, memory) = (Arc::new(Mutex::new(())), Memory::default());
    let writer = Writer::threaded(Blocked(Arc::clone(&gate), memory.clone())).unwrap();
    let held = gate.lock().unwrap();
    let line = vec![b'x'; 1024 * 1024];
    let mut queued = 0;
    while writer.reserve().is_ok() {
        drop(writer.enqueue(&line));
        queued += 1;
    }
    assert!(writer.drain(Duration::from_millis(10)).is_err());
    drop(held);
    assert_eq!(writer.drain(Duration::from_secs(10)), Ok(()));
    assert_eq!(memory.text().lines().count(), queued);
    assert_eq!(writer.lost(), 0);
    assert!(writer.reserve().is_ok());
}

#[tokio::test]
async fn beyond_every_bound_a_record_is_given_up_and_counted() {
    let (memory, writer) = inline();
    memory.break_down(true);
    let line = vec![b'x'; BACKLOG_BYTES];
    for _ in 0..2 {
        assert!(writer.enqueue(&line).await.is_err());
    }
    assert!(writer.enqueue(b"one more").await.is_err());
    assert_eq!(writer.lost(), 1);
}

/// Takes nothing until it is let go.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_nothing_refuses_requests_after_a_time_and_goes_on_when_it_does() {
    let (release, stuck) = std::sync::mpsc::channel();
    let writer = Writer::threaded(Stuck(stuck)).unwrap();
    let ticket = writer.enqueue(b"line");
    assert_eq!(writer.health(), Ok(()));
    let refusal = Unwritable { reason: "what it is written to does not take it".into() };
    // Paused time runs ahead while nothing else can go on.
    assert_eq!(ticket.await, Err(refusal));
    drop(release);
    while writer.written() == 0 {
        std::thread::yield_now();
    }
    assert_eq!((writer.health(), writer.lost()), (Ok(()), 0));
}
