//! Sends what was admitted to its upstream, for [`BackendService`](super::BackendService); whether the answer is let out
//! is for [`judge`] to say.
//!
//! Bytes in, bytes out: the body that was authorized is the body that is sent, and what comes back is not read beyond
//! what it has to be judged and recorded by ([`read`]). The table of what happens to every header and error on the way is
//! in the manual, "Forwarding".
//!
//! Architecture invariant: what changes something runs where no client and no worker can end it.

mod judge;
mod read;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::authorize::Asked;
use super::{Admitted, Authorized};
use crate::aws::{KeyArn, Member, Operation, canonical_principal};
use crate::backend::Keys;
use crate::backend::aws::{Answered, AwsBackend, Call, Fault, Question};
use crate::error::Error;
use crate::kms::{Answer, ErrorClass, Exception, Input, ResponseElements};
use crate::limits::Limits;
use read::Read;

/// What the record calls the principal's part of an upstream's quota.
const SHARE: &str = "upstream_share";

/// Carries out what was admitted. What changes something is carried out also when its client has gone.
pub(super) fn forward(
    backend: AwsBackend,
    limits: Arc<ArcSwap<Limits>>,
    admitted: Admitted,
) -> Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>> {
    // In a box of its own, as is the call below: what is moved within a future it holds twice, and glibc's allocator takes
    // several times as long for more than 1,032 bytes.
    let authorized = Box::new(admitted.authorized);
    if !authorized.input.operation().mutating() {
        return Box::pin(async move { exchange(&backend, &limits, &authorized).await });
    }
    Box::pin(change(backend, limits, authorized))
}

async fn change(
    backend: AwsBackend,
    limits: Arc<ArcSwap<Limits>>,
    authorized: Box<Authorized>,
) -> Result<Answer, Error> {
    reaches_past_the_gateway(&backend, &authorized)?;
    let operation = authorized.input.operation();
    let draft = authorized.context.draft.clone();
    draft.irrevocable();
    let elsewhere = backend.off_worker();
    let change = async move {
        let answer = exchange(&elsewhere, &limits, &authorized).await;
        if let Ok(answer) = &answer {
            let key = authorized.keys.main.as_ref().map(|found| found.key.arn());
            if let Some(elements) = ResponseElements::of(operation, key).of_answer(&answer.body) {
                draft.response_elements(elements);
            }
        }
        super::audit::note(&draft, answer.as_ref());
        answer
    };
    // Its thread outlives every client, and the workers.
    let done = backend.detached(change).await;
    done.unwrap_or_else(|| Err(Error::upstream(Fault::Broken("the gateway is ending".into()), operation)))
}

/// The gateway is the authority on grants to its own principals, and has no store for them here; grants to others would
/// reach past it.
fn reaches_past_the_gateway(backend: &AwsBackend, authorized: &Authorized) -> Result<(), Error> {
    let Authorized { context, input, .. } = authorized;
    if input.operation() != Operation::CreateGrant {
        return Ok(());
    }
    let principals = [
        Member::GranteePrincipal,
        Member::RetiringPrincipal,
        Member::GranteeServicePrincipal,
        Member::RetiringServicePrincipal,
    ];
    let mut named = principals.into_iter().filter_map(|member| input.string(member));
    let ours = |principal: &str| context.snapshot.credentials.knows(canonical_principal(principal));
    if named.any(ours) {
        let text =
            "CreateGrant for a principal of the gateway's own is not served: this gateway has no store of grants.";
        return Err(Exception::unsupported(text).into());
    }
    // Whomever it names: KMS may know of members that are not known here.
    if !backend.forwards_foreign_grants() {
        let text = "CreateGrant for a principal that is not the gateway's own would reach past it: see grants.forward_foreign.";
        return Err(Exception::unsupported(text).into());
    }
    Ok(())
}

async fn exchange(backend: &AwsBackend, limits: &ArcSwap<Limits>, authorized: &Authorized) -> Result<Answer, Error> {
    let Authorized { context, access_key, input, payload, keys, .. } = authorized;
    let operation = input.operation();
    let principal = &access_key.principal;
    let quota = operation.quota(spec(input, keys));
    let call = Call { operation, body: payload.body.clone(), payload: payload.hash, quota, charged: principal.quota };
    let answered = Box::pin(backend.call_for(context.region(), keys.account, &call, Read::of)).await;
    if operation.mutating() && may_be_made(&answered) {
        backend.changed();
    }
    let Answered { mut read, left_open } = answered.map_err(|fault| {
        if fault == Fault::ShareUsedUp {
            context.draft.limiter(SHARE);
        }
        Error::upstream(fault, operation)
    })?;
    if let (Some(first), Some(_)) = (left_open.filter(|_| operation.mutating()), read.error) {
        context.draft.detail(format!("a first attempt may have been carried out: {first}"));
    }
    let question = Question {
        input,
        caller: &principal.arn,
        charged: principal.quota,
        region: context.region(),
        facts: context.snapshot.key_facts,
        limits,
    };
    if let Some(id) = read.answer.forwarded.as_ref().and_then(|forwarded| forwarded.request_id.as_ref()) {
        context.draft.upstream_request_id(id.clone());
    }
    let asked = Asked { context, access_key, input, keys };
    if operation.makes_key() {
        // To make it was allowed, and it is none that was to be used. Of a replica the record names the key that it is of.
        let made = read.key.take().and_then(|arn| arn.parse::<KeyArn>().ok());
        read.answer.created = made.filter(|_| keys.main.is_none()).as_ref().map(Into::into);
    }
    if matches!(operation, Operation::RetireGrant | Operation::RevokeGrant) {
        read.answer.grant_id = input.string(Member::GrantId).map(Into::into);
    }
    match read.error {
        None if judge::is_as_judged(&asked, &read) => Ok(read.answer),
        // Rare, and large.
        None => Box::pin(judge::released_afresh(backend, &question, &asked, read)).await,
        Some(class) => judge::refused(backend, &question, &asked, read, class),
    }
}

/// Whether what was to be changed is changed, for all that is known.
fn may_be_made(answered: &Result<Answered<Read>, Fault>) -> bool {
    match answered {
        Ok(Answered { read, left_open }) => {
            left_open.is_some() || read.error.is_none_or(|class| class == ErrorClass::ServerFault)
        }
        Err(fault) => fault.leaves_open(),
    }
}

/// What tells which quota of KMS's a call draws from: the spec of the pair that is to be made, the key's, or the algorithm.
fn spec<'r>(input: &'r Input, keys: &'r Keys) -> Option<&'r str> {
    let asked = |member| input.string(member);
    let of_key = || keys.main.as_ref().and_then(|found| found.key.spec());
    let algorithms = [Member::EncryptionAlgorithm, Member::DestinationEncryptionAlgorithm, Member::SigningAlgorithm];
    asked(Member::KeyPairSpec).or_else(of_key).or_else(|| algorithms.into_iter().find_map(asked))
}

#[cfg(test)]
mod tests;
