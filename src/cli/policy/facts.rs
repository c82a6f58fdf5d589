//! The facts of a request that somebody wrote down: those that are given, and those that its caller and its resource
//! imply.
//!
//! Nothing else is made up: a key that is neither given nor implied is absent, as it would be in a request.

use std::borrow::Cow;

use crate::aws::{AccountId, Arn, MeantAs, PrincipalNames};
use crate::policy::{ConditionKey, Fault, RequestContext, Values};

/// Who asks, from an ARN: an account's root, an IAM user, a role, a session of one or a federated user.
#[derive(Clone, Debug)]
pub(super) struct Caller<'a> {
    arn: Cow<'a, str>,
    names: PrincipalNames,
    /// The value of `aws:PrincipalType`.
    principal_type: &'static str,
}

impl<'a> Caller<'a> {
    /// The caller of that ARN.
    ///
    /// # Errors
    ///
    /// What to tell whoever wrote an ARN by which nobody can call.
    pub(super) fn of(arn: impl Into<Cow<'a, str>>) -> Result<Self, Fault> {
        let arn = arn.into();
        let Some(names) = PrincipalNames::of(&arn) else {
            let hint = "write the ARN of a root, user, role, role session or federated user";
            return Err(Fault::new(format!("`{arn}` cannot call"), hint));
        };
        let is = |wanted| names.iter().any(|(_, meant)| meant == wanted);
        // Of a role itself it is the type that its sessions have.
        let principal_type = match () {
            () if is(MeantAs::Root) => "Account",
            () if is(MeantAs::User) => "User",
            () if is(MeantAs::Role) => "AssumedRole",
            () => "FederatedUser",
        };
        Ok(Self { arn, names, principal_type })
    }

    /// Every name by which a key policy can mean it.
    pub(super) const fn names(&self) -> &PrincipalNames {
        &self.names
    }

    /// The value of `aws:PrincipalArn`: of a session its role's ARN.
    fn principal_arn(&self) -> &str {
        self.names.iter().find(|(_, meant)| *meant == MeantAs::Role).map_or(&*self.arn, |(role, _)| role)
    }

    /// The value of `aws:username`: a user's name without its path.
    fn username(&self) -> Option<&str> {
        let name = self.arn.rsplit_once('/').map(|(_, name)| name);
        name.filter(|_| self.principal_type == "User")
    }
}

/// The facts of one request.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    caller: Caller<'a>,
    resource: Cow<'a, str>,
    given: Vec<(ConditionKey, Vec<Cow<'a, str>>)>,
}

impl<'a> Facts<'a> {
    /// What `caller` implies, and `resource`: an ARN or `*`.
    pub(super) fn new(caller: Caller<'a>, resource: impl Into<Cow<'a, str>>) -> Self {
        Self { caller, resource: resource.into(), given: Vec::new() }
    }

    /// Who asks.
    pub(super) const fn caller(&self) -> &Caller<'a> {
        &self.caller
    }

    /// What it asks for.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// Adds the values of a key, which take precedence over what is implied; no values make it absent. Whether the key
    /// was given none before.
    pub(super) fn give(&mut self, key: ConditionKey, values: Vec<Cow<'a, str>>) -> bool {
        let new = self.given.iter().all(|(known, _)| *known != key);
        self.given.push((key, values));
        new
    }

    /// The account that the resource's ARN names.
    fn resource_account(&self) -> Option<&str> {
        Arn::split(&self.resource).map(|[.., account, _]| account).filter(|account| !account.is_empty())
    }

    /// The account whose key the resource is: the caller's where it names none.
    ///
    /// # Errors
    ///
    /// What stands where the account belongs and is none.
    pub(super) fn key_account(&self) -> Result<AccountId, &str> {
        match self.resource_account() {
            None => Ok(self.caller.names.account()),
            Some(account) => account.parse().map_err(|_| account),
        }
    }

    fn implied(&self, key: &ConditionKey) -> Values<'_> {
        use ConditionKey as Key;
        match key {
            Key::PrincipalArn => Values::one(self.caller.principal_arn()),
            Key::PrincipalAccount | Key::CallerAccount => Values::owned(self.caller.names.account().to_string()),
            Key::PrincipalType => Values::one(self.caller.principal_type),
            Key::Username => Values::optional(self.caller.username()),
            Key::ResourceAccount => Values::optional(self.resource_account()),
            _ => Values::Absent,
        }
    }
}

impl RequestContext for Facts<'_> {
    fn values(&self, key: &ConditionKey) -> Values<'_> {
        match self.given.iter().find(|(known, _)| known == key) {
            None => self.implied(key),
            Some((_, values)) => match values.as_slice() {
                [] => Values::Absent,
                [one] => Values::one(one),
                many => Values::many(many.iter().map(|value| &**value)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn facts<'a>(caller: &'a str, resource: &'a str) -> Facts<'a> {
        Facts::new(Caller::of(caller).unwrap(), resource)
    }

    fn implied(caller: &str) -> [Option<String>; 4] {
        let facts = facts(caller, KEY);
        ["aws:PrincipalArn", "aws:PrincipalType", "aws:username", "kms:CallerAccount"].map(|key| {
            match facts.values(&key.parse().unwrap()) {
                Values::One(value) => Some(value.into_owned()),
                _ => None,
            }
        })
    }

    /// The table is that of the IAM user guide, "Where you can use policy variables".
    #[test]
    fn a_caller_implies_what_aws_says_of_it() {
        for (caller, arn, principal_type, username) in [
            ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", "Account", None),
            ("arn:aws:iam::111122223333:user/a/b", "arn:aws:iam::111122223333:user/a/b", "User", Some("b")),
            ("arn:aws:iam::111122223333:role/a/b", "arn:aws:iam::111122223333:role/a/b", "AssumedRole", None),
            ("arn:aws:sts::111122223333:assumed-role/R/S", "arn:aws:iam::111122223333:role/R", "AssumedRole", None),
            (
                "arn:aws:sts::111122223333:federated-user/N",
                "arn:aws:sts::111122223333:federated-user/N",
                "FederatedUser",
                None,
            ),
        ] {
            let expected = [Some(arn), Some(principal_type), username, Some("111122223333")];
            assert_eq!(implied(caller), expected.map(|value| value.map(str::to_owned)), "{caller}");
        }
        assert!(Caller::of("arn:aws:iam::111122223333:group/g").is_err());
    }

    #[test]
    fn what_is_given_takes_precedence_and_can_be_nothing() {
        let mut facts = facts("arn:aws:iam::111122223333:user/b", KEY);
        let username: ConditionKey = "aws:username".parse().unwrap();
        assert_eq!(facts.values(&username), Values::one("b"));
        assert!(facts.give("AWS:UserName".parse().unwrap(), Vec::new()));
        assert_eq!(facts.values(&username), Values::Absent);
        assert!(!facts.give(username, Vec::new()));
    }

    #[test]
    fn the_account_of_a_resource_is_its_own_or_the_callers() {
        let caller = "arn:aws:iam::111122223333:user/b";
        for (resource, account, implied) in [
            (KEY, Ok("444455556666"), Some("444455556666")),
            ("*", Ok("111122223333"), None),
            ("arn:aws:s3:::bucket", Ok("111122223333"), None),
            ("arn:aws:kms:us-east-1:1:key/a", Err("1"), Some("1")),
        ] {
            let facts = facts(caller, resource);
            let known = facts.key_account();
            assert_eq!(known.as_ref().map(AccountId::as_str).map_err(|wrong| *wrong), account);
            assert_eq!(facts.values(&ConditionKey::ResourceAccount), Values::optional(implied));
        }
    }
}
