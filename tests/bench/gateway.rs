//! The gateway under test: the real program, as an operator would run it, with everything it needs in a scratch
//! directory: configuration, a principal with a policy and an access key, and a KMS key.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::children::{Guard, Launcher, free_address};
use crate::connection::Answer;
use crate::load::Expected;
use crate::measure::now;
use crate::requests::Caller;
use crate::setup::{AUDIT_FILE, Setup, User};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kmsgate");
/// How long one answer may take outside of a load.
const PATIENCE: Duration = Duration::from_secs(5);
const REGION: &str = "eu-central-1";
/// What it must answer to the requests of a load.
pub(crate) const DATA_KEY: Expected = Expected::Checked { body: b"\"CiphertextBlob\":\"", whole: false };
/// Ids in the style of AWS's documentation; the secrets are made for each run.
const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const KEEPER_ACCESS_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";

/// How to start the gateway, and how to call it.
#[derive(Debug)]
pub(crate) struct Gateway {
    arguments: [String; 3],
    scratch: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// A principal that may use the key.
    pub(crate) caller: Caller,
    /// A principal that may make and change keys.
    pub(crate) keeper: Caller,
    /// The key.
    pub(crate) key_id: String,
}

impl Gateway {
    /// Writes all files to `scratch`, and lets a first start make the key.
    pub(crate) fn prepare(scratch: &Path) -> Outcome<Self> {
        Self::prepare_with(scratch, "")
    }

    /// As [`Self::prepare`], with these lines in `[audit]`.
    pub(crate) fn prepare_with(scratch: &Path, audit: &str) -> Outcome<Self> {
        let mut gateway = Self::write(scratch, audit)?;
        let answer = gateway.first_answer(&Launcher::plain(), "CreateKey", "{}")?;
        gateway.key_id = created_key(&answer.body)?;
        Ok(gateway)
    }

    /// Writes all files to `scratch`.
    pub(crate) fn without_keys(scratch: &Path) -> Outcome<Self> {
        Self::write(scratch, "")
    }

    fn write(scratch: &Path, audit: &str) -> Outcome<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let caller = |access_key_id| Caller::make(address, REGION, access_key_id);
        let (caller, keeper) = (caller(ACCESS_KEY_ID)?, caller(KEEPER_ACCESS_KEY_ID)?);
        let setup = Setup { region: REGION, backend: "{ kind = 'local', data_dir = 'data' }", address, admin, audit };
        let users = [
            User { name: "orders", policy: POLICY, caller: &caller },
            User { name: "keeper", policy: KEEPER_POLICY, caller: &keeper },
        ];
        let configuration = setup.write(scratch, &users)?;
        Ok(Self {
            arguments: ["serve", "--config", &configuration.display().to_string()].map(str::to_owned),
            scratch: scratch.to_owned(),
            address,
            caller,
            keeper,
            key_id: String::new(),
        })
    }

    /// Starts it; it may not accept connections yet.
    pub(crate) fn start(&self, launcher: &Launcher) -> Outcome<Guard> {
        launcher.start(Path::new(PROGRAM), &self.arguments, &self.scratch.join("gateway.log"))
    }

    /// Starts it so that nothing is recorded: this benchmark itself, with the library.
    pub(crate) fn start_unrecorded(&self, launcher: &Launcher, argument: &str) -> Outcome<Guard> {
        let [_, _, file] = &self.arguments;
        let arguments = [argument, file];
        launcher.start(&std::env::current_exe()?, &arguments, &self.scratch.join("gateway.log"))
    }

    /// Starts it, asks once, ends it: milliseconds from spawn to the answer.
    pub(crate) fn time_to_answer(&self, launcher: &Launcher) -> Outcome<f64> {
        let body = format!(r#"{{"KeyId": "{}", "KeySpec": "AES_256"}}"#, self.key_id);
        let answer = self.first_answer(launcher, "GenerateDataKeyWithoutPlaintext", &body)?;
        Ok(answer.at.duration_since(answer.spawned).as_secs_f64() * 1000.0)
    }

    /// The file that holds its keys.
    pub(crate) fn store(&self) -> PathBuf {
        self.scratch.join("data").join("keys.sqlite")
    }

    /// Empties the audit file, which the gateway only ever appends to: many loads would fill the disk.
    pub(crate) fn empty_audit(&self) -> Outcome<()> {
        Ok(fs::File::options().write(true).open(self.scratch.join(AUDIT_FILE))?.set_len(0)?)
    }

    /// Starts the program, asks it once, ends it. The request is signed beforehand, and nothing stands between spawn
    /// and program.
    fn first_answer(&self, launcher: &Launcher, operation: &str, body: &str) -> Outcome<FirstAnswer> {
        let request = self.caller.sign(operation, body)?;
        let spawned = now();
        let mut server = self.start(launcher)?;
        let mut stream = server.accepted(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request.bytes)?;
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let count = stream.read(&mut chunk)?;
            bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
            match Answer::whole(&bytes)? {
                Some(answer) if answer.status == 200 => {
                    return Ok(FirstAnswer { spawned, at: now(), body: answer.body.to_vec() });
                }
                None if count > 0 => {}
                _ => return Err(format!("{operation} was answered by `{}`", bytes.escape_ascii()).into()),
            }
        }
    }
}

/// What a program that has just been started answers.
struct FirstAnswer {
    spawned: Instant,
    at: Instant,
    body: Vec<u8>,
}

/// The `KeyId` that an answer to `CreateKey` names.
pub(crate) fn created_key(body: &[u8]) -> Outcome<String> {
    let created: serde_json::Value = serde_json::from_slice(body)?;
    let key_id = created.pointer("/KeyMetadata/KeyId").and_then(serde_json::Value::as_str);
    Ok(key_id.ok_or("CreateKey answered without a KeyId")?.to_owned())
}

/// What a service that encrypts records may do, and the right to make its key.
const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DataKeys",
      "Effect": "Allow",
      "Action": ["kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"],
      "Resource": "arn:aws:kms:eu-central-1:111122223333:key/*"
    },
    { "Sid": "MakeKey", "Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*" },
    { "Sid": "KeepKeys", "Effect": "Deny", "Action": ["kms:ScheduleKeyDeletion", "kms:DisableKey"], "Resource": "*" }
  ]
}
"#;

/// What somebody may do who looks after keys.
const KEEPER_POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": { "Effect": "Allow", "Action": "kms:*", "Resource": "*" }
}
"#;
