//! A trail on a real file: across restarts, crashes, rotations, and what others do to the file.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::audit::line_end::{LineEnd, LineHash};
use crate::audit::{Origin, SigningKey, StoreRevision};
use crate::clock::{ManualClock, Timestamp};
use crate::secret::Secret;

const PATIENCE: Duration = Duration::from_secs(20);
/// A record that is open, as those of requests are.
const RECORD: &[u8] =
    br#"{"eventVersion":"1.11","eventName":"Decrypt","additionalEventData":{"gateway":{"generation":0"#;

struct Place {
    directory: TempDir,
    clock: ManualClock,
    rotation: Option<Rotation>,
    interval: Duration,
    durability: Durability,
    store: Option<Arc<AtomicU64>>,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(Timestamp::parse_basic("20261123T182241Z").unwrap()),
            rotation: None,
            interval: Duration::from_hours(1),
            durability: Durability::Written,
            store: None,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    fn chain(&self) -> ChainSettings {
        let store = self.store.as_ref().map(|revision| {
            let revision = Arc::clone(revision);
            let now = move || StoreRevision { id: "ab".repeat(16), revision: revision.load(Ordering::SeqCst) };
            Box::new(now) as Box<_>
        });
        ChainSettings {
            key: SigningKey::from_seed(&Secret::new([7; 32])).unwrap(),
            interval: self.interval,
            origin: Origin { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() },
            clock: Clock::Manual(self.clock.clone()),
            store,
        }
    }

    fn trail(&self) -> Trail {
        Trail {
            main: MainSink::File { path: self.path(), rotation: self.rotation },
            durability: self.durability,
            chain: Some(self.chain()),
            seconds: Vec::new(),
            clock: Clock::Manual(self.clock.clone()),
        }
    }

    /// Opens the trail, once the thread of a writer before it has let go of the file.
    fn try_open(&self) -> io::Result<Writer> {
        let mut opened = None;
        eventually("the file is let go", || {
            let tried = Writer::open(self.trail());
            let busy = tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy);
            opened = Some(tried);
            !busy
        });
        opened.unwrap()
    }

    fn open(&self) -> Writer {
        self.try_open().unwrap()
    }

    /// One run that writes so many records, and ends without a last checkpoint.
    fn run(&self, count: usize) {
        write(&self.open(), count);
        let file = File::open(self.path()).unwrap();
        eventually("the file is let go", || file.try_lock().is_ok());
    }

    fn refused(&self) -> String {
        self.try_open().unwrap_err().to_string()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Every file of the trail, in the order of their names with the one that is written last; uncompressed.
    fn all_text(&self) -> String {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        // "-" comes before ".", and so do rotated files.
        names.sort();
        let mut text = String::new();
        for name in names {
            let mut file = File::open(&name).unwrap();
            if name.extension().unwrap() == "gz" {
                GzDecoder::new(file).read_to_string(&mut text).unwrap();
            } else {
                file.read_to_string(&mut text).unwrap();
            }
        }
        text
    }
}

/// What is told of each line, once each has been found to be bound to the one before.
fn followed(text: &str) -> Vec<String> {
    assert!(text.ends_with('\n'), "{text}");
    let mut before: Option<(u64, LineHash)> = None;
    let told = text.lines().map(|line| {
        let end = LineEnd::parse(line.as_bytes()).unwrap_or_else(|| panic!("no line of a chain: {line}"));
        let record: Value = serde_json::from_str(line).unwrap();
        let gateway = &record["additionalEventData"]["gateway"];
        assert_eq!(
            (&gateway["sequence"], end.signature.is_some()),
            (&json!(end.sequence), gateway["signature"].is_string())
        );
        if let Some((sequence, hash)) = before {
            assert_eq!((end.sequence, end.previous), (sequence + 1, hash), "{line}");
        }
        before = Some((end.sequence, LineHash::of(line.as_bytes())));
        let name = record["eventName"].as_str().unwrap();
        gateway["checkpoint"]["reason"].as_str().unwrap_or(name).to_owned()
    });
    told.collect()
}

/// Writes so many records, and waits until they are: who finds the writer's thread at the file leaves it to that.
fn write(writer: &Writer, count: usize) {
    let last = (0..count).filter_map(|_| writer.enqueue(RECORD).number()).max();
    eventually("the records are written", || last.is_none_or(|last| writer.written() >= last));
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_trail_begins_and_ends_with_a_checkpoint_and_goes_on_at_the_next_start() {
    let place = Place::new();
    for _ in 0..2 {
        let writer = place.open();
        write(&writer, 2);
        assert_eq!(writer.drain(PATIENCE), Ok(()));
    }
    let text = place.text();
    assert_eq!(followed(&text), ["start", "Decrypt", "Decrypt", "stop", "start", "Decrypt", "Decrypt", "stop"]);
    assert!(
        text.starts_with(r#"{"eventVersion":"#)
            && text.contains(&format!(r#""sequence":1,"previousHash":"{}""#, "0".repeat(64)))
    );
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let checkpoints: Vec<Value> = text
        .lines()
        .filter(|line| line.contains("AuditCheckpoint"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |index: usize| &checkpoints[index]["additionalEventData"]["gateway"]["checkpoint"];
    assert_eq!(told(0)["previous"], Value::Null);
    for index in 1..4 {
        assert_eq!(told(index)["chain"], told(0)["chain"]);
        let previous = &checkpoints[index - 1]["additionalEventData"]["gateway"]["sequence"];
        assert_eq!(&told(index)["previous"]["sequence"], previous);
    }
}

#[test]
fn a_checkpoint_comes_by_itself_when_the_last_is_too_old() {
    let mut place = Place::new();
    place.interval = Duration::from_millis(100);
    let writer = place.open();
    eventually("two checkpoints while nobody asks for anything", || place.text().matches("\"interval\"").count() >= 2);
    write(&writer, 1);
    drop(writer);
    followed(&place.text());
}

#[test]
fn a_line_that_a_crash_has_torn_is_replaced_by_one_that_quotes_it() {
    let torn = "{\"eventVersion\":\"1.11\",\"userIdentity\":{\"ty";
    for lines in [0, 3] {
        let place = Place::new();
        if lines > 0 {
            place.run(lines);
        }
        OpenOptions::new().create(true).append(true).open(place.path()).unwrap().write_all(torn.as_bytes()).unwrap();
        place.run(1);
        let text = place.text();
        let told = followed(&text);
        assert!(told.ends_with(&["AuditLineRepaired", "start", "Decrypt"].map(str::to_owned)), "{told:?}");
        let repaired = text.lines().find(|line| line.contains("AuditLineRepaired")).unwrap();
        let repaired: Value = serde_json::from_str(repaired).unwrap();
        let expected = json!({"bytes": torn.len(), "text": "eyJldmVudFZlcnNpb24iOiIxLjExIiwidXNlcklkZW50aXR5Ijp7InR5"});
        assert_eq!(repaired["additionalEventData"]["gateway"]["repaired"], expected);
    }
}

#[test]
fn whole_lines_that_are_no_json_at_the_end_are_replaced_too() {
    let place = Place::new();
    place.run(1);
    // What a file system may leave after the loss of power.
    OpenOptions::new().append(true).open(place.path()).unwrap().write_all(b"\0\0\0\0\n\0\0").unwrap();
    place.run(1);
    assert_eq!(followed(&place.text()), ["start", "Decrypt", "AuditLineRepaired", "start", "Decrypt"]);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    for text in ["shopping list", "{\"a\":1}\n", "{\"a\":1}\n{\"eventVersion\":\"1.11\"", "a\nb\nc\n"] {
        let place = Place::new();
        fs::write(place.path(), text).unwrap();
        assert!(place.refused().contains("move it away"), "{text}");
        assert_eq!(place.text(), text);
    }
    let place = Place::new();
    place.run(1);
    let mut text = place.text().into_bytes();
    text.resize(text.len() + 2 * 1024 * 1024, b'x');
    fs::write(place.path(), &text).unwrap();
    assert!(place.refused().contains("move it away"), "{}", place.refused());
    assert_eq!(fs::read(place.path()).unwrap(), text);
}

#[test]
fn a_second_writer_of_a_file_is_refused_and_lets_the_first_go_on() {
    let place = Place::new();
    let writer = place.open();
    let refusal = Writer::open(place.trail()).unwrap_err().to_string();
    assert!(refusal.contains("another process writes to it"), "{refusal}");
    write(&writer, 1);
    assert_eq!(followed(&place.text()), ["start", "Decrypt"]);
}

#[test]
fn a_file_that_is_full_is_rotated_and_compressed_and_the_chain_goes_on() {
    let mut place = Place::new();
    place.rotation = Some(Rotation { bytes: 8 * 1024, after: None, compress: true });
    let writer = place.open();
    // Whether it is compressed by now or not.
    let rotated = || {
        let entries = fs::read_dir(place.directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| name.split('.').next().unwrap().to_owned()).collect::<HashSet<_>>().len() - 1
    };
    for _ in 0..3 {
        let before = rotated();
        eventually("a rotation", || {
            write(&writer, 10);
            rotated() > before
        });
    }
    writer.drain(PATIENCE).unwrap();
    drop(writer);
    let compressed = |name: &str| name.ends_with(".jsonl.gz") && name.starts_with("audit-000000");
    eventually("compressed files alone", || {
        let entries = fs::read_dir(place.directory.path()).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.all(|name| name == "audit.jsonl" || compressed(&name))
    });
    let told = followed(&place.all_text());
    let ends: Vec<_> = told.windows(2).filter(|pair| pair[0] == "rotation").map(|pair| pair[1].as_str()).collect();
    assert!(ends.len() >= 3 && ends.iter().all(|next| *next == "continuation"), "{told:?}");
    // A crash in a rotation can leave an empty file: the chain goes on from the one before, compressed or not.
    OpenOptions::new().write(true).open(place.path()).unwrap().set_len(0).unwrap();
    let last = followed(&place.all_text()).len();
    place.run(1);
    assert_eq!(followed(&place.all_text())[last..], ["start", "Decrypt"]);
    // Where somebody has moved it, its numbers are taken, and another chain begins.
    fs::remove_file(place.path()).unwrap();
    place.run(1);
    let text = place.text();
    assert_eq!(followed(&text), ["start", "Decrypt"]);
    assert!(text.contains("\"sequence\":1,"), "{text}");
}

#[test]
fn a_file_whose_first_line_is_old_is_rotated() {
    let mut place = Place::new();
    place.rotation = Some(Rotation { bytes: 1 << 30, after: Some(Duration::from_hours(24)), compress: false });
    let rotated = place.directory.path().join("audit-00000000000000000001.jsonl");
    place.run(1);
    let began = Clock::Manual(place.clock.clone()).now();
    let writer = place.open();
    // Backwards is no reason.
    place.clock.set(began.minus(Duration::from_hours(48)));
    std::thread::sleep(Duration::from_millis(1200));
    assert!(!rotated.exists());
    place.clock.set(began.plus(Duration::from_hours(24)));
    eventually("a rotation", || rotated.exists() && place.path().exists());
    writer.drain(PATIENCE).unwrap();
    let told = followed(&place.all_text());
    assert_eq!(told, ["start", "Decrypt", "start", "rotation", "continuation", "stop"]);
}

#[test]
fn without_a_chain_rotated_files_are_counted() {
    let mut place = Place::new();
    place.rotation = Some(Rotation { bytes: 1024, after: None, compress: false });
    let writer = Writer::open(Trail { chain: None, ..place.trail() }).unwrap();
    for number in 1..=2 {
        let rotated = place.directory.path().join(format!("audit-0000000000000000000{number}.jsonl"));
        eventually("a rotation", || {
            write(&writer, 20);
            rotated.exists()
        });
    }
    writer.drain(PATIENCE).unwrap();
    let text = place.all_text();
    let closed = [RECORD, b"}}}"].concat();
    assert!(text.lines().count() >= 40 && text.lines().all(|line| line.as_bytes() == closed));
}

#[test]
fn what_is_written_to_a_file_that_somebody_removed_is_written_again_to_a_new_one() {
    let place = Place::new();
    let writer = place.open();
    write(&writer, 2);
    fs::remove_file(place.path()).unwrap();
    write(&writer, 1);
    let text = place.text();
    assert_eq!(followed(&text)[0], "Decrypt");
    assert!(text.contains(r#""sequence":4,"#), "{text}");
    writer.drain(PATIENCE).unwrap();
    drop(writer);
    place.run(1);
    assert_eq!(followed(&place.text()), ["Decrypt", "continuation", "stop", "start", "Decrypt"]);
}

#[test]
fn a_file_that_is_removed_while_nobody_asks_for_anything_is_no_fault() {
    let place = Place::new();
    let writer = place.open();
    write(&writer, 1);
    fs::remove_file(place.path()).unwrap();
    eventually("a new file", || {
        assert!(writer.reserve().is_ok());
        place.path().exists()
    });
    write(&writer, 1);
    writer.drain(PATIENCE).unwrap();
    assert_eq!(followed(&place.text()), ["continuation", "Decrypt", "stop"]);
}

#[test]
fn an_old_file_of_another_chain_is_never_written_over() {
    let mut place = Place::new();
    let old = place.directory.path().join("audit-00000000000000000001.jsonl.gz");
    fs::write(&old, GZ_OF_A_LINE).unwrap();
    place.rotation = Some(Rotation { bytes: 4 * 1024, after: None, compress: true });
    let writer = place.open();
    let rotated = place.directory.path().join("audit-00000000000000000002.jsonl.gz");
    eventually("a rotation", || {
        write(&writer, 10);
        rotated.exists()
    });
    assert_eq!(fs::read(old).unwrap(), GZ_OF_A_LINE);
}

/// `printf 'old\n' | gzip -n`
const GZ_OF_A_LINE: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0xcf, 0x49, 0xe1, 0x02, 0x00, 0xb0, 0x4d, 0x88,
    0xe2, 0x04, 0x00, 0x00, 0x00,
];

#[test]
fn zeros_that_the_loss_of_power_has_left_are_no_reason_not_to_start() {
    for (lines, zeros) in [(0, 4096), (2, 3 * 1024 * 1024)] {
        let place = Place::new();
        if lines > 0 {
            place.run(lines);
        }
        let file = OpenOptions::new().create(true).append(true).open(place.path()).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length + zeros).unwrap();
        drop(file);
        place.run(1);
        let text = place.text();
        assert!(text.contains(&format!(r#""repaired":{{"bytes":{zeros},"text":""}}"#)), "{text}");
        assert!(followed(&text).ends_with(&["AuditLineRepaired", "start", "Decrypt"].map(str::to_owned)));
    }
}

#[test]
fn a_file_that_somebody_renamed_ends_there_and_another_begins() {
    let place = Place::new();
    let writer = place.open();
    write(&writer, 1);
    // As rotating tools name it.
    let moved = place.directory.path().join("audit.jsonl.1");
    fs::rename(place.path(), &moved).unwrap();
    write(&writer, 1);
    eventually("a new file", || place.path().exists());
    write(&writer, 1);
    writer.drain(PATIENCE).unwrap();
    let text = fs::read_to_string(moved).unwrap() + &place.text();
    assert_eq!(followed(&text), ["start", "Decrypt", "Decrypt", "moved", "continuation", "Decrypt", "stop"]);
}

#[test]
fn another_file_in_its_place_is_a_fault_until_it_is_gone() {
    let place = Place::new();
    let writer = place.open();
    fs::rename(place.path(), place.directory.path().join("elsewhere.jsonl")).unwrap();
    fs::write(place.path(), "another's").unwrap();
    eventually("a refusal", || writer.reserve().is_err());
    assert!(writer.health().unwrap_err().to_string().contains("another file has been put in its place"));
    assert_eq!(place.text(), "another's");
    fs::remove_file(place.path()).unwrap();
    eventually("service again", || writer.reserve().is_ok());
    write(&writer, 1);
    assert_eq!(followed(&place.text())[0], "continuation");
}

#[test]
fn a_file_that_somebody_cut_is_gone_on_with_and_never_filled_with_nothing() {
    let place = Place::new();
    let writer = place.open();
    write(&writer, 5);
    OpenOptions::new().write(true).open(place.path()).unwrap().set_len(0).unwrap();
    write(&writer, 1);
    writer.drain(PATIENCE).unwrap();
    assert_eq!(followed(&place.text()), ["Decrypt", "stop"]);
}

#[test]
fn disk_space_is_reserved_beyond_the_end_and_given_back() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let writer = place.open();
    write(&writer, 1);
    let allocated = || fs::metadata(place.path()).unwrap().blocks() * 512;
    eventually("reserved space", || allocated() >= 20 * 1024 * 1024);
    assert!(fs::metadata(place.path()).unwrap().len() < 4096);
    writer.drain(PATIENCE).unwrap();
    assert!(allocated() < 64 * 1024, "{}", allocated());
}

#[test]
fn a_key_store_that_was_set_back_is_noticed() {
    let mut place = Place::new();
    let revision = Arc::new(AtomicU64::new(9));
    place.store = Some(Arc::clone(&revision));
    place.open().drain(PATIENCE).unwrap();
    assert!(place.text().contains(&format!(r#""store":{{"id":"{}","revision":9}}"#, "ab".repeat(16))));
    revision.store(8, Ordering::SeqCst);
    assert!(place.refused().contains("revision 9 of the key store, which is at 8 now"), "{}", place.refused());
    revision.store(9, Ordering::SeqCst);
    drop(place.open());
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn second_sinks_get_every_line_or_the_checkpoints_alone() {
    let place = Place::new();
    let (all, checkpoints) = (Memory::default(), Memory::default());
    let second = |memory: &Memory, only_checkpoints| SecondSink {
        writer: Writer::threaded(memory.clone()).unwrap(),
        only_checkpoints,
    };
    let seconds = vec![second(&all, false), second(&checkpoints, true)];
    let writer = Writer::open(Trail { seconds, ..place.trail() }).unwrap();
    write(&writer, 2);
    writer.drain(PATIENCE).unwrap();
    let text = place.text();
    let has = |memory: &Memory| String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    eventually("every line", || has(&all) == text);
    let expected: String = text.split_inclusive('\n').filter(|line| line.contains("AuditCheckpoint")).collect();
    eventually("every checkpoint", || has(&checkpoints) == expected);
    assert_eq!(followed(&text), ["start", "Decrypt", "Decrypt", "stop"]);
}

#[tokio::test]
async fn each_durability_lets_an_answer_leave_when_it_says() {
    for durability in [Durability::Queued, Durability::Written, Durability::Synced] {
        let mut place = Place::new();
        place.durability = durability;
        let writer = place.open();
        writer.enqueue(RECORD).await.unwrap();
        if durability != Durability::Queued {
            assert!(place.text().contains("Decrypt"), "{durability:?}");
        }
        writer.drain(PATIENCE).unwrap();
        assert_eq!(followed(&place.text()), ["start", "Decrypt", "stop"]);
    }
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

#[tokio::test]
async fn a_record_that_is_queued_is_waited_for_by_nobody() {
    let place = Place::new();
    for (durability, waits) in [(Durability::Queued, false), (Durability::Written, true)] {
        let (release, stuck) = std::sync::mpsc::channel();
        let main = MainSink::Stream(Box::new(Stuck(stuck)));
        let writer = Writer::open(Trail { main, durability, ..place.trail() }).unwrap();
        let written = tokio::time::timeout(Duration::from_millis(200), writer.enqueue(RECORD)).await;
        assert_eq!(written.is_err(), waits);
        drop(release);
        writer.drain(PATIENCE).unwrap();
    }
}

#[test]
fn a_stream_has_a_chain_of_its_own_and_devices_are_written_too() {
    let place = Place::new();
    let memory = Memory::default();
    let writer = Writer::open(Trail { main: MainSink::Stream(Box::new(memory.clone())), ..place.trail() }).unwrap();
    write(&writer, 1);
    writer.drain(PATIENCE).unwrap();
    let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    assert_eq!(followed(&text), ["start", "Decrypt", "stop"]);
    let main = |path: &str| MainSink::File { path: path.into(), rotation: None };
    let writer = Writer::open(Trail { main: main("/dev/null"), ..place.trail() }).unwrap();
    write(&writer, 1);
    assert_eq!(writer.drain(PATIENCE), Ok(()));
    assert!(Writer::open(Trail { main: main("/"), ..place.trail() }).is_err());
}
