//! A gateway that is killed: what it answered is there when it starts again, whole, and recorded.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Caller, Connection, Gateway, Quickstart, Site, now};

const KILLS: usize = 20;
const WRITERS: usize = 2;

/// Something that a gateway said it had done.
enum Done {
    Key { arn: String, description: String },
    Alias { name: String, target: String },
}

/// What was answered over all lives of a gateway.
#[derive(Default)]
struct Answered {
    keys: HashMap<String, String>,
    aliases: HashMap<String, String>,
    request_ids: Vec<String>,
}

/// Makes keys, each with an alias, until the gateway is gone.
fn write(mut connection: Connection, host: &str, caller: &Caller, name: &str, done: &mpsc::Sender<(String, Done)>) {
    for index in 0.. {
        let description = format!("{name}-{index}");
        let create = caller.request(host, "CreateKey", &json!({"Description": description}));
        let Some(answer) = connection.try_exchange(&create) else { return };
        let arn = answer.granted()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        let id = answer.request_id().to_owned();
        // Nobody counts any more once the gateway is killed, and what was answered still counts.
        done.send((id, Done::Key { arn: arn.clone(), description })).unwrap();
        let alias = format!("alias/{name}-{index}");
        let create = caller.request(host, "CreateAlias", &json!({"AliasName": alias, "TargetKeyId": arn}));
        let Some(answer) = connection.try_exchange(&create) else { return };
        answer.granted();
        done.send((answer.request_id().to_owned(), Done::Alias { name: alias, target: arn })).unwrap();
    }
}

/// Lets writers write until `enough` has been answered, then kills the gateway.
fn killed_while_writing(gateway: Gateway, life: usize, enough: usize, answered: &mut Answered) -> Site {
    let (sender, receiver) = mpsc::channel();
    let (host, caller) = (gateway.host(), gateway.site.admin.clone());
    let connections: Vec<_> = (0..WRITERS).map(|_| gateway.connect()).collect();
    let mut all = Vec::new();
    let site = thread::scope(|scope| {
        for (writer, connection) in connections.into_iter().enumerate() {
            let (host, caller, sender) = (&host, &caller, sender.clone());
            scope.spawn(move || write(connection, host, caller, &format!("{life}-{writer}"), &sender));
        }
        drop(sender);
        all.extend(receiver.iter().take(enough));
        gateway.kill()
    });
    for (id, done) in all.into_iter().chain(receiver) {
        answered.request_ids.push(id);
        match done {
            Done::Key { arn, description } => answered.keys.insert(arn, description),
            Done::Alias { name, target } => answered.aliases.insert(name, target),
        };
    }
    site
}

/// All entries of a list, page by page.
fn listed(gateway: &Gateway, operation: &str, list: &str, limit: usize) -> Vec<Value> {
    let (mut entries, mut marker) = (Vec::new(), Value::Null);
    loop {
        let page = gateway.call(&gateway.site.admin, operation, &json!({"Limit": limit, "Marker": marker})).granted();
        entries.extend_from_slice(page[list].as_array().unwrap());
        if page["Truncated"] == false {
            return entries;
        }
        marker = page["NextMarker"].clone();
    }
}

fn text<'v>(entry: &'v Value, member: &str) -> &'v str {
    entry[member].as_str().unwrap()
}

#[test]
fn what_was_answered_before_a_kill_is_there_and_recorded_and_nothing_is_half_done() {
    let mut answered = Answered::default();
    let mut site = Site::new();
    for life in 0..KILLS {
        site = killed_while_writing(site.start(), life, (life * 7) % 31 + 1, &mut answered);
    }
    let gateway = site.start();
    assert!(answered.keys.len() >= KILLS, "{}", answered.keys.len());
    let keys = listed(&gateway, "ListKeys", "Keys", 1000);
    let aliases = listed(&gateway, "ListAliases", "Aliases", 100);
    let key_ids: HashMap<_, _> = keys.iter().map(|key| (text(key, "KeyId"), text(key, "KeyArn"))).collect();
    // Each change that was under way at a kill is there or not; more there cannot be.
    assert!(keys.len() <= answered.keys.len() + KILLS * WRITERS, "{}", keys.len());
    let mut connection = gateway.connect();
    let mut call = |operation: &str, body: Value| {
        connection.exchange(&gateway.site.admin.request(&gateway.host(), operation, &body)).granted()
    };
    for arn in key_ids.values() {
        let metadata = call("DescribeKey", json!({"KeyId": arn}))["KeyMetadata"].clone();
        if let Some(description) = answered.keys.remove(*arn) {
            assert_eq!(metadata["Description"], description);
        }
        assert_eq!(metadata["KeyState"], "Enabled");
        let sealed = call("GenerateDataKey", json!({"KeyId": arn, "KeySpec": "AES_256"}));
        let opened = call("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]}));
        assert_eq!((&opened["Plaintext"], text(&opened, "KeyId")), (&sealed["Plaintext"], *arn));
    }
    assert!(answered.keys.is_empty(), "answered and not there: {:?}", answered.keys);
    for alias in &aliases {
        let target = key_ids[text(alias, "TargetKeyId")];
        if let Some(expected) = answered.aliases.remove(text(alias, "AliasName")) {
            assert_eq!(target, expected);
        }
    }
    assert!(answered.aliases.is_empty(), "answered and not there: {:?}", answered.aliases);
    let outcomes: HashMap<_, _> = gateway
        .records()
        .into_iter()
        .map(|record| (text(&record, "requestID").to_owned(), record["errorCode"].clone()))
        .collect();
    for id in &answered.request_ids {
        assert_eq!(outcomes.get(id), Some(&Value::Null), "{id}");
    }
}

#[test]
fn a_ciphertext_outlives_the_gateway_that_made_it() {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    let context = json!({"tenant": "blue"});
    let body = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context});
    let sealed = gateway.call(&gateway.site.admin, "GenerateDataKey", &body).granted();
    let gateway = gateway.kill().start();
    let body = json!({"CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": context});
    let opened = gateway.call(&gateway.site.admin, "Decrypt", &body).granted();
    assert_eq!(opened["Plaintext"], sealed["Plaintext"]);
    assert_eq!(opened["KeyMaterialId"], sealed["KeyMaterialId"]);
}

#[test]
fn a_first_start_that_is_killed_at_any_moment_is_mended_by_the_next() {
    const MOMENTS: u32 = 24;
    let directory = tempfile::tempdir().unwrap();
    // How long a whole first start takes here.
    let began = now();
    drop(Quickstart::start(&directory.path().join("whole"), &[]));
    let whole = began.elapsed();
    for moment in 0..MOMENTS {
        let data_dir = directory.path().join(moment.to_string());
        Quickstart::killed_after(&data_dir, whole * moment / MOMENTS + Duration::from_micros(50));
        let quickstart = Quickstart::start(&data_dir, &[]);
        let body = json!({"KeyId": quickstart.line["alias"], "KeySpec": "AES_256"});
        quickstart.call("GenerateDataKeyWithoutPlaintext", &body).granted();
    }
}
