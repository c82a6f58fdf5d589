//! The files of a gateway: configuration, principals, policies, each as an operator would write it.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::process::Gateway;
use super::request::Caller;
use super::{ACCOUNT, ALLOW_ALL, REGION};

/// A directory with all that a gateway needs; gone with this value.
pub(crate) struct Site {
    directory: TempDir,
    /// Dotted key to TOML value.
    settings: BTreeMap<String, String>,
    /// The text of the credentials file.
    credentials: String,
    principals: usize,
    /// May do everything.
    pub(crate) admin: Caller,
}

impl Site {
    /// A local KMS with one principal, who may do everything; free ports; the audit in `audit.jsonl`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("policies")).unwrap();
        let settings = [
            ("region", format!("'{REGION}'")),
            ("account", format!("'{ACCOUNT}'")),
            ("listen.address", "'127.0.0.1:0'".into()),
            ("admin.address", "'127.0.0.1:0'".into()),
            ("backend.kind", "'local'".into()),
            ("backend.data_dir", "'data'".into()),
            ("auth.credentials_file", "'credentials.toml'".into()),
            ("policies.directory", "'policies'".into()),
            ("audit.file", "'audit.jsonl'".into()),
            ("server.workers", "2".into()),
            ("server.drain_timeout_ms", "1000".into()),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
        let mut site =
            Self { directory, settings, credentials: String::new(), principals: 0, admin: Caller::placeholder() };
        site.admin = site.user("admin", ALLOW_ALL);
        site
    }

    /// Writes `key = value`, in place of what stands there.
    pub(crate) fn set(mut self, key: &str, value: impl Display) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// Leaves `key` out.
    pub(crate) fn unset(mut self, key: &str) -> Self {
        self.settings.remove(key);
        self
    }

    /// Adds a user of the account with this policy.
    pub(crate) fn user(&mut self, name: &str, policy: &str) -> Caller {
        self.principal(&format!("arn:aws:iam::{ACCOUNT}:user/{name}"), policy, "")
    }

    /// Adds a user of the account who has no policy at all.
    pub(crate) fn nobody(&mut self, name: &str) -> Caller {
        let caller = Caller::generate(&format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
        self.add(&caller, "policies = []");
        caller
    }

    /// Adds a principal with this policy, and more lines of its table.
    pub(crate) fn principal(&mut self, arn: &str, policy: &str, more: &str) -> Caller {
        let caller = Caller::generate(arn);
        let name = format!("policy-{}", self.principals);
        fs::write(self.path(&format!("policies/{name}.json")), policy).unwrap();
        self.add(&caller, &format!("policies = ['{name}']\n{more}"));
        caller
    }

    fn add(&mut self, caller: &Caller, lines: &str) {
        self.principals += 1;
        let Caller { arn, access_key_id, secret } = caller;
        writeln!(
            self.credentials,
            "[[principals]]\narn = '{arn}'\n{lines}\n\
             [[principals.access_keys]]\nid = '{access_key_id}'\nsecret = '{secret}'"
        )
        .unwrap();
    }

    /// A path in the site's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that its owner alone may read.
    pub(crate) fn write_private(&self, name: &str, text: &str) {
        write_private(&self.path(name), text);
    }

    /// Writes the files; returns the configuration's path.
    pub(crate) fn write(&self) -> PathBuf {
        self.write_private("credentials.toml", &self.credentials);
        let mut text = String::new();
        for (key, value) in &self.settings {
            writeln!(text, "{key} = {value}").unwrap();
        }
        let file = self.path("kmsgate.toml");
        fs::write(&file, text).unwrap();
        file
    }

    /// Writes the files and starts a gateway with them.
    pub(crate) fn start(self) -> Gateway {
        Gateway::serve(self)
    }
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut options = fs::File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
