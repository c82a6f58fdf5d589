//! What README.md tells a test suite in Rust to do, done. The client's tests run the blocks in other languages.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use aws_sdk_kms::config::{Credentials, Region};
use aws_sdk_kms::types::DataKeySpec;
use aws_sdk_kms::{Client, Config};

use crate::harness::{PROGRAM, Site, run};

/// Kills what a failed test leaves behind.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn the_block_for_rust_starts_a_kms() -> Result<(), Box<dyn Error>> {
    // As in README.md, but for the program's name.
    let directory = tempfile::tempdir()?;
    let run = ["quickstart", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"];
    let mut kmsgate = Command::new(PROGRAM).args(run).arg(directory.path()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(kmsgate.stdout.as_mut().ok_or("no standard output")?).read_line(&mut line)?;
    let made: HashMap<String, String> = serde_json::from_str(&line)?;
    let credentials = Credentials::new(&made["accessKeyId"], &made["secretAccessKey"], None, None, "kmsgate");
    let config = Config::builder().behavior_version_latest().endpoint_url(&made["endpoint"]);
    let config = config.region(Region::new(made["region"].clone())).credentials_provider(credentials);
    let kms = Client::from_conf(config.build());
    // The end of the block.

    let _kmsgate = Killed(kmsgate);
    let made = kms.generate_data_key_without_plaintext().key_id("alias/quickstart").key_spec(DataKeySpec::Aes256);
    let blob = made.send().await?.ciphertext_blob.ok_or("no ciphertext")?;
    let opened = kms.decrypt().ciphertext_blob(blob).send().await?;
    assert_eq!(opened.plaintext().map(|key| key.as_ref().len()), Some(32));
    Ok(())
}

#[test]
fn the_block_for_rust_is_the_one_that_is_tested() {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("Local KMS\n")).unwrap();
    let block = section.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let tested = include_str!("readme.rs").split("program's name.\n").nth(1).unwrap();
    let tested = tested.split("    // The end of the block.\n").next().unwrap();
    let tested: Vec<_> = tested.lines().map(str::trim).collect();
    let block = block.replace("Command::new(\"kmsgate\")", "Command::new(PROGRAM)");
    assert_eq!(block.lines().collect::<Vec<_>>(), tested);
}

#[test]
fn the_sidecar_takes_ten_lines_and_its_configuration_is_right() {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("In front of AWS KMS\n")).unwrap();
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(block.lines().count(), 10);
    let config = block.split("<<END\n").nth(1).and_then(|rest| rest.split("END\n").next()).unwrap();
    let site = Site::new();
    std::fs::write(site.write(), config).unwrap();
    let run = run(&["check", "--config", "kmsgate.toml"], &site.path(""));
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert!(
        run.out.contains("\n  forwards 111122223333/us-east-1 to https://kms.us-east-1.amazonaws.com/\n"),
        "{run:?}"
    );
}
