//! Grants of one key: to a role each, and all to one role.

use std::sync::Arc;

use kmsgate::aws::{EncryptionContext, GrantId, KeyArn};
use kmsgate::clock::Timestamp;
use kmsgate::grants::{Constraint, Grant, GrantOperation, Grants};
use kmsgate::policy::{Granted, KeyPolicy, Kind};

use crate::Outcome;
use crate::documents::{account, key_arn, role, session, tenant};
use crate::population::scrambled;
use crate::question::{FindGrant, Question, Verdict};
use crate::series::{DATA_KEY, Make, OTHER_TENANT, facts};

const MADE: Timestamp = Timestamp::from_unix_seconds(1_764_000_000);

/// Each to a role of its own.
pub(crate) fn to_many(size: usize) -> Outcome<Make> {
    of_one_key(size, |member| member)
}

/// All to one role, each for the encryption context of another tenant.
pub(crate) fn to_one(size: usize) -> Outcome<Make> {
    of_one_key(size, |_| 0)
}

/// Grants of one key, whose policy lets nobody in: `grantee` says to which role a member's is.
fn of_one_key(size: usize, grantee: fn(usize) -> usize) -> Outcome<Make> {
    let mut grants = Grants::default();
    for member in 0..size {
        grants.insert(Arc::new(grant(member, grantee(member))?), None);
    }
    let (grants, account) = (Arc::new(grants), account()?);
    let nobody = Arc::new(KeyPolicy::default());
    Ok(Box::new(move |member, refused| {
        let named = if refused { OTHER_TENANT.to_owned() } else { tenant(member) };
        let context = pairs(&[("purpose", "orders"), ("tenant", &named)])?;
        let caller = session(grantee(member))?;
        let (all, asking) = (Arc::clone(&grants), Arc::clone(&caller));
        let find: FindGrant = Arc::new(move |request| {
            let operation = GrantOperation::from_action(request.action)?;
            let (grant, to) = all.allowing(&asking, operation, &context, MADE, &[])?;
            Some(Granted { id: grant.id, to })
        });
        let allowed = Verdict::Allow { key: None, identity: None, grant: true };
        Ok(Question {
            action: DATA_KEY,
            resource: key_arn(0),
            caller,
            facts: facts(member, named),
            guardrail: None,
            key: Some((Arc::clone(&nobody), account)),
            boundary: None,
            identity: Vec::new().into(),
            grant: Some(find),
            expected: if refused { Verdict::ImplicitDeny(Kind::Key) } else { allowed },
        })
    }))
}

fn grant(member: usize, grantee: usize) -> Outcome<Grant> {
    let key: KeyArn = key_arn(0).parse()?;
    let constraint = pairs(&[("tenant", &tenant(member))])?;
    let mut id = [0; 32];
    for (place, number) in id.chunks_mut(8).zip(0_u64..) {
        place.copy_from_slice(&scrambled(4 * member as u64 + number).to_be_bytes());
    }
    Ok(Grant {
        id: GrantId::from_bytes(id),
        key,
        name: "".into(),
        created: MADE,
        grantee: role(grantee).into(),
        retiring: None,
        issuing_account: account()?,
        operations: [GrantOperation::Decrypt, GrantOperation::GenerateDataKeyWithoutPlaintext].into_iter().collect(),
        constraint: Some(Constraint::EncryptionContextSubset(constraint)),
    })
}

fn pairs(pairs: &[(&str, &str)]) -> Outcome<EncryptionContext> {
    let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    EncryptionContext::from_pairs(owned.collect()).map_err(|_| "a pair stands twice".into())
}
