//! `CreateGrant`, `RetireGrant` and `RevokeGrant`, and the grant tokens of requests. The lists are in
//! [`grant_pages`](super::grant_pages).
//!
//! A grant that was retired or revoked is gone at once, for everybody and every token. One that was made is seen at once
//! too, unless the site's propagation delay says otherwise; its token is good at once.

use std::sync::Arc;
use std::time::Duration;

use super::changes::{Edit, Planned};
use super::key::KeyView;
use super::key_spec::KeyUsage;
use super::operations::Change;
use super::records::Records;
use super::requester::Requester;
use super::{LocalBackend, Site, states};
use crate::aws::{GrantId, Member, Operation, PrincipalNames, canonical_principal};
use crate::clock::Timestamp;
use crate::grants::{
    Constraint, Grant, GrantOperation, GrantOperations, MOST_CONSTRAINT_BYTES, StoreKnowledge, honoured,
};
use crate::kms::{Answer, Exception, Input, JsonObject};
use crate::random;

/// AWS's quota of grants for each key.
const MOST_GRANTS: usize = 50_000;
/// AWS's quotas of a constraint: its pairs, and the characters of a value (API reference, `GrantConstraints`).
const MOST_PAIRS: usize = 8;
const LONGEST_VALUE: usize = 384;

/// The grants that a request's tokens stand for, whosever they are and whether or not they are still there: a token adds
/// nothing that the key's grants do not have.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<GrantId>);

impl Tokens {
    /// Their ids.
    #[must_use]
    pub fn ids(&self) -> &[GrantId] {
        &self.0
    }
}

impl LocalBackend {
    /// For so long a new grant is used by its token alone, as at AWS, where it may take up to five minutes: a program that
    /// forgets the token then fails in its tests. To be said before anything is asked; zero otherwise. Grants that are in
    /// the store when it is opened are seen at once.
    #[must_use]
    pub fn with_grant_propagation_delay(mut self, delay: Duration) -> Self {
        self.site.grant_propagation_delay = delay;
        self
    }

    /// What the request's `GrantTokens` stand for.
    ///
    /// # Errors
    ///
    /// `InvalidGrantTokenException` if one of them was not made by this store.
    pub fn open_grant_tokens(&self, input: &Input) -> Result<Tokens, Exception> {
        let tokens = input.strings(Member::GrantTokens).iter();
        tokens.map(|token| Ok(self.records.open_grant_token(token)?.grant.id)).collect::<Result<_, _>>().map(Tokens)
    }
}

/// Plans `CreateGrant`. The order of the checks is not recorded from KMS beyond that of all operations: the request's own
/// faults, the key's usage, its state, and last the dry run.
pub(super) fn create(c: &Change<'_>) -> Planned {
    let key = super::current(c.directory, c.keys)?;
    let asked = asked(c, key)?;
    states::permits(c.input.operation(), key)?;
    passed_on(c.requester, key, &asked)?;
    let earlier = key.grants.same_as(&asked).map(Arc::clone);
    if earlier.is_none() && key.grants.len() >= MOST_GRANTS {
        // KMS's text is not recorded.
        let arn = key.arn.as_str();
        return Err(Exception::limit_exceeded(format!("{arn} has {MOST_GRANTS} grants, which is the quota.")));
    }
    not_dry(c.input)?;
    let delay = c.site.grant_propagation_delay;
    let visible_from = (!delay.is_zero()).then(|| c.now.plus(delay));
    let (grant, edits) = if let Some(earlier) = earlier {
        (earlier, Vec::new())
    } else {
        let grant = Arc::new(asked);
        (Arc::clone(&grant), vec![Edit::PutGrant(grant, visible_from)])
    };
    let (token, id) = (c.records.seal_grant_token(&grant, c.now)?, grant.id.hex());
    let body = JsonObject::with_capacity(1024).text("GrantToken", &token).text("GrantId", id.as_str()).finish();
    Ok((edits, Answer::new(body)))
}

/// Plans `RetireGrant` and `RevokeGrant`.
pub(super) fn remove(c: &Change<'_>) -> Planned {
    let key = super::current(c.directory, c.keys)?;
    let grant = named(c.records, c.input, key, c.now)?;
    states::permits(c.input.operation(), key)?;
    not_dry(c.input)?;
    let answer = Answer { grant_id: Some(grant.id.to_string().into()), ..Answer::empty() };
    Ok((vec![Edit::RemoveGrant(key.arn.clone(), grant.id)], answer))
}

/// The grant of this key that a request names by its id or, to be retired, by a token. What KMS answers where there is no
/// such grant is not recorded.
pub(super) fn named(records: &Records, input: &Input, key: &KeyView, now: Timestamp) -> Result<Arc<Grant>, Exception> {
    if let Some(token) = input.string(Member::GrantToken) {
        return retired_by(records, token, Some(key), now);
    }
    let text = input.string(Member::GrantId).unwrap_or_default();
    let id = id(text)?;
    key.grants.get(id).map(Arc::clone).ok_or_else(|| match input.operation() {
        Operation::RevokeGrant => Exception::not_found_grant(text, key.arn.as_str()),
        _ => Exception::invalid_grant_id(text),
    })
}

/// The grant of this key that a token stands for. This store is whole: what it does not have is gone.
pub(super) fn retired_by(
    records: &Records,
    token: &str,
    key: Option<&KeyView>,
    now: Timestamp,
) -> Result<Arc<Grant>, Exception> {
    let token = records.open_grant_token(token)?;
    let key = key.filter(|key| key.arn == token.grant.key);
    let grant = key.and_then(|key| key.grants.get(token.grant.id));
    let grant = honoured(&token, grant.map_or(StoreKnowledge::Gone, StoreKnowledge::Has), now);
    grant.map(Arc::clone).ok_or_else(Exception::invalid_grant_token)
}

/// How `RetireGrant` names its grant: by a token alone, or by key and id.
///
/// # Errors
///
/// `ValidationException` for anything else. KMS's text is not recorded, nor whether it takes both.
pub(super) fn token_to_retire(input: &Input) -> Result<Option<&str>, Exception> {
    let text = |member| input.string(member);
    match (text(Member::GrantToken), text(Member::KeyId), text(Member::GrantId)) {
        (Some(token), None, None) => Ok(Some(token)),
        (None, Some(_), Some(_)) => Ok(None),
        _ => Err(Exception::validation("Specify either a grant token, or a key ID and a grant ID.")),
    }
}

/// A grant's id, as it is filtered by and named by.
pub(super) fn id(text: &str) -> Result<GrantId, Exception> {
    text.parse().map_err(|_| Exception::invalid_grant_id(text))
}

/// The names of a principal that a grant can have.
///
/// # Errors
///
/// `InvalidArnException` for others: groups, services, ids, `*`.
pub(super) fn principal(text: &str) -> Result<PrincipalNames, Exception> {
    PrincipalNames::of(text).ok_or_else(|| Exception::invalid_principal(text))
}

/// The grant that is asked for, if the request contradicts neither itself nor the key.
fn asked(c: &Change<'_>, key: &KeyView) -> Result<Grant, Exception> {
    let input = c.input;
    to_no_service(input)?;
    let of = |member| input.string(member).map(|text| known(c.requester, c.site, text)).transpose();
    let (grantee, retiring) = (of(Member::GranteePrincipal)?, of(Member::RetiringPrincipal)?);
    let operations = operations(input, key)?;
    Ok(Grant {
        id: random::bytes().map(GrantId::from_bytes)?,
        key: key.arn.clone(),
        name: input.string(Member::Name).unwrap_or_default().into(),
        created: c.now,
        grantee: grantee.unwrap_or_default().into(),
        retiring: retiring.map(Into::into),
        issuing_account: c.requester.principal.arn.account(),
        operations,
        constraint: constraint(input, key)?,
    })
}

/// A grant without what was asked for would allow more than was meant.
fn to_no_service(input: &Input) -> Result<(), Exception> {
    let services = [Member::GranteeServicePrincipal, Member::RetiringServicePrincipal];
    if services.into_iter().any(|member| input.string(member).is_some()) || input.source_arn().is_some() {
        return Err(Exception::unsupported("Grants to AWS services are not served by kmsgate's local backend."));
    }
    Ok(())
}

/// A principal that is there, or may be. KMS knows all of them.
fn known<'i>(requester: &Requester, site: &Site, text: &'i str) -> Result<&'i str, Exception> {
    principal(text)?;
    let canonical = canonical_principal(text);
    let known = canonical == site.account.as_str() || requester.knows(canonical);
    if known { Ok(text) } else { Err(Exception::invalid_principal(text)) }
}

/// What is to be granted. The texts for no operation and for those of other keys are not recorded from KMS.
fn operations(input: &Input, key: &KeyView) -> Result<GrantOperations, Exception> {
    let names = input.strings(Member::Operations).iter();
    let asked: GrantOperations = names.filter_map(|name| GrantOperation::from_name(name)).collect();
    if asked.is_empty() {
        return Err(Exception::validation("A grant needs at least one operation."));
    }
    if asked == [GrantOperation::CreateGrant].into_iter().collect() {
        return Err(Exception::only_create_grant());
    }
    match asked.without(of_kind(key)).iter().next() {
        None => Ok(asked),
        Some(operation) => Err(Exception::validation(format!(
            "{} has the key spec {} and the key usage {}, for which a grant cannot allow {}.",
            key.arn,
            key.spec.name(),
            key.usage.name(),
            operation.name()
        ))),
    }
}

/// What grants of such a key can allow (developer guide, "Grant operations").
fn of_kind(key: &KeyView) -> GrantOperations {
    use GrantOperation as Op;
    let own: &[Op] = match key.usage {
        KeyUsage::EncryptDecrypt if key.spec.symmetric() => &[
            Op::Encrypt,
            Op::Decrypt,
            Op::ReEncryptFrom,
            Op::ReEncryptTo,
            Op::GenerateDataKey,
            Op::GenerateDataKeyWithoutPlaintext,
            Op::GenerateDataKeyPair,
            Op::GenerateDataKeyPairWithoutPlaintext,
        ],
        KeyUsage::EncryptDecrypt => &[Op::Encrypt, Op::Decrypt, Op::ReEncryptFrom, Op::ReEncryptTo, Op::GetPublicKey],
        KeyUsage::SignVerify => &[Op::Sign, Op::Verify, Op::GetPublicKey],
        KeyUsage::GenerateVerifyMac => &[Op::GenerateMac, Op::VerifyMac],
        KeyUsage::KeyAgreement => &[Op::DeriveSharedSecret, Op::GetPublicKey],
    };
    own.iter().copied().chain([Op::CreateGrant, Op::RetireGrant, Op::DescribeKey]).collect()
}

/// The constraint asked for. No text of its refusals is recorded from KMS, and neither is that it takes two.
fn constraint(input: &Input, key: &KeyView) -> Result<Option<Constraint>, Exception> {
    let (pairs, constraint) = match input.constraints() {
        [None, None] => return Ok(None),
        [Some(pairs), None] => (pairs, Constraint::EncryptionContextEquals(pairs.clone())),
        [None, Some(pairs)] => (pairs, Constraint::EncryptionContextSubset(pairs.clone())),
        [Some(_), Some(_)] => {
            let text = "EncryptionContextEquals and EncryptionContextSubset may not be sent together.";
            return Err(Exception::validation(text));
        }
    };
    if !key.spec.symmetric() {
        let text = format!("{} has no encryption context for a grant to constrain.", key.arn);
        return Err(Exception::validation(text));
    }
    let text = if pairs.len() > MOST_PAIRS {
        format!("A grant constraint has at most {MOST_PAIRS} encryption context pairs.")
    } else if pairs.iter().any(|(_, value)| value.chars().count() > LONGEST_VALUE) {
        format!("A value of a grant constraint has at most {LONGEST_VALUE} characters.")
    } else if pairs.text_bytes() > MOST_CONSTRAINT_BYTES {
        // Ours: a grant token holds it.
        format!("The pairs of a grant constraint have at most {MOST_CONSTRAINT_BYTES} bytes together.")
    } else {
        return Ok(Some(constraint));
    };
    Err(Exception::validation(text))
}

/// Refuses what is more than the grant that lets the caller make grants. Which error KMS answers is not recorded.
fn passed_on(requester: &Requester, key: &KeyView, asked: &Grant) -> Result<(), Exception> {
    let Some(through) = requester.through else { return Ok(()) };
    // It may have been retired since the call was judged.
    let parent = key.grants.get(through).filter(|parent| parent.operations.contains(GrantOperation::CreateGrant));
    if parent.is_some_and(|parent| parent.bounds(asked.operations, asked.constraint.as_ref())) {
        return Ok(());
    }
    Err(Exception::access_denied(format!(
        "User: {} is not authorized to perform: kms:CreateGrant on resource: {} because the grant that allows it does not \
         allow what is to be granted",
        requester.principal.arn.caller(),
        key.arn
    )))
}

fn not_dry(input: &Input) -> Result<(), Exception> {
    if input.dry_run() { Err(Exception::dry_run()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
