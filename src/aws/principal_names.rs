//! Every name by which a key policy or a grant can mean a caller.
//!
//! A session of a role is meant by its own ARN, by the role's ARN or id, and, as everybody of its account, by the
//! account. How it is meant makes a difference: see [`MeantAs`]. Source: IAM user guide, "AWS JSON policy elements:
//! Principal".

use std::hash::{DefaultHasher, Hasher};

use super::{AccountId, Arn};

/// What a name means of the caller that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeantAs {
    /// An IAM user, by its ARN or unique id.
    User,
    /// The role that the caller is a session of, by its ARN or unique id.
    Role,
    /// This very session: of a role, or a federated user's.
    Session,
    /// Everybody in its account, who may then do what their identity policies say.
    Account,
    /// The account, and the caller is its root user, who needs no identity policy.
    Root,
}

/// A caller's names, worked out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalNames {
    account: AccountId,
    names: Box<[Name]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: Box<str>,
    meant: MeantAs,
    hash: u64,
}

impl Name {
    fn new(text: &str, meant: MeantAs) -> Self {
        Self { text: text.into(), meant, hash: principal_hash(text) }
    }
}

impl PrincipalNames {
    /// The names of the caller of that ARN: an account's root, an IAM user, a role, a role's session or a federated user.
    /// `None` if the ARN is of something else.
    #[must_use]
    pub fn of(arn: &str) -> Option<Self> {
        let parsed = Arn::parse(arn).ok().filter(|parsed| parsed.region.is_empty())?;
        let account: AccountId = parsed.account.parse().ok()?;
        let (kind, rest) = parsed.resource.split_once('/').unwrap_or((parsed.resource, ""));
        let named = Some(rest).filter(|rest| !rest.is_empty());
        match (parsed.service, kind, named) {
            ("iam", "root", None) => Some(Self::root(account)),
            ("iam", "user", Some(_)) => Some(Self::new(account, [(arn, MeantAs::User)], None)),
            ("iam", "role", Some(_)) => Some(Self::new(account, [(arn, MeantAs::Role)], None)),
            ("sts", "assumed-role", Some(rest)) => {
                let (role, _) = rest.split_once('/')?;
                let role = format!("arn:{}:iam::{account}:role/{role}", parsed.partition);
                Some(Self::session(account, arn, &role, None))
            }
            ("sts", "federated-user", Some(_)) => Some(Self::new(account, [(arn, MeantAs::Session)], None)),
            _ => None,
        }
    }

    /// The root user's of an account.
    #[must_use]
    pub fn root(account: AccountId) -> Self {
        Self { account, names: Box::new([Name::new(account.as_str(), MeantAs::Root)]) }
    }

    /// An IAM user's, with its ARN and its unique id.
    #[must_use]
    pub fn user(account: AccountId, arn: &str, unique_id: &str) -> Self {
        Self::new(account, [(arn, MeantAs::User)], Some((unique_id, MeantAs::User)))
    }

    /// A session's, with its ARN, its role's and, if it is known, its role's unique id.
    #[must_use]
    pub fn session(account: AccountId, arn: &str, role: &str, unique_id: Option<&str>) -> Self {
        let id = unique_id.map(|id| (id, MeantAs::Role));
        Self::new(account, [(role, MeantAs::Role), (arn, MeantAs::Session)], id)
    }

    fn new<const N: usize>(account: AccountId, names: [(&str, MeantAs); N], id: Option<(&str, MeantAs)>) -> Self {
        let everybody = (account.as_str(), MeantAs::Account);
        let names = names.into_iter().chain([everybody]).chain(id);
        Self { account, names: names.map(|(name, meant)| Name::new(name, meant)).collect() }
    }

    /// The caller's account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Whether it is the root user of its account.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.names.iter().any(|name| name.meant == MeantAs::Root)
    }

    /// The names, in the form that [`canonical_principal`] gives them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, MeantAs)> {
        self.names.iter().map(|name| (&*name.text, name.meant))
    }

    /// The same, each name with its [`principal_hash`], which was worked out with it.
    pub fn iter_hashed(&self) -> impl Iterator<Item = (&str, MeantAs, u64)> {
        self.names.iter().map(|name| (&*name.text, name.meant, name.hash))
    }

    /// What the caller is meant as by a principal in canonical form, if it is meant.
    #[must_use]
    pub fn meant_by(&self, principal: &str) -> Option<MeantAs> {
        self.iter().find(|(name, _)| *name == principal).map(|(_, meant)| meant)
    }
}

/// A number to find a principal by, in canonical form. The fixed keys are no weakness: names come from the operator's own
/// files. Not to be stored: it may be another in the next release.
#[must_use]
pub fn principal_hash(canonical: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(canonical.as_bytes());
    hasher.finish()
}

/// The one spelling of a principal by which it is compared: an account is its id, whether written so or as the ARN of its
/// root; everything else is as it is written.
#[must_use]
pub fn canonical_principal(principal: &str) -> &str {
    let Ok(arn) = Arn::parse(principal) else { return principal };
    let root = arn.service == "iam" && arn.region.is_empty() && arn.resource == "root";
    if root && arn.account.parse::<AccountId>().is_ok() { arn.account } else { principal }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn names(names: &PrincipalNames) -> Vec<(&str, MeantAs)> {
        names.iter().collect()
    }

    #[test]
    fn a_user_is_meant_by_its_arn_its_account_and_its_id() {
        let arn = "arn:aws:iam::111122223333:user/path/alice";
        let known = [(arn, MeantAs::User), (ACCOUNT, MeantAs::Account)];
        assert_eq!(names(&PrincipalNames::of(arn).unwrap()), known);
        let with_id = PrincipalNames::user(ACCOUNT.parse().unwrap(), arn, "AIDAEXAMPLE");
        assert_eq!(names(&with_id), [known[0], known[1], ("AIDAEXAMPLE", MeantAs::User)]);
    }

    #[test]
    fn a_session_is_meant_by_itself_its_role_and_its_account() {
        let arn = "arn:aws:sts::111122223333:assumed-role/orders/session";
        let (own, everybody) = ((arn, MeantAs::Session), (ACCOUNT, MeantAs::Account));
        let role = ("arn:aws:iam::111122223333:role/orders", MeantAs::Role);
        assert_eq!(names(&PrincipalNames::of(arn).unwrap()), [role, own, everybody]);
        let role = ("arn:aws:iam::111122223333:role/team/orders", MeantAs::Role);
        let known = PrincipalNames::session(ACCOUNT.parse().unwrap(), arn, role.0, Some("AROAEXAMPLE"));
        assert_eq!(names(&known), [role, own, everybody, ("AROAEXAMPLE", MeantAs::Role)]);
    }

    #[test]
    fn the_root_user_is_its_account() {
        let root = PrincipalNames::of("arn:aws:iam::111122223333:root").unwrap();
        assert_eq!(names(&root), [(ACCOUNT, MeantAs::Root)]);
        assert!(root.is_root());
        for text in ["arn:aws:iam::111122223333:root", "111122223333", "arn:aws-cn:iam::111122223333:root"] {
            assert_eq!(canonical_principal(text), "111122223333");
        }
        for text in ["arn:aws:iam::111122223333:user/root", "*", "arn:aws:sts::111122223333:root"] {
            assert_eq!(canonical_principal(text), text);
        }
    }

    #[test]
    fn what_cannot_call_has_no_names() {
        for arn in [
            "arn:aws:iam::111122223333:group/admins",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::1111:root",
            "arn:aws:iam:us-east-1:111122223333:root",
            "arn:aws:sts::111122223333:assumed-role/orders",
            "arn:aws:kms:us-east-1:111122223333:key/a",
            "AIDAEXAMPLE",
            "*",
        ] {
            assert_eq!(PrincipalNames::of(arn), None, "{arn}");
        }
    }
}
