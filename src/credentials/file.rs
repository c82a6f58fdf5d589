//! The credentials file, read: TOML to rows of the right types, every fault with its place.
//!
//! Nothing here knows policies: a row holds their names, and whoever builds the principals attaches them.
//! Secrets are never quoted in a fault.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::principal_arn::{PrincipalArn, PrincipalType};
use super::unique_id;
use crate::aws::AccessKeyId;
use crate::clock::Timestamp;
use crate::faults::{Collector, Section, Value, nearest, read_toml};
use crate::private_file;
use crate::secret::Secret;

/// IAM's limit: two, so that one can be rotated while the other is in use.
pub const MAX_ACCESS_KEYS: usize = 2;
/// A signature seen once lets its reader try secrets at leisure, so a short one is no secret.
const SHORTEST_SECRET: usize = 32;
/// IAM's own have 40 characters.
const LONGEST_SECRET: usize = 128;
/// IAM's limits for the tags of a principal.
const MAX_TAGS: usize = 50;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

/// One `[[principals]]` table.
#[derive(Debug)]
pub struct PrincipalRow {
    /// Who it is.
    pub arn: PrincipalArn,
    /// `AIDA…` or `AROA…`; a root's account id.
    pub unique_id: String,
    /// Sorted by key.
    pub tags: Vec<(Box<str>, Box<str>)>,
    /// Groups, each of which the file has.
    pub groups: Vec<Box<str>>,
    /// Names of policy documents, the groups' after its own, each once, with the place to blame.
    pub policies: Vec<PolicyName>,
    /// The document that bounds it.
    pub boundary: Option<PolicyName>,
    /// The document that bounds its session.
    pub session_policy: Option<PolicyName>,
    /// Until when what its policies do not allow is only reported.
    pub danger_report_only_until: Option<Timestamp>,
    /// One or two.
    pub access_keys: Vec<KeyRow>,
}

/// A policy's name and where the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    /// The document's name: its file's without `.json`.
    pub name: Box<str>,
    /// Dotted path and line in the credentials file.
    pub place: (String, usize),
}

/// One `[[principals.access_keys]]` table.
#[derive(Debug)]
pub struct KeyRow {
    /// Unique in the file.
    pub id: AccessKeyId,
    /// Its secret.
    pub secret: Secret<String>,
}

/// Reads the credentials file; `None` if that fails as a whole. What is wrong goes to `faults`.
#[must_use]
pub fn read(file: &Path, faults: &Collector) -> Option<Vec<PrincipalRow>> {
    match private_file::read(file) {
        Ok(text) => Some(read_text(file, &text, faults)),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

/// Reads the text of a credentials file; what is wrong goes to `faults`.
#[must_use]
pub fn read_text(file: &Path, text: &str, faults: &Collector) -> Vec<PrincipalRow> {
    read_toml(file, text, faults, rows)
}

fn rows(root: &Section<'_>) -> Vec<PrincipalRow> {
    let groups = groups(root);
    let mut seen = Seen::default();
    let rows = root.sections("principals").into_iter().filter_map(|table| principal(&table, &groups, &mut seen));
    let rows = rows.collect();
    root.end();
    rows
}

type Groups = BTreeMap<String, Vec<PolicyName>>;

fn groups(root: &Section<'_>) -> Groups {
    let group = |(name, value): (String, Value<'_>)| {
        let table = value.section();
        let policies = policy_names(&table);
        table.end();
        (name, policies)
    };
    root.section("groups").entries().into_iter().map(group).collect()
}

/// What must not occur twice in one file, with the path of its first place.
#[derive(Default)]
struct Seen {
    callers: HashMap<String, String>,
    unique_ids: HashMap<String, String>,
    access_keys: HashMap<AccessKeyId, String>,
}

fn principal(table: &Section<'_>, groups: &Groups, seen: &mut Seen) -> Option<PrincipalRow> {
    let arn = arn(table, seen);
    let unique_id = arn.as_ref().and_then(|arn| read_unique_id(table, arn, seen));
    // Asked for here too, so that a fault in the ARN does not make this key an unknown one.
    let _ = table.get("unique_id");
    let tags = tags(&table.section("tags"));
    let mut policies = policy_names(table);
    let joined = joined_groups(table, arn.as_ref(), groups);
    for inherited in joined.iter().filter_map(|name| groups.get(name.as_ref())).flatten() {
        if policies.iter().all(|own| own.name != inherited.name) {
            policies.push(inherited.clone());
        }
    }
    let boundary = table.get("boundary").as_ref().and_then(policy_name);
    if let (Some(arn), Some(value)) = (&arn, table.get("boundary"))
        && arn.principal_type() == PrincipalType::Account
    {
        value.fault("a boundary does not limit an account's root user", Some("name a `guardrail_file`"));
    }
    let session_policy = table.get("session_policy").as_ref().and_then(policy_name);
    if let (Some(arn), Some(value)) = (&arn, table.get("session_policy"))
        && arn.session().is_none()
    {
        value.fault("only a session of a role has a session policy", Some("name a `boundary` instead"));
    }
    let danger_report_only_until = table.get("danger_report_only_until").as_ref().and_then(end_date);
    let access_keys = access_keys(table, seen);
    table.end();
    let (arn, unique_id) = (arn?, unique_id?);
    let groups = joined;
    Some(PrincipalRow {
        arn,
        unique_id,
        tags,
        groups,
        policies,
        boundary,
        session_policy,
        danger_report_only_until,
        access_keys,
    })
}

fn policy_name(value: &Value<'_>) -> Option<PolicyName> {
    Some(PolicyName { name: value.text()?.into(), place: value.place() })
}

/// The end of a day, in UTC.
fn end_date(value: &Value<'_>) -> Option<Timestamp> {
    let text = value.text()?;
    let end = Timestamp::end_of_day(text);
    if end.is_none() {
        value.fault(format!("`{text}` is no date"), Some("write its last day, as \"2026-12-31\""));
    }
    end
}

fn arn(table: &Section<'_>, seen: &mut Seen) -> Option<PrincipalArn> {
    let hint = "write it like arn:aws:iam::111122223333:user/NAME or arn:aws:iam::111122223333:role/NAME";
    let session_name = table.get("session_name");
    let value = table.require("arn", hint)?;
    let mut arn: PrincipalArn = value.parse(hint)?;
    if let Some(session) = session_name {
        if value.text()?.contains(":sts:") {
            session.fault("is given twice", Some("the ARN of a session has its name already: leave this out"));
        }
        let name = session.text()?;
        match arn.with_session(name) {
            Ok(named) => arn = named,
            Err(error) => {
                session.fault(format!("`{name}` is refused: {error}"), Some("leave it out for the default"));
            }
        }
    }
    if let Some(first) = seen.callers.insert(arn.caller().to_owned(), value.place().0) {
        value.fault(format!("`{}` is also {first}", arn.caller()), Some("keep one of them, with both access keys"));
    }
    Some(arn)
}

fn read_unique_id(table: &Section<'_>, arn: &PrincipalArn, seen: &mut Seen) -> Option<String> {
    let Some(value) = table.get("unique_id") else { return Some(unique_id::derived(arn)) };
    match unique_id::given(arn, value.text()?) {
        Ok(id) => {
            // Sessions of one role share its id; two users, or two roles, never do.
            let owner = arn.condition_value().to_owned();
            match seen.unique_ids.insert(id.clone(), owner.clone()) {
                Some(first) if first != owner => {
                    let hint = "leave it out and it is derived from the ARN";
                    value.fault(format!("`{id}` is also the id of {first}"), Some(hint));
                }
                _ => {}
            }
            Some(id)
        }
        Err(message) => {
            value.fault(message, Some("leave it out and it is derived from the ARN"));
            None
        }
    }
}

fn tags(table: &Section<'_>) -> Vec<(Box<str>, Box<str>)> {
    let mut tags: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (key, value) in table.entries() {
        let Some(text) = value.text() else { continue };
        let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c));
        if !(1..=LONGEST_TAG_KEY).contains(&key.chars().count()) || text.chars().count() > LONGEST_TAG_VALUE {
            value.fault("is too long or has no key", Some("a tag's key has 1 to 128 characters, its value up to 256"));
        } else if !allowed(&key) || !allowed(text) {
            value.fault("has other characters than a tag may have", Some("letters, digits, spaces and _.:/=+-@"));
        } else if tags.iter().any(|(other, _)| other.to_lowercase() == key.to_lowercase()) {
            value.fault("differs from another tag only in case", Some("policies ignore the case of a tag's key"));
        } else {
            tags.push((key.into(), text.into()));
        }
    }
    if tags.len() > MAX_TAGS {
        table.fault("", format!("has {} tags", tags.len()), Some("a principal has at most 50"));
    }
    tags
}

fn policy_names(table: &Section<'_>) -> Vec<PolicyName> {
    let Some(list) = table.get("policies") else { return Vec::new() };
    list.texts().into_iter().map(|(value, name)| PolicyName { name: name.into(), place: value.place() }).collect()
}

fn joined_groups(table: &Section<'_>, arn: Option<&PrincipalArn>, groups: &Groups) -> Vec<Box<str>> {
    let Some(list) = table.get("groups") else { return Vec::new() };
    if arn.is_some_and(|arn| arn.principal_type() != PrincipalType::User) {
        list.fault("only a user is in groups", Some("name the group's policies in `policies` instead"));
    }
    let known = |(value, name): (Value<'_>, &str)| {
        if groups.contains_key(name) {
            return Some(name.into());
        }
        let hint = match nearest(name, groups.keys().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add a table [groups.{name}]"),
        };
        value.fault(format!("there is no group `{name}`"), Some(&hint));
        None
    };
    list.texts().into_iter().filter_map(known).collect()
}

fn access_keys(table: &Section<'_>, seen: &mut Seen) -> Vec<KeyRow> {
    let tables = table.sections("access_keys");
    if tables.is_empty() {
        table.fault("access_keys", "is missing", Some("`kmsgate credentials new` makes one"));
    }
    if tables.len() > MAX_ACCESS_KEYS {
        let message = format!("has {} access keys", tables.len());
        table.fault("access_keys", message, Some("a principal has at most 2: take out the one no longer used"));
    }
    tables.into_iter().filter_map(|key| access_key(&key, seen)).collect()
}

fn access_key(table: &Section<'_>, seen: &mut Seen) -> Option<KeyRow> {
    let id = access_key_id(table, seen);
    let secret = match (table.get("secret"), table.get("secret_file")) {
        (Some(value), None) => value.text().and_then(|text| checked_secret(&value, text)),
        (None, Some(value)) => secret_from_file(&value),
        (None, None) => {
            table.fault("", "has no secret", Some("write secret = \"…\" or secret_file = \"PATH\""));
            None
        }
        (Some(_), Some(value)) => {
            value.fault("is given beside `secret`", Some("keep one of the two"));
            None
        }
    };
    table.end();
    Some(KeyRow { id: id?, secret: secret? })
}

fn access_key_id(table: &Section<'_>, seen: &mut Seen) -> Option<AccessKeyId> {
    let value = table.require("id", "`kmsgate credentials new` makes one")?;
    // Not quoted: somebody may have exchanged id and secret.
    let Ok(id) = value.text()?.parse::<AccessKeyId>() else {
        value.fault("is no access key id", Some("16 to 128 letters, digits or underscores, like AKIAIOSFODNN7EXAMPLE"));
        return None;
    };
    if id.as_str().starts_with("ASIA") {
        value.fault("begins with ASIA, which marks temporary credentials", Some("begin it with AKIA"));
    }
    if let Some(first) = seen.access_keys.insert(id.clone(), value.place().0) {
        value.fault(format!("`{id}` is also {first}"), Some("an access key belongs to one principal"));
    }
    Some(id)
}

fn secret_from_file(value: &Value<'_>) -> Option<Secret<String>> {
    match private_file::read(&value.path()?) {
        Ok(text) => checked_secret(value, text.trim_end_matches(['\r', '\n'])),
        Err(fault) => {
            value.fault(format!("{} {}", fault.file.display(), fault.message), fault.hint.as_deref());
            None
        }
    }
}

fn checked_secret(value: &Value<'_>, text: &str) -> Option<Secret<String>> {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    if graphic && (SHORTEST_SECRET..=LONGEST_SECRET).contains(&text.len()) {
        return Some(Secret::new(text.to_owned()));
    }
    let hint = "32 to 128 printable ASCII characters without spaces; `kmsgate credentials new` makes 40";
    value.fault("is no secret access key", Some(hint));
    None
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::faults::Faults;

    // AWS's documented example keys.
    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    struct Written {
        directory: tempfile::TempDir,
        file: PathBuf,
    }

    fn written(text: &str) -> Written {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credentials.toml");
        private_file::write_new(&file, text.as_bytes()).unwrap();
        Written { directory, file }
    }

    fn rows_of(text: &str) -> Result<Vec<PrincipalRow>, Faults> {
        let written = written(text);
        let faults = Collector::default();
        let rows = read(&written.file, &faults);
        faults.finish(&written.file, rows)
    }

    fn faults_of(text: &str) -> Vec<(Option<usize>, String, String)> {
        let faults = rows_of(text).map(|rows| format!("{rows:?}")).expect_err("faults");
        assert!(!format!("{faults} {faults:?}").contains(SECRET), "a secret is printed: {faults}");
        faults.as_slice().iter().map(|fault| (fault.line, fault.path.clone(), fault.message.clone())).collect()
    }

    fn one_key() -> String {
        format!("[[principals.access_keys]]\nid = '{ID}'\nsecret = '{SECRET}'\n")
    }

    #[test]
    fn a_principal_has_what_the_file_says() {
        let text = format!(
            "[[principals]]\narn = 'arn:aws:iam::111122223333:user/team/alice'\nunique_id = 'AIDACKCEVSQ6C2EXAMPLE'\n\
             tags = {{ team = 'blue', Cost = '7' }}\ngroups = ['writers']\npolicies = ['own', 'shared']\n{}\n\
             [groups.writers]\npolicies = ['shared', 'theirs']\n",
            one_key()
        );
        let rows = rows_of(&text).unwrap();
        let row = &rows[0];
        assert_eq!(row.arn.username(), Some("alice"));
        assert_eq!(row.unique_id, "AIDACKCEVSQ6C2EXAMPLE");
        assert_eq!(row.tags, [(Box::from("Cost"), Box::from("7")), (Box::from("team"), Box::from("blue"))]);
        assert_eq!(row.groups, [Box::from("writers")]);
        let policies: Vec<_> = row.policies.iter().map(|policy| policy.name.as_ref()).collect();
        assert_eq!(policies, ["own", "shared", "theirs"]);
        assert_eq!(row.access_keys[0].id.as_str(), ID);
        assert_eq!(row.access_keys[0].secret.expose(), SECRET);
    }

    #[test]
    fn a_role_may_name_its_session() {
        let text = format!(
            "[[principals]]\narn = 'arn:aws:iam::111122223333:role/svc/orders'\nsession_name = 'pod-7'\n{}",
            one_key()
        );
        assert_eq!(rows_of(&text).unwrap()[0].arn.caller(), "arn:aws:sts::111122223333:assumed-role/orders/pod-7");
    }

    #[test]
    fn a_secret_may_stand_in_a_private_file_of_its_own() {
        let text = format!(
            "[[principals]]\narn = 'arn:aws:iam::111122223333:user/a'\n\
             [[principals.access_keys]]\nid = '{ID}'\nsecret_file = 'secret'\n"
        );
        let written = written(&text);
        let secret_file = written.directory.path().join("secret");
        let read_it = || {
            let faults = Collector::default();
            let rows = read(&written.file, &faults);
            faults.finish(&written.file, rows)
        };
        let missing = read_it().unwrap_err();
        assert_eq!(missing.as_slice()[0].path, "principals[0].access_keys[0].secret_file");
        private_file::write_new(&secret_file, format!("{SECRET}\n").as_bytes()).unwrap();
        assert_eq!(read_it().unwrap()[0].access_keys[0].secret.expose(), SECRET);
        std::fs::set_permissions(&secret_file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let open = read_it().unwrap_err();
        assert!(open.to_string().contains("chmod 600"), "{open}");
    }

    #[test]
    fn every_fault_of_a_file_is_named_at_once() {
        let text = format!(
            "colour = 1\n\
             [[principals]]\n\
             arn = 'arn:aws:iam::111122223333:group/a'\n\
             unique_id = 'x'\n\
             groups = ['writer']\n\
             {}\
             [[principals]]\n\
             arn = 'arn:aws:iam::111122223333:user/b'\n\
             unique_id = 'AROACKCEVSQ6C2EXAMPLE'\n\
             tags = {{ team = 'a!', Team = 'b', tEAM = 'c' }}\n\
             [[principals.access_keys]]\n\
             id = '{ID}'\n\
             secret = 'too short'\n\
             [[principals]]\n\
             arn = 'arn:aws:iam::111122223333:user/b'\n\
             [groups.writers]\n\
             policy = ['a']\n",
            one_key()
        );
        let found = faults_of(&text);
        let places: Vec<_> = found.iter().map(|(line, path, _)| (line.unwrap_or_default(), path.as_str())).collect();
        for expected in [
            (1, "colour"),
            (3, "principals[0].arn"),
            (5, "principals[0].groups[0]"),
            (11, "principals[1].unique_id"),
            (12, "principals[1].tags.team"),
            (12, "principals[1].tags.tEAM"),
            (14, "principals[1].access_keys[0].id"),
            (15, "principals[1].access_keys[0].secret"),
            (17, "principals[2].arn"),
            (16, "principals[2].access_keys"),
            (19, "groups.writers.policy"),
        ] {
            assert!(places.contains(&expected), "{expected:?} is not in {found:#?}");
        }
        assert_eq!(found.len(), 11, "{found:#?}");
    }

    #[test]
    fn keys_and_secrets_have_their_limits() {
        let principal = "[[principals]]\narn = 'arn:aws:iam::111122223333:user/a'\n";
        let key = |id: &str, secret: &str| format!("[[principals.access_keys]]\nid = '{id}'\n{secret}\n");
        let secret = format!("secret = '{SECRET}'");
        let both = format!("{secret}\nsecret_file = 'x'");
        let cases = [
            (key("AKIAIOSFODNN7EXAMPL1", &secret) + &key("AKIAIOSFODNN7EXAMPL2", &secret), None),
            (
                key("AKIAIOSFODNN7EXAMPL1", &secret)
                    + &key("AKIAIOSFODNN7EXAMPL2", &secret)
                    + &key("AKIAIOSFODNN7EXAMPL3", &secret),
                Some("principals[0].access_keys"),
            ),
            (String::new(), Some("principals[0].access_keys")),
            (key(SECRET, &secret), Some("principals[0].access_keys[0].id")),
            (key("ASIAIOSFODNN7EXAMPLE", &secret), Some("principals[0].access_keys[0].id")),
            (key(ID, ""), Some("principals[0].access_keys[0]")),
            (key(ID, &both), Some("principals[0].access_keys[0].secret_file")),
            (key(ID, "secret = 12"), Some("principals[0].access_keys[0].secret")),
            (key(ID, &format!("secret = '{}'", "a".repeat(31))), Some("principals[0].access_keys[0].secret")),
            (key(ID, &format!("secret = '{}'", "a".repeat(32))), None),
            (key(ID, &format!("secret = '{}'", "a".repeat(128))), None),
            (key(ID, &format!("secret = '{}'", "a".repeat(129))), Some("principals[0].access_keys[0].secret")),
            (key(ID, &format!("secret = '{SECRET} '")), Some("principals[0].access_keys[0].secret")),
            (key(ID, &format!("secert = '{SECRET}'")), Some("principals[0].access_keys[0]")),
        ];
        for (keys, fault) in cases {
            let text = format!("{principal}{keys}");
            match fault {
                None => assert!(rows_of(&text).is_ok(), "{text}"),
                Some(path) => assert_eq!(faults_of(&text)[0].1, path, "{text}"),
            }
        }
    }

    #[test]
    fn an_unquoted_secret_is_not_printed() {
        let found = faults_of(&format!(
            "[[principals]]\narn = 'arn:aws:iam::111122223333:user/a'\n[[principals.access_keys]]\nid = '{ID}'\n\
             secret = {SECRET}\n"
        ));
        assert_eq!(found[0].0, Some(5));
    }
}
