//! Principals and their access keys as requests are judged by them: everything that can be worked out before a
//! request comes is worked out here, once.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::principal_arn::PrincipalArn;
use crate::audit::user_identity;
use crate::aws::{AccessKeyId, PrincipalNames, Region, Tags};
use crate::clock::Timestamp;
use crate::limits::Subject;
use crate::policy::Compiled;
use crate::secret::Secret;
use crate::sigv4::{ScopeDate, SigningKey};

/// Who may call, and what its identity policies are.
#[derive(Debug)]
pub struct Principal {
    /// Its ARN, under each of its names.
    pub arn: PrincipalArn,
    /// The value of `aws:userid`.
    pub user_id: Box<str>,
    /// Its tags, for `aws:PrincipalTag/KEY`.
    pub tags: Tags,
    /// Every name by which a key policy or a grant can mean it.
    pub names: PrincipalNames,
    /// Its own policies, then those of its groups; shared with others that have them.
    pub policies: Vec<Arc<Compiled>>,
    /// Its permissions boundary, if it has one.
    pub boundary: Option<Arc<Compiled>>,
    /// The policy of its session, if it is a session and has one.
    pub session_policy: Option<Arc<Compiled>>,
    /// Until when what its policies do not allow is reported and not refused, for data-key calls.
    pub danger_report_only_until: Option<Timestamp>,
    /// Whose quota its requests use up.
    pub quota: Subject,
}

impl Principal {
    /// A principal with its unique id, as given or derived, and neither boundary nor session policy.
    #[must_use]
    pub fn new(arn: PrincipalArn, unique_id: &str, tags: Tags, policies: Vec<Arc<Compiled>>) -> Self {
        let (user_id, quota) = (arn.user_id(unique_id).into(), Subject::of(arn.caller()));
        let names = arn.names(unique_id);
        Self {
            arn,
            user_id,
            tags,
            names,
            policies,
            quota,
            boundary: None,
            session_policy: None,
            danger_report_only_until: None,
        }
    }
}

/// One access key of a principal.
pub struct AccessKey {
    /// Whom a request signed with it comes from.
    pub principal: Arc<Principal>,
    /// `userIdentity` of the audit records of requests signed with it.
    pub user_identity: Arc<str>,
    /// What its signatures are made with.
    pub secret: SecretAccessKey,
}

impl AccessKey {
    /// A key of `principal`, whose unique id the records name.
    #[must_use]
    pub fn new(principal: &Arc<Principal>, unique_id: &str, id: &AccessKeyId, secret: Secret<String>) -> Self {
        Self {
            user_identity: user_identity(principal.arn.caller(), unique_id, id.as_str(), None),
            principal: Arc::clone(principal),
            secret: SecretAccessKey::new(secret),
        }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("principal", &self.principal.arn.caller()).finish_non_exhaustive()
    }
}

/// A secret access key, and the signing keys of the newest day it was used on.
#[derive(Debug)]
pub struct SecretAccessKey {
    secret: Secret<String>,
    newest: ArcSwapOption<SigningKeys>,
}

/// The signing keys of one day: one for each region that was called, of those that the gateway serves.
#[derive(Debug)]
struct SigningKeys {
    date: ScopeDate,
    keys: Vec<(Region, Arc<SigningKey>)>,
}

impl SigningKeys {
    fn of(&self, region: &Region) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|(own, _)| own == region).map(|(_, key)| key)
    }

    /// These, if they are of the day of `date`, and one more.
    fn with(kept: Option<&Self>, date: ScopeDate, region: &Region, key: &Arc<SigningKey>) -> Self {
        let others = kept.filter(|kept| kept.date == date).into_iter().flat_map(|kept| &kept.keys);
        let others = others.filter(|(other, _)| other != region).cloned();
        Self { date, keys: others.chain([(region.clone(), Arc::clone(key))]).collect() }
    }
}

impl SecretAccessKey {
    /// A secret that was not used yet.
    #[must_use]
    pub fn new(secret: Secret<String>) -> Self {
        Self { secret, newest: ArcSwapOption::empty() }
    }

    /// The key that signs on `date` for `region`, one that is served, derived at its first use that day.
    ///
    /// For five minutes around midnight clients may be on either day; the newer day's keys are kept.
    #[must_use]
    pub fn signing_key(&self, date: ScopeDate, region: &Region) -> Arc<SigningKey> {
        if let Some(kept) = &*self.newest.load()
            && kept.date == date
            && let Some(key) = kept.of(region)
        {
            return Arc::clone(key);
        }
        let derived = Arc::new(SigningKey::derive(self.secret.expose(), date, region, "kms"));
        self.newest.rcu(|kept| match kept {
            Some(newer) if newer.date > date => Some(Arc::clone(newer)),
            kept => Some(Arc::new(SigningKeys::with(kept.as_deref(), date, region, &derived))),
        });
        derived
    }
}

/// Every access key that is known, and every principal; does not change.
#[derive(Debug, Default)]
pub struct Credentials {
    keys: HashMap<AccessKeyId, Arc<AccessKey>>,
    /// Every name of every principal, as [`PrincipalNames`] has them, and of each session what stands before its name.
    principals: HashSet<Box<str>>,
}

impl Credentials {
    /// The access key of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<AccessKey>> {
        self.keys.get(id)
    }

    /// Whether there is such a principal: an account, user, role or unique id in the form of
    /// [`canonical_principal`](crate::aws::canonical_principal), or any session of a role that there is.
    #[must_use]
    pub fn knows(&self, principal: &str) -> bool {
        self.principals.contains(principal) || self.principals.contains(without_session_name(principal))
    }

    /// Every principal that has an access key; some more than once.
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.keys.values().map(|key| &key.principal)
    }

    /// How many access keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl FromIterator<(AccessKeyId, Arc<AccessKey>)> for Credentials {
    fn from_iter<I: IntoIterator<Item = (AccessKeyId, Arc<AccessKey>)>>(keys: I) -> Self {
        let keys: HashMap<_, _> = keys.into_iter().collect();
        let mut principals = HashSet::new();
        for key in keys.values() {
            let Principal { names, arn, .. } = &*key.principal;
            principals.extend(names.iter().map(|(name, _)| name.into()));
            // A session of a role that there is may begin at any time, under any name.
            principals.insert(without_session_name(arn.caller()).into());
        }
        Self { keys, principals }
    }
}

/// The ARN of a session up to its name; anything else as it is.
fn without_session_name(principal: &str) -> &str {
    match principal.rsplit_once('/') {
        Some((role, _)) if role.contains(":assumed-role/") => role,
        _ => principal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    // AWS's documented example key.
    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn key() -> AccessKey {
        let arn = "arn:aws:iam::111122223333:user/orders".parse().unwrap();
        let principal = Arc::new(Principal::new(arn, "AIDACKCEVSQ6C2EXAMPLE", Tags::default(), Vec::new()));
        AccessKey::new(&principal, "AIDACKCEVSQ6C2EXAMPLE", &ID.parse().unwrap(), Secret::new(SECRET.to_owned()))
    }

    #[test]
    fn a_signing_key_is_derived_once_a_day_and_the_day_before_does_not_drive_it_out() {
        let (key, region) = (key().secret, "us-east-1".parse().unwrap());
        let day = |text| ScopeDate::of(Timestamp::parse_basic(text).unwrap());
        let (before, after) = (day("20261123T235959Z"), day("20261124T000000Z"));
        let first = key.signing_key(after, &region);
        assert!(Arc::ptr_eq(&first, &key.signing_key(after, &region)));
        let of_before = key.signing_key(before, &region);
        assert!(!Arc::ptr_eq(&of_before, &key.signing_key(before, &region)), "the day before is not kept");
        assert!(Arc::ptr_eq(&first, &key.signing_key(after, &region)));
    }

    #[test]
    fn each_region_has_a_signing_key_of_its_own_and_none_drives_out_another() {
        let (key, day) = (key().secret, ScopeDate::of(Timestamp::parse_basic("20261123T182241Z").unwrap()));
        let regions = ["us-east-1", "eu-west-1", "ap-south-1"].map(|name| name.parse::<Region>().unwrap());
        let keys = regions.each_ref().map(|region| key.signing_key(day, region));
        for (region, first) in regions.iter().zip(&keys) {
            assert!(Arc::ptr_eq(first, &key.signing_key(day, region)), "{region}");
        }
        assert_eq!(key.newest.load().as_ref().unwrap().keys.len(), 3);
    }

    #[test]
    fn who_is_known_has_an_access_key_or_is_its_account_or_another_session() {
        let of = |arn: &str, id: &str| {
            let arn: PrincipalArn = arn.parse().unwrap();
            let principal = Arc::new(Principal::new(arn, "AIDACKCEVSQ6C2EXAMPLE", Tags::default(), Vec::new()));
            let secret = Secret::new(SECRET.to_owned());
            let id: AccessKeyId = id.parse().unwrap();
            let key = AccessKey::new(&principal, "AIDACKCEVSQ6C2EXAMPLE", &id, secret);
            (id, Arc::new(key))
        };
        let credentials: Credentials = [
            of("arn:aws:iam::111122223333:user/team/orders", ID),
            of("arn:aws:iam::111122223333:role/team/bills", "AKIAI44QH8DHBEXAMPLE"),
            of("arn:aws:sts::444455556666:assumed-role/reports/one", "AKIAI44QH8DHCEXAMPLE"),
        ]
        .into_iter()
        .collect();
        for known in [
            "111122223333",
            "444455556666",
            "arn:aws:iam::111122223333:user/team/orders",
            "arn:aws:iam::111122223333:role/team/bills",
            "arn:aws:sts::111122223333:assumed-role/bills/any",
            "arn:aws:iam::444455556666:role/reports",
            "arn:aws:sts::444455556666:assumed-role/reports/one",
            "arn:aws:sts::444455556666:assumed-role/reports/two",
        ] {
            assert!(credentials.knows(known), "{known}");
        }
        for unknown in [
            "222233334444",
            "arn:aws:iam::111122223333:user/orders",
            "arn:aws:iam::111122223333:user/team/orders/more",
            "arn:aws:iam::111122223333:role/bills",
            "arn:aws:iam::444455556666:user/team/orders",
            "arn:aws:sts::111122223333:assumed-role/orders/any",
            "arn:aws:sts::111122223333:assumed-role/bills/any/more",
            "*",
            "",
        ] {
            assert!(!credentials.knows(unknown), "{unknown}");
        }
    }

    #[test]
    fn a_key_prints_no_secret() {
        assert!(!format!("{:?}", key()).contains("wJalr"));
    }
}
