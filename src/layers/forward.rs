//! Sends what was admitted to its upstream, and lets the answer out if it is about the keys that were judged.
//!
//! Bytes in, bytes out: the body that was authorized is the body that is sent, and what comes back is not read beyond
//! what it has to be judged and recorded by. The table of what happens to every header and error on the way is in the
//! manual, "Forwarding".
//!
//! Architecture invariant: no answer is let out but about a key that the caller may use.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};

use super::authorize::{Asked, on_answer};
use super::{Admitted, Authorized};
use crate::aws::{KeyArn, Member, Operation, Resource, canonical_principal};
use crate::backend::aws::{AwsBackend, Call, Fault, Question};
use crate::backend::{Found, Keys, NamedBy};
use crate::error::Error;
use crate::kms::{Answer, ErrorClass, Exception, Forwarded, Input, UpstreamAnswer};
use crate::limits::Limits;
use crate::policy::{self, Decision, Kind};

/// What the record calls the principal's part of an upstream's quota.
const SHARE: &str = "upstream_share";
const AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// What the record says where a client was not told what it could have had.
const WITHHELD: &str = "its answer was withheld";
/// Four times that of a UUID.
const LONGEST_REQUEST_ID: usize = 144;
const AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Carries out what was admitted. What changes something is carried out also when its client has gone.
pub(super) async fn forward(
    backend: AwsBackend,
    limits: Arc<ArcSwap<Limits>>,
    admitted: Admitted,
) -> Result<Answer, Error> {
    let authorized = admitted.authorized;
    reaches_past_the_gateway(&backend, &authorized)?;
    let operation = authorized.input.operation();
    if !operation.mutating() {
        return exchange(&backend, &limits, authorized).await;
    }
    let draft = authorized.context.draft.clone();
    draft.irrevocable();
    let elsewhere = backend.off_worker();
    let change = async move {
        let answer = exchange(&elsewhere, &limits, authorized).await;
        super::audit::note(&draft, answer.as_ref());
        if may_have_changed(answer.as_ref()) {
            elsewhere.changed();
        }
        answer
    };
    // Its thread outlives every client, and the workers.
    let done = backend.detached(change).await;
    done.unwrap_or_else(|| Err(Error::upstream(Fault::Broken("the gateway is ending".into()), operation)))
}

/// Whether something was changed, or nobody knows. What was refused was not: nobody may have others' look-ups forgotten
/// by calls that come to nothing.
fn may_have_changed(answer: Result<&Answer, &Error>) -> bool {
    let not_carried_out = |fault: &Fault| {
        matches!(
            fault,
            Fault::ShareUsedUp
                | Fault::CircuitOpen
                | Fault::NoCredentials(_)
                | Fault::Unreachable(_)
                | Fault::Rejected(_)
        )
    };
    match answer {
        Ok(Answer { forwarded: Some(forwarded), .. }) => {
            forwarded.failure.is_none() || forwarded.status.is_server_error()
        }
        // The upstream refused it, or named another key, which is forgotten then.
        Err(Error::Kms(_)) => false,
        Err(Error::Upstream { fault, .. }) => !not_carried_out(fault),
        Ok(_) | Err(_) => true,
    }
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
    let named = principals.into_iter().filter_map(|member| input.string(member));
    let ours = |principal: &str| context.snapshot.credentials.knows(canonical_principal(principal));
    for principal in named {
        if ours(principal) {
            let text =
                "CreateGrant for a principal of the gateway's own is not served: this gateway has no store of grants.";
            return Err(Exception::unsupported(text).into());
        }
        if !backend.forwards_foreign_grants() {
            let text = "CreateGrant for a principal that is not the gateway's own would reach past it: see grants.forward_foreign.";
            return Err(Exception::unsupported(text).into());
        }
    }
    Ok(())
}

/// What is kept of an upstream's answer once it was read.
struct Read {
    answer: Answer,
    /// The key that it names, and the one that something was taken from.
    key: Option<Box<str>>,
    source_key: Option<Box<str>>,
    /// What kind of error it is, if it is one.
    error: Option<ErrorClass>,
}

async fn exchange(backend: &AwsBackend, limits: &ArcSwap<Limits>, authorized: Authorized) -> Result<Answer, Error> {
    let Authorized { context, access_key, input, payload, keys, .. } = authorized;
    let operation = input.operation();
    let principal = &access_key.principal;
    let failed = |fault: Fault| {
        if fault == Fault::ShareUsedUp {
            context.draft.limiter(SHARE);
        }
        Error::upstream(fault, operation)
    };
    let quota = operation.quota(spec(&input, &keys));
    let call = Call { operation, body: payload.body, payload: payload.hash, quota, charged: principal.quota };
    let read = backend.call_for(context.region(), keys.account, &call, Read::of).await.map_err(failed)?;
    let question = Question {
        input: &input,
        caller: &principal.arn,
        charged: principal.quota,
        region: context.region(),
        facts: context.snapshot.key_facts,
        limits,
    };
    if let Some(id) = read.answer.forwarded.as_ref().and_then(|forwarded| forwarded.request_id.as_ref()) {
        context.draft.upstream_request_id(id.clone());
    }
    let asked = Asked { context: &context, access_key: &access_key, input: &input, keys: &keys };
    let mut read = read;
    if matches!(operation, Operation::CreateKey | Operation::ReplicateKey) {
        // The key that was made is none of those that were to be used.
        let made = read.key.take().and_then(|arn| arn.parse::<KeyArn>().ok());
        read.answer.created = made.as_ref().map(Into::into);
    }
    match read.error {
        None => released(backend, &question, &asked, read).await,
        Some(class) => refused(backend, &question, &asked, read, class),
    }
}

/// What tells which quota of KMS's a call draws from: the spec of the pair that is to be made, the key's, or the algorithm.
fn spec<'r>(input: &'r Input, keys: &'r Keys) -> Option<&'r str> {
    let asked = |member| input.string(member);
    let of_key = || keys.main.as_ref().and_then(|found| found.key.spec());
    let algorithms = [Member::EncryptionAlgorithm, Member::DestinationEncryptionAlgorithm, Member::SigningAlgorithm];
    asked(Member::KeyPairSpec).or_else(of_key).or_else(|| algorithms.into_iter().find_map(asked))
}

/// An answer, if the keys that it names are those that were judged, or the caller may use them too.
async fn released(
    backend: &AwsBackend,
    question: &Question<'_>,
    asked: &Asked<'_>,
    read: Read,
) -> Result<Answer, Error> {
    let Asked { context, input, keys, .. } = *asked;
    let operation = input.operation();
    if operation.mutating() {
        // It is done, to the key that was judged: nothing that changes takes an alias. What is named is what was made.
        return Ok(read.answer);
    }
    let same = |found: &Option<Found>, told: &Option<Box<str>>| match (found, told) {
        (Some(found), Some(told)) => {
            let arn = found.key.arn();
            // Some operations' answers have the bare id, says the documentation.
            [arn.as_str(), arn.id().as_str()].contains(&&**told)
        }
        // No key was named, or the operation's answers name none: then it takes no alias that could lead elsewhere.
        (None, _) | (_, None) => true,
    };
    if !keys.told_by_answer && same(&keys.main, &read.key) && same(&keys.source, &read.source_key) {
        return Ok(read.answer);
    }
    backend.forget(question);
    let fresh = |found: &Option<Found>, told: Option<Box<str>>| {
        let by = found.as_ref().map_or(NamedBy::Ciphertext, |found| found.by.clone());
        async move {
            let Some(arn) = told else { return Ok(None) };
            let found = backend.of_answer(question, keys.account, &arn, by).await;
            found.map(Some).map_err(|unresolved| {
                context.draft.detail(format!("{WITHHELD}: {unresolved}"));
                Error::unresolved(unresolved, operation)
            })
        }
    };
    let main = fresh(&keys.main, read.key).await?;
    let source = fresh(&keys.source, read.source_key).await?;
    let recorded = |found: &&Found| keys.iter().any(|judged| judged.key.arn() == found.key.arn());
    for found in source.iter().chain(&main).filter(|found| !recorded(found)) {
        context.draft.resource(found.key.arn());
    }
    let told = Keys { main, source, ..Keys::none(keys.account) };
    on_answer(&Asked { keys: &told, ..*asked }).map_err(|refusal| {
        context.draft.detail(format!("the upstream used a key that the caller may not use: {WITHHELD}"));
        // As where the upstream refuses: the key's state, too, is not for the caller to know.
        if keys.told_by_answer { Exception::ciphertext_key_denied().into() } else { refusal }
    })?;
    if keys.told_by_answer {
        charge_late(question, asked, &told)?;
    }
    Ok(read.answer)
}

/// Charges the quotas of the keys that are known only now: without that, whoever leaves out their names would have no
/// such quota.
fn charge_late(question: &Question<'_>, asked: &Asked<'_>, told: &Keys) -> Result<(), Error> {
    let limits = question.limits.load();
    let charged = |key: &KeyArn| asked.keys.iter().any(|found| found.key.arn() == key);
    let mut late = told.iter().filter(|found| !charged(found.key.arn()));
    late.try_for_each(|found| limits.check_key(found.key.quota())).map_err(|throttled| {
        asked.context.draft.limiter(throttled.limiter);
        asked.context.draft.detail(WITHHELD);
        Error::Throttled(throttled.limiter)
    })
}

/// What the client is told when an upstream refuses.
fn refused(
    backend: &AwsBackend,
    question: &Question<'_>,
    asked: &Asked<'_>,
    mut read: Read,
    class: ErrorClass,
) -> Result<Answer, Error> {
    let Asked { context, access_key, input, keys } = *asked;
    let (mut said, mut of_another_key) = (String::new(), false);
    if let Some((name, message)) = read.answer.forwarded.as_mut().and_then(|forwarded| forwarded.failure.as_mut()) {
        let text = message.take().unwrap_or_default();
        of_another_key = speaks_of_another_key(keys, &text);
        // The body has it as it is; this is for the record.
        let recorded = input.without_secrets(&text);
        said = format!("{name}: {recorded}");
        *message = (!recorded.is_empty()).then(|| recorded.into());
    }
    let harmless = matches!(class, ErrorClass::InvalidCiphertext | ErrorClass::Throttling | ErrorClass::ServerFault);
    if harmless {
        return Ok(read.answer);
    }
    if matches!(class, ErrorClass::Key | ErrorClass::AccessDenied) {
        // What it is about may have been changed since it was looked up.
        backend.forget(question);
    }
    if keys.told_by_answer {
        // Which key it is about is not told, so neither is what is wrong with it.
        return Err(Exception::ciphertext_key_denied().with_detail(said).into());
    }
    if class == ErrorClass::AccessDenied {
        let permissions = input.operation().permissions();
        let on_key = permissions.iter().find(|permission| matches!(permission.resource, Resource::Key(_)));
        let action = on_key.or(permissions.first()).map_or("", |permission| permission.action);
        let resource = keys.main.as_ref().map_or("*", |found| found.key.arn().as_str());
        let (caller, decision) = (access_key.principal.arn.caller(), Decision::ImplicitDeny(Kind::Key));
        let text = policy::denied_message(caller, action, policy::Subject::Resource(resource), &decision);
        return Err(Exception::access_denied(text).with_detail(said).into());
    }
    if of_another_key {
        context.draft.detail(format!("an alias was pointed to another key while it was used: {said}"));
        let fault = Fault::Broken("the alias was just pointed to another key".into());
        return Err(Error::upstream(fault, input.operation()));
    }
    Ok(read.answer)
}

/// Whether an error names a key that is not among those that were judged, as it does when an alias leads elsewhere.
fn speaks_of_another_key(keys: &Keys, said: &str) -> bool {
    let by_alias = keys.iter().any(|found| matches!(found.by, NamedBy::Alias(_)));
    by_alias && said.contains(":key/") && !keys.iter().any(|found| said.contains(found.key.arn().id().as_str()))
}

/// Whether records can be found by it: KMS's are UUIDs.
fn is_request_id(id: &HeaderValue) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&id.len())
        && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// The header that names an error, as it was sent if it names the one that was judged. Some SDKs go by it, and others by
/// the body.
fn same_error(sent: &HeaderValue, judged: &str) -> HeaderValue {
    let name = sent.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.rsplit(|byte| *byte == b'#').next().unwrap_or_default();
    if name == judged.as_bytes() {
        return sent.clone();
    }
    // What is judged is a name of letters and digits.
    HeaderValue::from_str(judged).unwrap_or_else(|_| HeaderValue::from_static("KMSInternalException"))
}

impl Read {
    fn of(answer: &UpstreamAnswer<'_>, response: &Response<Bytes>) -> Self {
        let header = |name: HeaderName| response.headers().get(name);
        let owned = |text: &Cow<'_, str>| Box::<str>::from(&**text);
        let mut forwarded = Forwarded {
            status: response.status(),
            request_id: header(AMZN_REQUEST_ID).filter(|id| is_request_id(id)).cloned(),
            error_type: None,
            failure: None,
        };
        let mut kept = Answer::new(response.body().clone());
        let (mut key, mut source_key, mut error) = (None, None, None);
        match answer {
            UpstreamAnswer::Success(success) => {
                let material = |id: &Option<Cow<'_, str>>| id.as_ref().and_then(|id| id.parse().ok());
                (key, source_key) = (success.key.as_ref().map(owned), success.source_key.as_ref().map(owned));
                kept.key_material_id =
                    material(&success.destination_key_material_id).or_else(|| material(&success.key_material_id));
                kept.source_key_material_id = material(&success.source_key_material_id);
                kept.grant_id = success.grant_id.as_ref().map(owned);
            }
            UpstreamAnswer::Failure(failure) => {
                forwarded.error_type = header(AMZN_ERROR_TYPE).map(|sent| same_error(sent, &failure.name));
                forwarded.failure = Some((owned(&failure.name), failure.message.as_ref().map(owned)));
                error = Some(failure.class());
            }
        }
        kept.forwarded = Some(Box::new(forwarded));
        Self { answer: kept, key, source_key, error }
    }
}

#[cfg(test)]
mod tests;
