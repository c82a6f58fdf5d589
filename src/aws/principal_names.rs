//! Every name by which a key policy or a grant can mean a caller.
//!
//! A session of a role is meant by its own ARN, by the role's ARN or id, and, as everybody of its account, by the
//! account. How it is meant makes a difference: see [`MeantAs`]. Source: IAM user guide, "AWS JSON policy elements:
//! Principal".

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
    names: Box<[(Box<str>, MeantAs)]>,
}

impl PrincipalNames {
    /// The names of the caller of that ARN: an account's root, an IAM user, a role, a role's session or a federated user.
    /// `role` is the ARN of a session's role where that is known better than the session tells (it leaves out the path);
    /// `unique_id` the id of the user or role, if it has one. `None` if the ARN is of something else.
    #[must_use]
    pub fn new(arn: &str, role: Option<&str>, unique_id: Option<&str>) -> Option<Self> {
        let parsed = Arn::parse(arn).ok()?;
        let account: AccountId = parsed.account.parse().ok()?;
        let mut names: Vec<(Box<str>, MeantAs)> = Vec::with_capacity(4);
        let (kind, rest) = parsed.resource.split_once('/').unwrap_or((parsed.resource, ""));
        let meant = match (parsed.service, kind) {
            ("iam", "root") => MeantAs::Root,
            ("iam", "user") => MeantAs::User,
            ("iam", "role") => MeantAs::Role,
            ("sts", "assumed-role") => {
                let from_session = || {
                    let (name, _) = rest.split_once('/')?;
                    Some(format!("arn:{}:iam::{account}:role/{name}", parsed.partition))
                };
                let role = role.map_or_else(from_session, |role| Some(role.to_owned()))?;
                names.push((role.into(), MeantAs::Role));
                MeantAs::Session
            }
            ("sts", "federated-user") => MeantAs::Session,
            _ => return None,
        };
        let own = meant == MeantAs::Root || !rest.is_empty();
        if !own || !parsed.region.is_empty() {
            return None;
        }
        match meant {
            MeantAs::Root => names.push((account.as_str().into(), MeantAs::Root)),
            _ => {
                names.push((arn.into(), meant));
                names.push((account.as_str().into(), MeantAs::Account));
            }
        }
        let by_id = if meant == MeantAs::User { MeantAs::User } else { MeantAs::Role };
        let has_id = matches!((parsed.service, kind), ("iam", "user" | "role") | ("sts", "assumed-role"));
        names.extend(unique_id.filter(|_| has_id).map(|id| (id.into(), by_id)));
        Some(Self { account, names: names.into() })
    }

    /// The caller's account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Whether it is the root user of its account.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.names.iter().any(|(_, meant)| *meant == MeantAs::Root)
    }

    /// The names, in the form that [`canonical_principal`] gives them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, MeantAs)> {
        self.names.iter().map(|(name, meant)| (&**name, *meant))
    }

    /// What the caller is meant as by a principal in canonical form, if it is meant.
    #[must_use]
    pub fn meant_by(&self, principal: &str) -> Option<MeantAs> {
        self.iter().find(|(name, _)| *name == principal).map(|(_, meant)| meant)
    }
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

    fn names(arn: &str, role: Option<&str>, id: Option<&str>) -> Vec<(String, MeantAs)> {
        let names = PrincipalNames::new(arn, role, id).unwrap();
        names.iter().map(|(name, meant)| (name.to_owned(), meant)).collect()
    }

    fn pairs(expected: &[(&str, MeantAs)]) -> Vec<(String, MeantAs)> {
        expected.iter().map(|(name, meant)| ((*name).to_owned(), *meant)).collect()
    }

    #[test]
    fn a_user_is_meant_by_its_arn_its_id_and_its_account() {
        let arn = "arn:aws:iam::111122223333:user/path/alice";
        let expected =
            pairs(&[(arn, MeantAs::User), ("111122223333", MeantAs::Account), ("AIDAEXAMPLE", MeantAs::User)]);
        assert_eq!(names(arn, None, Some("AIDAEXAMPLE")), expected);
    }

    #[test]
    fn a_session_is_meant_by_itself_its_role_and_its_account() {
        let arn = "arn:aws:sts::111122223333:assumed-role/orders/session";
        for (role, expected) in [
            (None, "arn:aws:iam::111122223333:role/orders"),
            (Some("arn:aws:iam::111122223333:role/team/orders"), "arn:aws:iam::111122223333:role/team/orders"),
        ] {
            let expected = pairs(&[
                (expected, MeantAs::Role),
                (arn, MeantAs::Session),
                ("111122223333", MeantAs::Account),
                ("AROAEXAMPLE", MeantAs::Role),
            ]);
            assert_eq!(names(arn, role, Some("AROAEXAMPLE")), expected);
        }
    }

    #[test]
    fn the_root_user_is_its_account() {
        assert_eq!(
            names("arn:aws:iam::111122223333:root", None, Some("111122223333")),
            pairs(&[("111122223333", MeantAs::Root)])
        );
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
            assert_eq!(PrincipalNames::new(arn, None, None), None, "{arn}");
        }
    }
}
