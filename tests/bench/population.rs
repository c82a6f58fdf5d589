//! A gateway's keys, each with an alias and two tags, made through its own API as anybody would make them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::Outcome;
use crate::children::Launcher;
use crate::connection::Connection;
use crate::gateway::{Gateway, created_key};
use crate::measure::{approximate, now};
use crate::requests::Caller;

/// As many changes as one commit takes.
const CONNECTIONS: usize = 64;
/// `CreateKey` and `CreateAlias`.
const CHANGES_EACH: u64 = 2;

/// A key by the two names that it has.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Its id.
    pub(crate) id: String,
    /// Its alias.
    pub(crate) alias: String,
}

/// A gateway that is not running, and the keys in its store.
#[derive(Debug)]
pub(crate) struct Population {
    /// The gateway.
    pub(crate) gateway: Gateway,
    /// The keys.
    pub(crate) keys: Vec<Names>,
    /// How long they took to make, in seconds.
    pub(crate) seconds: f64,
}

impl Population {
    /// Makes `count` keys of a new gateway in the directory `scratch`, which is made too.
    ///
    /// # Errors
    /// When the gateway refuses one of them, or does not end well.
    pub(crate) async fn make(scratch: &Path, launcher: &Launcher, count: usize) -> Outcome<Self> {
        fs::create_dir(scratch)?;
        let mut gateway = Gateway::without_keys(scratch)?;
        let mut process = gateway.start(launcher)?;
        drop(process.accepted(gateway.address)?);
        let start = now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS.min(count) {
            let connection = Connection::open(gateway.address).await?;
            tasks.spawn(Maker { connection, keeper: gateway.keeper.clone() }.run(Arc::clone(&next), count));
        }
        let mut keys = Vec::with_capacity(count);
        while let Some(made) = tasks.join_next().await {
            keys.extend(made??);
        }
        let seconds = (now() - start).as_secs_f64();
        process.stop()?;
        gateway.key_id.clone_from(&keys.first().ok_or("no key was asked for")?.id);
        Ok(Self { gateway, keys, seconds })
    }

    /// Changes a second, while the keys were made.
    pub(crate) fn rate(&self) -> f64 {
        approximate(self.keys.len() as u64 * CHANGES_EACH) / self.seconds
    }
}

/// One connection that makes keys.
struct Maker {
    connection: Connection,
    keeper: Caller,
}

impl Maker {
    async fn run(mut self, next: Arc<AtomicUsize>, count: usize) -> Outcome<Vec<Names>> {
        let mut made = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(made);
            }
            let tags = format!(
                r#"{{"Tags": [{{"TagKey": "team", "TagValue": "orders-{:03}"}}, {{"TagKey": "data-class", "TagValue": "customer"}}]}}"#,
                number % 1000
            );
            let id = created_key(self.change("CreateKey", &tags).await?)?;
            let alias = format!("alias/orders/{number:06}");
            self.change("CreateAlias", &format!(r#"{{"AliasName": "{alias}", "TargetKeyId": "{id}"}}"#)).await?;
            made.push(Names { id, alias });
        }
    }

    async fn change(&mut self, operation: &str, body: &str) -> Outcome<&[u8]> {
        let request = self.keeper.sign(operation, body)?;
        let answer = self.connection.exchange(&request.bytes).await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("{operation} was answered by {} with `{}`", answer.status, answer.body.escape_ascii()).into())
        }
    }
}
