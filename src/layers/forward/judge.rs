//! Whether an upstream's answer is let out, and what the client is told in its place.
//!
//! A request was judged by the keys that it named. An answer is judged again where it names another key, or where only
//! it can name one. An error is told as far as it is the client's to know.
//!
//! Architecture invariant: no answer is let out but about a key that the caller may use.

use super::read::Read;
use crate::aws::{KeyArn, Resource};
use crate::backend::aws::{AwsBackend, Fault, Question, Unresolved};
use crate::backend::{Found, Keys, NamedBy};
use crate::error::Error;
use crate::kms::{Answer, ErrorClass, Exception};
use crate::layers::authorize::{Asked, on_answer};
use crate::policy::{self, Decision, Kind};

/// What the record says where a client was not told what it could have had.
const WITHHELD: &str = "its answer was withheld";

/// Whether an answer is about the keys that the request was judged by; else it is judged by [`released_afresh`].
pub(super) fn is_as_judged(asked: &Asked<'_>, read: &Read) -> bool {
    let keys = asked.keys;
    // What changes something is done, to the key that was judged: it takes no alias.
    asked.input.operation().mutating()
        || !keys.told_by_answer
            && is_named(keys.main.as_ref(), read.key.as_deref())
            && is_named(keys.source.as_ref(), read.source_key.as_deref())
}

/// Whether an answer says that it used the key that was judged.
fn is_named(judged: Option<&Found>, told: Option<&str>) -> bool {
    match (judged, told) {
        (Some(found), Some(told)) => {
            let arn = found.key.arn();
            // Some operations' answers have the bare id, says the documentation.
            [arn.as_str(), arn.id().as_str()].contains(&told)
        }
        // No key was named, or the operation's answers name none: then it takes no alias that could lead elsewhere.
        (None, _) | (_, None) => true,
    }
}

/// An answer, if the caller may use the keys that it names, whatever the request was judged by.
pub(super) async fn released_afresh(
    backend: &AwsBackend,
    question: &Question<'_>,
    asked: &Asked<'_>,
    read: Read,
) -> Result<Answer, Error> {
    let Asked { context, keys, .. } = *asked;
    let Read { answer, key, source_key, .. } = read;
    let (main, source) = (keys.main.as_ref(), keys.source.as_ref());
    if !is_named(main, key.as_deref()) || !is_named(source, source_key.as_deref()) {
        backend.forget(question);
    }
    let of_answer = |judged, told: Option<Box<str>>| Some((judged, question.key_of_answer(keys.account, &told?)));
    let told = [of_answer(source, source_key), of_answer(main, key)];
    // Whatever comes of the rest, KMS has used them.
    for (_, key) in told.iter().flatten() {
        if let Ok(key) = key
            && !keys.iter().any(|judged| judged.key.arn() == key)
        {
            context.draft.resource(key);
        }
    }
    let [source, main] = told;
    let source = used(backend, question, asked, source).await?;
    let main = used(backend, question, asked, main).await?;
    let told = Keys { main, source, ..Keys::none(keys.account) };
    on_answer(&Asked { keys: &told, ..*asked }).map_err(|refusal| {
        context.draft.detail(format!("the upstream used a key that the caller may not use: {WITHHELD}"));
        // As where the upstream refuses: the key's state, too, is not for the caller to know.
        if keys.told_by_answer { Exception::ciphertext_key_denied().into() } else { refusal }
    })?;
    if keys.told_by_answer {
        charge_late(question, asked, &told)?;
    }
    Ok(answer)
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

/// The key that an answer names, in the place of the one that was judged if there was one.
async fn used(
    backend: &AwsBackend,
    question: &Question<'_>,
    asked: &Asked<'_>,
    told: Option<(Option<&Found>, Result<KeyArn, Fault>)>,
) -> Result<Option<Found>, Error> {
    let Some((judged, arn)) = told else { return Ok(None) };
    let by = judged.map_or(NamedBy::Ciphertext, |found| found.by.clone());
    let found = match arn {
        Ok(arn) => backend.of_answer(question, arn, by).await,
        Err(fault) => Err(fault.into()),
    };
    found.map(Some).map_err(|unresolved| {
        asked.context.draft.detail(format!("{WITHHELD}: {unresolved}"));
        match unresolved {
            // Which key it is, and that the ciphertext opened, is not for the caller to know.
            Unresolved::Kms(_) if asked.keys.told_by_answer => Exception::ciphertext_key_denied().into(),
            unresolved => Error::unresolved(unresolved, question.input.operation()),
        }
    })
}

/// What the client is told when an upstream refuses.
pub(super) fn refused(
    backend: &AwsBackend,
    question: &Question<'_>,
    asked: &Asked<'_>,
    mut read: Read,
    class: ErrorClass,
) -> Result<Answer, Error> {
    let Asked { context, input, keys, .. } = *asked;
    let said = Said::take(asked, &mut read.answer);
    if matches!(class, ErrorClass::InvalidCiphertext | ErrorClass::Throttling | ErrorClass::ServerFault) {
        // They tell of no key.
        return Ok(read.answer);
    }
    if matches!(class, ErrorClass::Key | ErrorClass::AccessDenied) {
        // What it is about may have been changed since it was looked up.
        backend.forget(question);
    }
    if keys.told_by_answer {
        // Which key it is about is not told, so neither is what is wrong with it.
        return Err(Exception::ciphertext_key_denied().with_detail(said.recorded).into());
    }
    if class == ErrorClass::AccessDenied {
        return Err(denied_to_caller(asked).with_detail(said.recorded).into());
    }
    if said.of_another_key {
        let said = said.recorded;
        context.draft.detail(format!("an alias was pointed to another key while it was used: {said}"));
        let fault = Fault::Broken("the alias was just pointed to another key".into());
        return Err(Error::upstream(fault, input.operation()));
    }
    Ok(read.answer)
}

/// What an error says, as far as the record may have it.
struct Said {
    recorded: String,
    of_another_key: bool,
}

impl Said {
    /// Takes what may not be recorded out of the error's text. The body, which is the client's, has it as it is.
    fn take(asked: &Asked<'_>, answer: &mut Answer) -> Self {
        let failure = answer.forwarded.as_mut().and_then(|forwarded| forwarded.failure.as_mut());
        let Some((name, message)) = failure else { return Self { recorded: String::new(), of_another_key: false } };
        let text = message.take().unwrap_or_default();
        let kept = asked.input.without_secrets(&text);
        let recorded = format!("{name}: {kept}");
        *message = (!kept.is_empty()).then(|| kept.into());
        Self { recorded, of_another_key: speaks_of_another_key(asked.keys, &text) }
    }
}

/// That the gateway may not, as if it had been said of the caller: where no key policy allows it.
fn denied_to_caller(asked: &Asked<'_>) -> Exception {
    let Asked { access_key, input, keys, .. } = *asked;
    let permissions = input.operation().permissions();
    let on_key = permissions.iter().find_map(|permission| match permission.resource {
        Resource::Key(member) => Some((permission.action, keys.of(input.operation(), member))),
        Resource::Alias | Resource::Any => None,
    });
    let (action, key) = on_key.unwrap_or((permissions.first().map_or("", |permission| permission.action), None));
    let resource = key.map_or("*", |found| found.key.arn().as_str());
    let (caller, decision) = (access_key.principal.arn.caller(), Decision::ImplicitDeny(Kind::Key));
    Exception::access_denied(policy::denied_message(caller, action, policy::Subject::Resource(resource), &decision))
}

/// Whether an error names a key that is not among those that were judged, as it does when an alias leads elsewhere.
fn speaks_of_another_key(keys: &Keys, said: &str) -> bool {
    let by_alias = keys.iter().any(|found| matches!(found.by, NamedBy::Alias(_)));
    by_alias && said.contains(":key/") && !keys.iter().any(|found| said.contains(found.key.arn().id().as_str()))
}
