//! The gateway under test: the real program, as an operator would run it, with everything it needs in a scratch
//! directory: configuration, a principal with a policy and an access key, and a KMS key.
//!
//! Every quota is on and none is reached: the price of asking is in the figures, refusals are not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kmsgate::random;

use crate::Outcome;
use crate::children::{Guard, Launcher, free_address};
use crate::connection::Answer;
use crate::measure::now;
use crate::requests::Caller;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kmsgate");
/// How long one answer may take outside of a load.
const PATIENCE: Duration = Duration::from_secs(5);
const AUDIT_FILE: &str = "audit.log";
const REGION: &str = "eu-central-1";
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
        let mut gateway = Self::without_keys(scratch)?;
        let answer = gateway.first_answer(&Launcher::plain(), "CreateKey", "{}")?;
        gateway.key_id = created_key(&answer.body)?;
        Ok(gateway)
    }

    /// Writes all files to `scratch`.
    pub(crate) fn without_keys(scratch: &Path) -> Outcome<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let caller = |access_key_id: &str| -> Outcome<Caller> {
            Ok(Caller {
                host: address.to_string(),
                region: REGION.to_owned(),
                access_key_id: access_key_id.to_owned(),
                secret: hex::encode(random::bytes::<20>().map_err(|error| error.to_string())?),
            })
        };
        let (caller, keeper) = (caller(ACCESS_KEY_ID)?, caller(KEEPER_ACCESS_KEY_ID)?);
        let configuration = write_files(scratch, address, admin, [&caller, &keeper])?;
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

/// Writes the files an operator would write; returns the configuration's path.
fn write_files(scratch: &Path, address: SocketAddr, admin: SocketAddr, callers: [&Caller; 2]) -> Outcome<PathBuf> {
    fs::create_dir(scratch.join("policies"))?;
    fs::write(scratch.join("policies/data-keys.json"), POLICY)?;
    fs::write(scratch.join("policies/keys.json"), KEEPER_POLICY)?;
    let quota = "{ per_second = 1000000, burst = 1000000 }";
    let configuration = format!(
        "region = '{REGION}'\naccount = '111122223333'\n\
         listen.address = '{address}'\nadmin.address = '{admin}'\n\
         backend = {{ kind = 'local', data_dir = 'data' }}\n\
         auth.credentials_file = 'credentials.toml'\npolicies.directory = 'policies'\naudit.file = '{AUDIT_FILE}'\n\
         server.workers = 1\n\
         [limits]\nprincipal = {quota}\nkey = {quota}\ngateway = {quota}\n\
         classes.symmetric = {quota}\nclasses.management = {quota}\n"
    );
    let file = scratch.join("kmsgate.toml");
    fs::write(&file, configuration)?;
    let mut credentials = private_file(&scratch.join("credentials.toml"))?;
    for (caller, [user, policy]) in callers.into_iter().zip([["orders", "data-keys"], ["keeper", "keys"]]) {
        write!(
            credentials,
            "[[principals]]\narn = 'arn:aws:iam::111122223333:user/{user}'\npolicies = ['{policy}']\n\
             [[principals.access_keys]]\nid = '{}'\nsecret = '{}'\n",
            caller.access_key_id, caller.secret
        )?;
    }
    Ok(file)
}

fn private_file(path: &Path) -> Outcome<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    Ok(fs::File::options().write(true).create_new(true).mode(0o600).open(path)?)
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
