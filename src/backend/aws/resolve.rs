//! Which upstream a request is for, and which keys it is about.
//!
//! A key that is named by its ARN, of which no policy asks more, is known at once; other names are looked up, unless
//! they were lately. Keys of accounts and regions that are not configured are refused before anything is sent.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::super::{Found, Key, Keys, NamedBy, foreign};
use super::look_ups::{NotKnown, Outcome};
use super::{AwsBackend, Fault, KeyView};
use crate::aws::{AccountId, Class, KeyArn, KeyRef, Member, Operation, Region};
use crate::credentials::PrincipalArn;
use crate::kms::{Exception, Input};
use crate::limits::{Charge, Limits, Subject, Throttled};
use crate::policy::KeyFacts;

/// The longest `KeyId` of the service's model, in bytes here. What is looked up is kept: its length must not be the
/// caller's choice.
const LONGEST_NAME: usize = 2048;

/// What is asked when the keys of a request are looked for.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The request.
    pub input: &'q Input,
    /// Who asks.
    pub caller: &'q PrincipalArn,
    /// Whose quota, and whose part of the upstream's, a look-up uses up.
    pub charged: Subject,
    /// The region that is asked.
    pub region: &'q Region,
    /// What the policies in force ask about keys.
    pub facts: KeyFacts,
    /// The quotas.
    pub limits: &'q ArcSwap<Limits>,
}

impl Question<'_> {
    /// The key that an answer of `account`'s KMS names.
    ///
    /// # Errors
    ///
    /// [`Fault::NotKms`], if what it names is no key.
    pub fn key_of_answer(&self, account: AccountId, told: &str) -> Result<KeyArn, Fault> {
        // Some operations' answers have the bare id, says the documentation.
        let of_id = || told.parse().ok().map(|id| KeyArn::new(self.region, account, id));
        told.parse().ok().or_else(of_id).ok_or(Fault::NotKms("its KeyId is no key's".into()))
    }

    /// Charges the caller for a look-up.
    fn charge(&self) -> Result<(), Throttled> {
        let charge = Charge { principal: self.charged, keys: [None; 2], class: Class::Read };
        self.limits.load().check(charge)
    }
}

/// Why the keys of a request could not be found.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// KMS's refusal, or one in its words.
    #[error("{0}")]
    Kms(Exception),
    /// The upstream could not be asked.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The caller has asked for too much.
    #[error(transparent)]
    Throttled(#[from] Throttled),
}

impl From<Exception> for Unresolved {
    fn from(exception: Exception) -> Self {
        Self::Kms(exception)
    }
}

/// A key that a request names, and what has to be known of it.
struct Named {
    upstream: usize,
    owner: AccountId,
    member: Member,
    name: Name,
    by: NamedBy,
    /// Changes go by what is so now, and not by what was.
    fresh: bool,
}

/// What a key is looked up by.
enum Name {
    /// The ARN, after which nothing has to be asked unless policies ask more.
    Arn(KeyArn),
    /// Its id, or an alias, or that one's ARN.
    Other(Box<str>),
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Arn(arn) => arn.as_str(),
            Self::Other(text) => text,
        }
    }

    /// An id or ARN leads to the same key for ever.
    fn is_alias(&self) -> bool {
        matches!(self, Self::Other(text) if text.contains("alias/"))
    }
}

impl AwsBackend {
    /// The keys of the request, if nothing has to be looked up for them.
    #[must_use]
    pub fn resolve_at_once(&self, question: &Question<'_>) -> Option<Result<Keys, Unresolved>> {
        let named = match self.named(question) {
            Ok(named) => named,
            Err(refused) => return Some(Err(refused.into())),
        };
        let mut keys = match self.none(question, &named) {
            Ok(keys) => keys,
            Err(refused) => return Some(Err(refused.into())),
        };
        for name in named.into_iter().flatten() {
            match self.known(question, &name)? {
                Ok(key) => place(&mut keys, question, name, key),
                Err(unknown) => return Some(Err(worded(unknown, question, name.member, name.owner))),
            }
        }
        Some(Ok(keys))
    }

    /// The keys of the request.
    ///
    /// # Errors
    ///
    /// `NotFoundException` and `InvalidArnException` as KMS has them; `AccessDeniedException` for a key of an account or
    /// a region that has no upstream.
    pub async fn resolve(&self, question: &Question<'_>) -> Result<Keys, Unresolved> {
        let named = self.named(question)?;
        let mut keys = self.none(question, &named)?;
        for name in named.into_iter().flatten() {
            let key = if let Some(outcome) = self.known(question, &name) {
                outcome
            } else {
                question.charge()?;
                self.look_up(question, &name).await
            };
            let key = key.map_err(|unknown| worded(unknown, question, name.member, name.owner))?;
            place(&mut keys, question, name, key);
        }
        Ok(keys)
    }

    /// What is known of the key that an answer names in place of the one that was judged.
    ///
    /// # Errors
    ///
    /// As [`Self::resolve`].
    pub async fn of_answer(&self, question: &Question<'_>, arn: KeyArn, by: NamedBy) -> Result<Found, Unresolved> {
        let member = Member::KeyId;
        let denied = || foreign(question.input.operation(), member, question.caller);
        let upstream = self.upstream(arn.region(), arn.account()).ok_or_else(denied)?;
        let name =
            Named { upstream, owner: arn.account(), member, name: Name::Arn(arn), by: NamedBy::Key, fresh: false };
        let key = match self.known(question, &name) {
            Some(outcome) => outcome,
            // Not charged to the caller's quota: the request was, and KMS has done its work.
            None => self.look_up(question, &name).await,
        };
        Ok(Found { key: Key::Aws(key.map_err(|unknown| worded(unknown, question, member, name.owner))?), by })
    }

    /// Forgets what the names of a request lead to: its answer says otherwise.
    pub fn forget(&self, question: &Question<'_>) {
        for name in self.named(question).into_iter().flatten().flatten() {
            if let Some(upstream) = self.shared().all.get(name.upstream) {
                upstream.look_ups.forget(name.name.as_str());
            }
        }
    }

    /// What the request names, in the order of CloudTrail's `resources`.
    fn named(&self, question: &Question<'_>) -> Result<[Option<Named>; 2], Exception> {
        let operation = question.input.operation();
        if operation == Operation::RetireGrant {
            names_one_grant(question.input)?;
        }
        alias_of_its_own(question.input)?;
        let named = |member: Option<Member>| member.map(|member| self.name(question, member)).transpose();
        let key = named(operation.key())?.flatten();
        let source = match operation.source() {
            Some(Member::PrimaryRegion) => self.in_region(question, key.as_ref(), Member::PrimaryRegion)?,
            member => named(member)?.flatten(),
        };
        if operation == Operation::ReplicateKey {
            // A region without an upstream is none of the gateway's to put keys in.
            self.in_region(question, key.as_ref(), Member::ReplicaRegion)?;
        }
        Ok([source, key])
    }

    /// The key that one member names; `None` if it was not sent.
    fn name(&self, question: &Question<'_>, member: Member) -> Result<Option<Named>, Exception> {
        let Question { input, caller, region, .. } = *question;
        let operation = input.operation();
        let Some(text) = input.string(member) else { return Ok(None) };
        bounded(text)?;
        let reference = KeyRef::parse(text, region)?;
        match (reference.alias_name(), member) {
            (Some(_), Member::TargetKeyId) => {
                // The text is an emulator's; KMS's is not recorded.
                return Err(Exception::validation("Aliases must refer to keys. Not aliases"));
            }
            (Some(_), Member::AliasName) | (None, _) => {}
            (Some(_), _) if !operation.accepts_alias() => return Err(Exception::alias_not_accepted()),
            (Some(_), _) => {}
        }
        let owner = reference.account().unwrap_or(caller.account());
        // As at AWS, where no policy can let a caller of another account manage a key.
        if owner != caller.account() && !operation.cross_account() {
            return Err(foreign(operation, member, caller));
        }
        let upstream = self.upstream(region, owner).ok_or_else(|| foreign(operation, member, caller))?;
        let by = match reference.alias_name() {
            // The alias that a call changes is what it is about, and does not name a key to be used.
            Some(alias) if member != Member::AliasName => NamedBy::Alias(alias.into()),
            _ => NamedBy::Key,
        };
        // KMS writes ids small. Whoever takes no heed of case has to say itself which key is meant.
        let as_written = |arn: &KeyArn| !arn.id().as_str().bytes().any(|byte| byte.is_ascii_uppercase());
        let name = match reference.key_arn(region).filter(as_written) {
            Some(arn) => Name::Arn(arn),
            // As it was sent: the upstream's credentials may be of another account, in which there is that name too.
            None => Name::Other(text.into()),
        };
        Ok(Some(Named { upstream, owner, member, name, by, fresh: operation.mutating() }))
    }

    /// The relative of `key` in the region that the request names.
    fn in_region(
        &self,
        question: &Question<'_>,
        key: Option<&Named>,
        member: Member,
    ) -> Result<Option<Named>, Exception> {
        let Some(key) = key else { return Ok(None) };
        let id = match &key.name {
            Name::Arn(arn) => Some(arn.id()),
            Name::Other(text) => text.parse().ok(),
        };
        let Some(region) = question.input.string(member) else { return Ok(None) };
        let denied = || foreign(question.input.operation(), member, question.caller);
        let region: Region = region.parse().map_err(|_| denied())?;
        let upstream = self.upstream(&region, key.owner).ok_or_else(denied)?;
        let name = Name::Arn(KeyArn::new(&region, key.owner, id.ok_or_else(denied)?));
        Ok(Some(Named { upstream, member, name, by: NamedBy::Key, ..*key }))
    }

    /// The request's keys before any is found, and whose KMS is asked for them.
    fn none(&self, question: &Question<'_>, named: &[Option<Named>; 2]) -> Result<Keys, Exception> {
        let Question { input, caller, region, .. } = question;
        let operation = input.operation();
        let [source, main] = named;
        let account = main.as_ref().or(source.as_ref()).map_or(caller.account(), |name| name.owner);
        let denied = || foreign(operation, operation.key().unwrap_or(Member::KeyId), caller);
        let upstream =
            self.upstream(region, account).and_then(|place| self.shared().all.get(place)).ok_or_else(denied)?;
        let missing = |member| input.string(member).is_none();
        let told_by_answer = match operation {
            Operation::Decrypt => missing(Member::KeyId),
            Operation::ReEncrypt => missing(Member::SourceKeyId),
            _ => false,
        };
        if named.iter().all(Option::is_none) && !told_by_answer && upstream.has_credentials_of_another() {
            return Err(denied().with_detail("the upstream's credentials are of another account than its keys"));
        }
        Ok(Keys { told_by_answer, ..Keys::none(account) })
    }

    /// What is known of a name without asking.
    fn known(&self, question: &Question<'_>, name: &Named) -> Option<Outcome> {
        if let Name::Arn(arn) = &name.name
            && question.facts == KeyFacts::default()
        {
            return Some(Ok(Arc::new(KeyView::named(arn.clone()))));
        }
        if name.fresh && name.name.is_alias() {
            return None;
        }
        self.shared().all.get(name.upstream)?.look_ups.known(name.name.as_str(), question.facts)
    }

    async fn look_up(&self, question: &Question<'_>, name: &Named) -> Outcome {
        let Some(upstream) = self.shared().all.get(name.upstream) else {
            return Err(NotKnown::Fault(Fault::Unreachable("there is no such upstream".into())));
        };
        if name.fresh {
            upstream.look_ups.forget(name.name.as_str());
        }
        // Rare, and large: it must not make every request's future as large.
        let found = Box::pin(self.describe(name.upstream, name.name.as_str(), question.facts, question.charged));
        upstream.look_ups.find(name.name.as_str(), question.facts, found).await
    }
}

/// A grant is retired by its token, or by its key and its id: with both, one could be judged and the other used.
fn names_one_grant(input: &Input) -> Result<(), Exception> {
    let named = |member| input.string(member).is_some();
    if named(Member::GrantToken) && (named(Member::KeyId) || named(Member::GrantId)) {
        return Err(Exception::validation("Specify either a grant token, or a key ID and a grant ID."));
    }
    Ok(())
}

/// The alias that a call is about has no other name: by an ARN or an id one alias would be judged and another changed.
fn alias_of_its_own(input: &Input) -> Result<(), Exception> {
    let Some(name) = input.string(Member::AliasName) else { return Ok(()) };
    if name.starts_with("alias/") { bounded(name) } else { Err(Exception::alias_without_prefix()) }
}

fn bounded(name: &str) -> Result<(), Exception> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    let text = format!("A key or an alias is named by {LONGEST_NAME} characters at most.");
    Err(Exception::validation(text))
}

/// Puts a key in its place among the request's.
fn place(keys: &mut Keys, question: &Question<'_>, name: Named, key: Arc<KeyView>) {
    let found = Some(Found { key: Key::Aws(key), by: name.by });
    if question.input.operation().source() == Some(name.member) {
        keys.source = found;
    } else {
        keys.main = found;
    }
}

/// Why there is no key, in words for this caller.
fn worded(unknown: NotKnown, question: &Question<'_>, member: Member, owner: AccountId) -> Unresolved {
    let denied = |detail: String| foreign(question.input.operation(), member, question.caller).with_detail(detail);
    match unknown {
        // Which keys there are is for their own account to know.
        NotKnown::Refused(exception) if owner != question.caller.account() => denied(exception.to_string()).into(),
        NotKnown::Refused(exception) => exception.into(),
        NotKnown::Denied(detail) => denied(detail.to_string()).into(),
        NotKnown::Fault(fault) => fault.into(),
    }
}
