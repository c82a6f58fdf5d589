//! The files of a gateway under test, as an operator would write them.
//!
//! Every quota is on and none is reached: the price of asking is in the figures, refusals are not.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::requests::Caller;

/// The account of all principals and keys: the one that AWS's documentation uses.
pub(crate) const ACCOUNT: &str = "111122223333";
/// The audit file's name.
pub(crate) const AUDIT_FILE: &str = "audit.log";

/// What two gateways of the benchmarks differ in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'s> {
    /// Its region.
    pub(crate) region: &'s str,
    /// Its backend, as a table in TOML.
    pub(crate) backend: &'s str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where its probes and metrics are.
    pub(crate) admin: SocketAddr,
    /// Lines of its `[audit]`, beside its file.
    pub(crate) audit: &'s str,
}

/// A user, and the one policy that says what it may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'u> {
    /// Its name, which its policy has too.
    pub(crate) name: &'u str,
    /// The policy's text.
    pub(crate) policy: &'u str,
    /// Its access key.
    pub(crate) caller: &'u Caller,
}

impl Setup<'_> {
    /// Writes all files to `scratch`; returns the configuration's path.
    pub(crate) fn write(&self, scratch: &Path, users: &[User<'_>]) -> Outcome<PathBuf> {
        fs::create_dir(scratch.join("policies"))?;
        let mut credentials = private_file(&scratch.join("credentials.toml"))?;
        for User { name, policy, caller } in users {
            fs::write(scratch.join(format!("policies/{name}.json")), policy)?;
            write!(
                credentials,
                "[[principals]]\narn = 'arn:aws:iam::{ACCOUNT}:user/{name}'\npolicies = ['{name}']\n\
                 [[principals.access_keys]]\nid = '{}'\nsecret = '{}'\n",
                caller.access_key_id, caller.secret
            )?;
        }
        let file = scratch.join("kmsgate.toml");
        fs::write(&file, self.configuration())?;
        Ok(file)
    }

    fn configuration(&self) -> String {
        let Self { region, backend, address, admin, audit } = self;
        let quota = "{ per_second = 1000000, burst = 1000000 }";
        format!(
            "region = '{region}'\naccount = '{ACCOUNT}'\n\
             listen.address = '{address}'\nadmin.address = '{admin}'\nbackend = {backend}\n\
             auth.credentials_file = 'credentials.toml'\npolicies.directory = 'policies'\n\
             server.workers = 1\n[audit]\nfile = '{AUDIT_FILE}'\n{audit}\n\
             [limits]\nprincipal = {quota}\nkey = {quota}\ngateway = {quota}\n\
             classes.symmetric = {quota}\nclasses.management = {quota}\n"
        )
    }
}

fn private_file(path: &Path) -> Outcome<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    Ok(fs::File::options().write(true).create_new(true).mode(0o600).open(path)?)
}
