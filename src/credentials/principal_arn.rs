//! The ARN of a principal, parsed: who calls, under each of the names that AWS gives a caller.
//!
//! Error messages and audit records name the caller's own ARN, policies see `aws:PrincipalArn`; for a role
//! session the two differ. The table is in the IAM user guide, "Where you can use policy variables".

use std::fmt;
use std::str::FromStr;

use crate::aws::{AccountId, Arn, PrincipalNames};

/// The session of a role that has static access keys and names no session of its own.
pub const DEFAULT_SESSION_NAME: &str = "kmsgate";

/// A principal that may hold access keys: an account's root, an IAM user, or a session of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalArn {
    account: AccountId,
    kind: Kind,
    caller: Box<str>,
    condition: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    User { name: Box<str> },
    Session { role_name: Box<str>, session_name: Box<str> },
}

/// The value of `aws:PrincipalType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalType {
    /// The account's root user.
    Account,
    /// An IAM user.
    User,
    /// A session of a role.
    AssumedRole,
}

impl PrincipalType {
    /// As policies spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::User => "User",
            Self::AssumedRole => "AssumedRole",
        }
    }
}

impl PrincipalArn {
    /// The caller's ARN, as in messages, in CloudTrail and in `GetCallerIdentity`.
    #[must_use]
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// The value of `aws:PrincipalArn`: for a session the ARN of its role.
    #[must_use]
    pub fn condition_value(&self) -> &str {
        &self.condition
    }

    /// The account that the principal belongs to.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The value of `aws:username`: an IAM user's name without its path; others have none.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match &self.kind {
            Kind::User { name } => Some(name),
            Kind::Root | Kind::Session { .. } => None,
        }
    }

    /// The value of `aws:PrincipalType`.
    #[must_use]
    pub const fn principal_type(&self) -> PrincipalType {
        match self.kind {
            Kind::Root => PrincipalType::Account,
            Kind::User { .. } => PrincipalType::User,
            Kind::Session { .. } => PrincipalType::AssumedRole,
        }
    }

    /// For a session: the names of its role and of the session.
    #[must_use]
    pub fn session(&self) -> Option<(&str, &str)> {
        match &self.kind {
            Kind::Session { role_name, session_name } => Some((role_name, session_name)),
            Kind::Root | Kind::User { .. } => None,
        }
    }

    /// Every name by which a key policy or a grant can mean it, given the unique id of the user or the role.
    #[must_use]
    pub fn names(&self, unique_id: &str) -> PrincipalNames {
        match &self.kind {
            Kind::Root => PrincipalNames::root(self.account),
            Kind::User { .. } => PrincipalNames::user(self.account, &self.caller, unique_id),
            Kind::Session { .. } => {
                PrincipalNames::session(self.account, &self.caller, &self.condition, Some(unique_id))
            }
        }
    }

    /// The value of `aws:userid`, given the unique id of the user or the role.
    #[must_use]
    pub fn user_id(&self, unique_id: &str) -> String {
        match &self.kind {
            Kind::Root => self.account.as_str().to_owned(),
            Kind::User { .. } => unique_id.to_owned(),
            Kind::Session { session_name, .. } => format!("{unique_id}:{session_name}"),
        }
    }

    /// The same principal; if its ARN was a role's, in a session named `session_name`.
    ///
    /// # Errors
    ///
    /// [`InvalidPrincipalArn`] if the name is not one of a session or the principal is no session.
    pub fn with_session(&self, session_name: &str) -> Result<Self, InvalidPrincipalArn> {
        let Kind::Session { role_name, .. } = &self.kind else { return Err(InvalidPrincipalArn::NoRole) };
        let partition = Arn::parse(&self.caller).map_err(|_| InvalidPrincipalArn::Form)?.partition;
        let name = checked_name(session_name, 2..=64)?;
        Ok(Self {
            account: self.account,
            caller: format!("arn:{partition}:sts::{}:assumed-role/{role_name}/{name}", self.account).into(),
            condition: self.condition.clone(),
            kind: Kind::Session { role_name: role_name.clone(), session_name: name.into() },
        })
    }
}

impl FromStr for PrincipalArn {
    type Err = InvalidPrincipalArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let arn = Arn::parse(text).map_err(|_| InvalidPrincipalArn::Form)?;
        let account: AccountId = arn.account.parse().map_err(|_| InvalidPrincipalArn::Account)?;
        if !arn.region.is_empty() {
            return Err(InvalidPrincipalArn::Region);
        }
        let new = |kind, condition: &str| Self { account, kind, caller: text.into(), condition: condition.into() };
        match (arn.service, arn.resource.split_once('/')) {
            ("iam", None) if arn.resource == "root" => Ok(new(Kind::Root, text)),
            ("iam", Some(("user", rest))) => Ok(new(Kind::User { name: last_of_path(rest, 64)?.into() }, text)),
            ("iam", Some(("role", rest))) => {
                let role_name = last_of_path(rest, 64)?.into();
                new(Kind::Session { role_name, session_name: "".into() }, text).with_session(DEFAULT_SESSION_NAME)
            }
            ("sts", Some(("assumed-role", rest))) => {
                let (role, session) = rest.split_once('/').ok_or(InvalidPrincipalArn::Form)?;
                let role_name = checked_name(role, 1..=64)?.into();
                let session_name = checked_name(session, 2..=64)?.into();
                let role_arn = format!("arn:{}:iam::{account}:role/{role}", arn.partition);
                Ok(new(Kind::Session { role_name, session_name }, &role_arn))
            }
            _ => Err(InvalidPrincipalArn::Form),
        }
    }
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.caller)
    }
}

/// The text names no principal that may hold access keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipalArn {
    /// Neither a root, a user, a role nor a role's session.
    #[error("it is not the ARN of a root, user, role or assumed-role session")]
    Form,
    /// The account is not twelve digits.
    #[error("its account id does not have exactly 12 digits")]
    Account,
    /// IAM is global: its ARNs have no region.
    #[error("the ARN of a principal has no region")]
    Region,
    /// IAM's `[\w+=,.@-]+`, and the lengths of user, role and session names.
    #[error("a name has 1 to 64 (a session's: 2 to 64) letters, digits or characters of `_+=,.@-`")]
    Name,
    /// Only a role has sessions.
    #[error("only a role has sessions")]
    NoRole,
}

/// The name at the end of `path/to/name`; the path may be missing.
fn last_of_path(path_and_name: &str, longest: usize) -> Result<&str, InvalidPrincipalArn> {
    let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
    // IAM's path: printable ASCII, 512 characters; an empty part would make two spellings of one principal.
    let clean = path.bytes().all(|byte| byte.is_ascii_graphic()) && path.len() <= 510;
    let empty_part = path.split('/').any(str::is_empty) && !path.is_empty();
    if !clean || empty_part || path_and_name.starts_with('/') {
        return Err(InvalidPrincipalArn::Name);
    }
    checked_name(name, 1..=longest)
}

fn checked_name(name: &str, length: std::ops::RangeInclusive<usize>) -> Result<&str, InvalidPrincipalArn> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if length.contains(&name.len()) && name.bytes().all(allowed) { Ok(name) } else { Err(InvalidPrincipalArn::Name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PrincipalArn {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_kind_of_principal_has_its_names_of_the_iam_user_guide() {
        // caller, aws:PrincipalArn, aws:userid, aws:username, aws:PrincipalType
        let rows = [
            (
                "arn:aws:iam::111122223333:root",
                "arn:aws:iam::111122223333:root",
                "arn:aws:iam::111122223333:root",
                "111122223333",
                None,
                "Account",
            ),
            (
                "arn:aws:iam::111122223333:user/team/a/alice",
                "arn:aws:iam::111122223333:user/team/a/alice",
                "arn:aws:iam::111122223333:user/team/a/alice",
                "ID",
                Some("alice"),
                "User",
            ),
            (
                "arn:aws:iam::111122223333:role/service/orders",
                "arn:aws:sts::111122223333:assumed-role/orders/kmsgate",
                "arn:aws:iam::111122223333:role/service/orders",
                "ID:kmsgate",
                None,
                "AssumedRole",
            ),
            (
                "arn:aws-cn:sts::111122223333:assumed-role/orders/i-0123",
                "arn:aws-cn:sts::111122223333:assumed-role/orders/i-0123",
                "arn:aws-cn:iam::111122223333:role/orders",
                "ID:i-0123",
                None,
                "AssumedRole",
            ),
        ];
        for (text, caller, condition, user_id, username, principal_type) in rows {
            let arn = parsed(text);
            assert_eq!(arn.caller(), caller);
            assert_eq!(arn.condition_value(), condition);
            assert_eq!(arn.user_id("ID"), user_id);
            assert_eq!(arn.username(), username);
            assert_eq!(arn.principal_type().as_str(), principal_type);
            assert_eq!(arn.account().as_str(), "111122223333");
        }
    }

    #[test]
    fn a_role_takes_the_session_it_is_given_and_a_user_none() {
        let role = parsed("arn:aws:iam::111122223333:role/service/orders").with_session("pod-7").unwrap();
        assert_eq!(role.caller(), "arn:aws:sts::111122223333:assumed-role/orders/pod-7");
        assert_eq!(role.condition_value(), "arn:aws:iam::111122223333:role/service/orders");
        assert_eq!(role.session(), Some(("orders", "pod-7")));
        assert_eq!(role.with_session("x"), Err(InvalidPrincipalArn::Name));
        let user = parsed("arn:aws:iam::111122223333:user/alice");
        assert_eq!(user.with_session("pod-7"), Err(InvalidPrincipalArn::NoRole));
    }

    #[test]
    fn what_cannot_hold_access_keys_is_refused() {
        use InvalidPrincipalArn::{Account, Form, Name, Region};
        for (text, error) in [
            ("", Form),
            ("alice", Form),
            ("*", Form),
            ("arn:aws:iam::111122223333:group/a", Form),
            ("arn:aws:iam::111122223333:user", Form),
            ("arn:aws:iam::111122223333:root/a", Form),
            ("arn:aws:s3::111122223333:user/a", Form),
            ("arn:aws:sts::111122223333:assumed-role/a", Form),
            ("arn:aws:sts::111122223333:role/a", Form),
            ("arn:aws:iam::1:user/a", Account),
            ("arn:aws:iam:us-east-1:111122223333:user/a", Region),
            ("arn:aws:iam::111122223333:user/", Name),
            ("arn:aws:iam::111122223333:user//a", Name),
            ("arn:aws:iam::111122223333:user/p//a", Name),
            ("arn:aws:iam::111122223333:user/a*", Name),
            ("arn:aws:iam::111122223333:user/a b", Name),
            ("arn:aws:iam::111122223333:user/ä", Name),
            ("arn:aws:sts::111122223333:assumed-role/a/b/c", Name),
            ("arn:aws:sts::111122223333:assumed-role/a/b", Name),
        ] {
            assert_eq!(text.parse::<PrincipalArn>(), Err(error), "{text}");
        }
    }
}
