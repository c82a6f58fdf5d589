//! New access keys: made, written as TOML, and put into a credentials file under their principal.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::file::{self, MAX_ACCESS_KEYS};
use super::principal_arn::{DEFAULT_SESSION_NAME, PrincipalArn};
use super::unique_id::base32_character;
use crate::faults::{Collector, Faults};
use crate::private_file;
use crate::random::{self, Exhausted};
use crate::secret::Secret;

/// Characters after `AKIA`: 80 bits, so that two keys never share an id.
const ID_CHARACTERS: usize = 16;
/// Random bytes of a secret: 240 bits, which base64 writes as IAM's 40 characters.
const SECRET_BYTES: usize = 30;

/// An access key that no file has yet.
#[derive(Debug)]
pub struct NewAccessKey {
    /// `AKIA` and 16 characters of base32.
    pub id: String,
    /// 40 characters of base64.
    pub secret: Secret<String>,
}

impl NewAccessKey {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub fn generate() -> Result<Self, Exhausted> {
        use base64::Engine;
        let characters = random::bytes::<ID_CHARACTERS>()?.map(base32_character);
        let bytes = Zeroizing::new(random::bytes::<SECRET_BYTES>()?);
        let secret = base64::engine::general_purpose::STANDARD.encode(*bytes);
        Ok(Self { id: "AKIA".chars().chain(characters).collect(), secret: Secret::new(secret) })
    }

    /// The table to stand under the key's `[[principals]]`.
    #[must_use]
    pub fn to_toml(&self) -> Zeroizing<String> {
        let (id, secret) = (&self.id, self.secret.expose());
        Zeroizing::new(format!("[[principals.access_keys]]\nid = \"{id}\"\nsecret = \"{secret}\"\n"))
    }
}

/// The whole `[[principals]]` table of a principal with these policies and this key.
#[must_use]
pub fn principal_toml(arn: &str, policies: &[&str], key: &NewAccessKey) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("[[principals]]\narn = \"{arn}\"\npolicies = ["));
    for (index, policy) in policies.iter().enumerate() {
        let _ = write!(text, "{}\"{policy}\"", if index == 0 { "" } else { ", " });
    }
    let _ = write!(text, "]\n\n{}", key.to_toml().as_str());
    text
}

/// Why a key was not added; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The file as it stands has faults.
    #[error("{0}")]
    Faults(#[from] Faults),
    /// IAM's limit.
    #[error("`{0}` has two access keys already; take out the one that is no longer used, then make a new one")]
    TwoKeys(String),
    /// What it may do stands in the file already.
    #[error("the file has `{0}`; name its policies there, and make the key without --policy")]
    Policies(String),
    /// The place to write at was not found.
    #[error("the tables of `{0}` are written in a way that cannot be added to; add the table by hand")]
    Layout(String),
    /// The file cannot be replaced.
    #[error("cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Adds `key` for `arn` to the credentials file, which is made if it is not there. A principal that the file
/// does not have is added with `policies`; without any it may do nothing yet.
///
/// # Errors
///
/// [`AddError`]. The file is replaced whole or not at all.
pub fn add_to_file(file: &Path, arn: &PrincipalArn, policies: &[&str], key: &NewAccessKey) -> Result<(), AddError> {
    if !fs::exists(file)? {
        private_file::write_new(file, principal_toml(written(arn), policies, key).as_bytes())?;
        return Ok(());
    }
    let text = private_file::read(file).map_err(Faults::from)?;
    let keys_before = key_count(file, &text, arn)?;
    let added = match keys_before {
        None => append(&text, &principal_toml(written(arn), policies, key)),
        Some(_) if !policies.is_empty() => return Err(AddError::Policies(arn.caller().to_owned())),
        Some(count) if count >= MAX_ACCESS_KEYS => return Err(AddError::TwoKeys(arn.caller().to_owned())),
        Some(_) => insert(&text, file, arn, key).ok_or_else(|| AddError::Layout(arn.caller().to_owned()))?,
    };
    // Judged by the reader itself before it is written: a key under another principal would be a gift to it.
    match key_count(file, &added, arn) {
        Ok(count) if count == Some(keys_before.unwrap_or(0) + 1) => Ok(private_file::replace(file, added.as_bytes())?),
        _ => Err(AddError::Layout(arn.caller().to_owned())),
    }
}

/// The ARN to write: of a role used without a session's name the role's own, which alone has its path.
fn written(arn: &PrincipalArn) -> &str {
    match arn.session() {
        Some((_, DEFAULT_SESSION_NAME)) => arn.condition_value(),
        _ => arn.caller(),
    }
}

/// How many keys the file has for `arn`; `None` if it does not have the principal.
fn key_count(path: &Path, text: &str, arn: &PrincipalArn) -> Result<Option<usize>, Faults> {
    let faults = Collector::default();
    let rows = file::read_text(path, text, &faults);
    let count = rows.iter().find(|row| row.arn.caller() == arn.caller()).map(|row| row.access_keys.len());
    faults.finish(path, Some(count))
}

fn append(text: &str, table: &str) -> Zeroizing<String> {
    let separator = match text {
        "" => "",
        _ if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Zeroizing::new([text, separator, table].concat())
}

/// Puts the key's table behind the last line of its principal's tables.
fn insert(text: &str, path: &Path, arn: &PrincipalArn, key: &NewAccessKey) -> Option<Zeroizing<String>> {
    let rows = file::read_text(path, text, &Collector::default());
    let place = rows.iter().position(|row| row.arn.caller() == arn.caller())?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let header = |line: &str| line.trim_start().starts_with("[[principals]]");
    let start = lines.iter().enumerate().filter(|(_, line)| header(line)).nth(place)?.0;
    let foreign = |line: &str| {
        let line = line.trim_start();
        line.starts_with('[') && !line.starts_with("[principals.") && !line.starts_with("[[principals.")
    };
    let behind = lines.iter().enumerate().skip(start + 1).find(|(_, line)| foreign(line));
    let mut end = behind.map_or(lines.len(), |(index, _)| index);
    // Comments and blank lines above the next table belong to that one.
    let loose = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    while behind.is_some() && end > start + 1 && lines.get(end - 1).is_some_and(|line| loose(line)) {
        end -= 1;
    }
    let (before, after) = (lines.get(..end)?.concat(), lines.get(end..)?.concat());
    let mut whole = append(&Zeroizing::new(before), &key.to_toml());
    whole.push_str(&Zeroizing::new(after));
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::111122223333:user/alice";

    fn arn(text: &str) -> PrincipalArn {
        text.parse().unwrap()
    }

    fn rows(path: &Path) -> Vec<file::PrincipalRow> {
        let faults = Collector::default();
        let rows = file::read(path, &faults);
        faults.finish(path, rows).unwrap()
    }

    #[test]
    fn a_new_key_has_iams_form_and_no_two_are_alike() {
        let (a, b) = (NewAccessKey::generate().unwrap(), NewAccessKey::generate().unwrap());
        assert_eq!((a.id.len(), a.secret.expose().len()), (20, 40));
        assert!(a.id.starts_with("AKIA") && a.id.parse::<crate::aws::AccessKeyId>().is_ok());
        assert_ne!(a.id, b.id);
        assert_ne!(a.secret.expose(), b.secret.expose());
        assert!(!format!("{a:?}").contains(a.secret.expose().as_str()));
    }

    #[test]
    fn a_file_is_made_and_takes_two_keys_but_no_third() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        for count in 1..=2 {
            let key = NewAccessKey::generate().unwrap();
            add_to_file(&path, &arn(ARN), &[], &key).unwrap();
            let rows = rows(&path);
            assert_eq!((rows.len(), rows[0].access_keys.len()), (1, count));
            assert_eq!(rows[0].access_keys[count - 1].secret.expose(), key.secret.expose());
        }
        let before = fs::read(&path).unwrap();
        let third = add_to_file(&path, &arn(ARN), &[], &NewAccessKey::generate().unwrap()).unwrap_err();
        assert!(matches!(third, AddError::TwoKeys(_)), "{third}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_key_goes_to_its_own_principal_and_leaves_the_rest_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        let other = "arn:aws:iam::111122223333:user/bob";
        add_to_file(&path, &arn(ARN), &[], &NewAccessKey::generate().unwrap()).unwrap();
        add_to_file(&path, &arn(other), &[], &NewAccessKey::generate().unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace(
            "[[principals]]\narn = \"arn:aws:iam::111122223333:user/bob\"",
            "# Bob.\n[[principals]]\narn = \"arn:aws:iam::111122223333:user/bob\"",
        );
        private_file::replace(&path, format!("# Head.\n{text}\n[groups.a]\npolicies = []\n# Tail.\n").as_bytes())
            .unwrap();
        let before = fs::read_to_string(&path).unwrap();

        let key = NewAccessKey::generate().unwrap();
        add_to_file(&path, &arn(ARN), &[], &key).unwrap();
        let after = fs::read_to_string(&path).unwrap();
        let rows = rows(&path);
        assert_eq!(rows[0].access_keys.len(), 2);
        assert_eq!(rows[1].access_keys.len(), 1);
        assert_eq!(rows[0].access_keys[1].id.as_str(), key.id);
        let without = after.replace(&format!("\n{}", key.to_toml().as_str()), "");
        assert_eq!(without, before);
    }

    #[test]
    fn a_role_keeps_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        let role = arn("arn:aws:iam::111122223333:role/service/orders");
        for _ in 0..2 {
            add_to_file(&path, &role, &[], &NewAccessKey::generate().unwrap()).unwrap();
        }
        assert_eq!(rows(&path)[0].arn, role);
        assert_eq!(rows(&path)[0].access_keys.len(), 2);
    }

    #[test]
    fn a_file_with_faults_or_open_to_others_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        private_file::write_new(&path, b"[[principals]]\narn = 'x'\n").unwrap();
        let key = NewAccessKey::generate().unwrap();
        assert!(matches!(add_to_file(&path, &arn(ARN), &[], &key), Err(AddError::Faults(_))));
        private_file::replace(&path, b"").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(add_to_file(&path, &arn(ARN), &[], &key), Err(AddError::Faults(_))));
        assert_eq!(fs::read(&path).unwrap(), b"");
    }
}
