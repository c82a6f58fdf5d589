//! The gateway under test: the real program in front of the upstream, with SigV4, policy, limits and audit to a file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::children::{Guard, Launcher, free_address};
use crate::requests::Caller;
use crate::setup::{Setup, User};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kmsgate");
const REGION: &str = "us-east-1";
/// The key of all requests, and of all the upstream's answers.
pub(crate) const KEY_ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// An id in the style of AWS's documentation; its secret is made for each run.
const ACCESS_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";
/// Its whole environment, so that nothing of the operator's gets in: the example keys of AWS's documentation, with
/// which it signs for an upstream that checks nothing, and nobody to ask for others.
const ENVIRONMENT: [&str; 3] = [
    "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_EC2_METADATA_DISABLED=true",
];

/// How to start the gateway, and how to call it.
#[derive(Debug)]
pub(crate) struct Gateway {
    configuration: PathBuf,
    scratch: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// A principal that may use the key.
    pub(crate) caller: Caller,
}

impl Gateway {
    /// Writes all files to the directory `scratch`, which is made.
    pub(crate) fn prepare(scratch: &Path, upstream: SocketAddr) -> Outcome<Self> {
        std::fs::create_dir(scratch)?;
        let (address, admin) = (free_address()?, free_address()?);
        let caller = Caller::make(address, REGION, ACCESS_KEY_ID)?;
        let backend = format!("{{ kind = 'aws', endpoint_url = 'http://{upstream}' }}");
        let setup = Setup { region: REGION, backend: &backend, address, admin, audit: "" };
        let configuration = setup.write(scratch, &[User { name: "orders", policy: POLICY, caller: &caller }])?;
        Ok(Self { configuration, scratch: scratch.to_owned(), address, caller })
    }

    /// Starts it; it may not accept connections yet.
    pub(crate) fn start(&self, launcher: &Launcher) -> Outcome<Guard> {
        let configuration = self.configuration.display().to_string();
        let mut arguments = vec!["-i"];
        arguments.extend(ENVIRONMENT);
        arguments.extend([PROGRAM, "serve", "--config", &configuration]);
        launcher.start(Path::new("env"), &arguments, &self.scratch.join("gateway.log"))
    }
}

/// What a service that encrypts records may do.
const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DataKeys",
      "Effect": "Allow",
      "Action": ["kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"],
      "Resource": "arn:aws:kms:us-east-1:111122223333:key/*"
    },
    { "Sid": "KeepKeys", "Effect": "Deny", "Action": ["kms:ScheduleKeyDeletion", "kms:DisableKey"], "Resource": "*" }
  ]
}
"#;
