//! The keys of one request, whichever backend found them: what is found is judged, and what was judged is used.

use std::sync::Arc;

use super::{aws, local};
use crate::aws::{AccountId, AliasName, KeyArn, Member, Operation, Resource, Tags};
use crate::credentials::PrincipalArn;
use crate::grants::{Grant, Grants};
use crate::kms::Exception;
use crate::limits::Subject;
use crate::policy::{self, KeyPolicy, foreign_message};

/// The keys of one request.
#[derive(Debug)]
pub struct Keys {
    /// Whose KMS is asked.
    pub account: AccountId,
    /// The key that the call is about; for `ReEncrypt` the destination, for `Decrypt` without a `KeyId` the
    /// ciphertext's, for `UpdateAlias` the one that the alias is to point to, for `DeleteAlias` the one it points to.
    pub main: Option<Found>,
    /// The key that something is taken from: that which `ReEncrypt`'s ciphertext is under, or `UpdateAlias`'s alias has
    /// pointed to so far, or that which `UpdatePrimaryRegion` makes the primary key, if there is such a replica.
    pub source: Option<Found>,
    /// For `RetireGrant`: the grant, which says who may retire it.
    pub grant: Option<Arc<Grant>>,
    /// The ciphertext's key is known to the upstream alone: its answer names it, and is judged by it.
    pub told_by_answer: bool,
}

impl Keys {
    /// No key.
    #[must_use]
    pub const fn none(account: AccountId) -> Self {
        Self { account, main: None, source: None, grant: None, told_by_answer: false }
    }

    /// The key that this member names.
    #[must_use]
    pub fn of(&self, operation: Operation, member: Member) -> Option<&Found> {
        if operation.source() == Some(member) { self.source.as_ref() } else { self.main.as_ref() }
    }

    /// All of them, in the order of CloudTrail's `resources`: first what is taken from.
    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.source.iter().chain(&self.main)
    }
}

/// A key that was found.
#[derive(Debug)]
pub struct Found {
    /// The key as it was then.
    pub key: Key,
    /// How the request named it.
    pub by: NamedBy,
}

impl Found {
    /// Whether a caller who may not use this key is answered as if it were not here.
    #[must_use]
    pub const fn hidden(&self) -> bool {
        matches!(self.by, NamedBy::ForeignCiphertext)
    }
}

/// How a request names a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// By its id or ARN, or by a token of a grant for it.
    Key,
    /// By this alias, with its prefix and without the rest of its ARN.
    Alias(Box<str>),
    /// By a ciphertext alone: whoever may not use the key is not told which one it is.
    Ciphertext,
    /// By a ciphertext alone that another store made, or nobody: whoever may not use the key is not told that it is
    /// here.
    ForeignCiphertext,
}

/// A key, of the backend that found it.
#[derive(Clone, Debug)]
pub enum Key {
    /// Of the embedded store.
    Local(Arc<local::KeyView>),
    /// Of an upstream.
    Aws(Arc<aws::KeyView>),
}

/// What a key is judged by. What is not known of it is absent, or was not asked for because no policy does.
impl Key {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &KeyArn {
        match self {
            Self::Local(key) => &key.arn,
            Self::Aws(key) => &key.arn,
        }
    }

    /// Whose quota requests for it use up.
    #[must_use]
    pub fn quota(&self) -> Subject {
        match self {
            Self::Local(key) => key.quota,
            Self::Aws(key) => key.quota,
        }
    }

    /// Its policy, if that is the gateway's to judge by. An upstream judges by its own.
    #[must_use]
    pub fn policy(&self) -> Option<&KeyPolicy> {
        match self {
            Self::Local(key) => Some(key.policy.compiled()),
            Self::Aws(_) => None,
        }
    }

    /// What it lets whom do beside all policies.
    #[must_use]
    pub fn grants(&self) -> Option<&Grants> {
        match self {
            Self::Local(key) => Some(&key.grants),
            Self::Aws(_) => None,
        }
    }

    /// `KeySpec`
    #[must_use]
    pub fn spec(&self) -> Option<&str> {
        match self {
            Self::Local(key) => Some(key.spec.name()),
            Self::Aws(key) => key.metadata.as_ref().map(|metadata| &*metadata.spec),
        }
    }

    /// `KeyUsage`
    #[must_use]
    pub fn usage(&self) -> Option<&str> {
        match self {
            Self::Local(key) => Some(key.usage.name()),
            Self::Aws(key) => key.metadata.as_ref().map(|metadata| &*metadata.usage),
        }
    }

    /// `Origin`
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Local(key) => Some(key.origin.name()),
            Self::Aws(key) => key.metadata.as_ref().map(|metadata| &*metadata.origin),
        }
    }

    /// `PRIMARY` or `REPLICA`, of a multi-Region key.
    #[must_use]
    pub fn multi_region_key_type(&self) -> Option<&str> {
        match self {
            Self::Local(key) if key.multi_region.is_none() => None,
            Self::Local(key) => Some(if key.is_replica() { "REPLICA" } else { "PRIMARY" }),
            Self::Aws(key) => key.metadata.as_ref()?.multi_region_key_type.as_deref(),
        }
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        match self {
            Self::Local(key) => &key.tags,
            Self::Aws(key) => &key.tags,
        }
    }

    /// The aliases that point to it.
    #[must_use]
    pub fn aliases(&self) -> &[AliasName] {
        match self {
            Self::Local(key) => &key.aliases,
            Self::Aws(key) => &key.aliases,
        }
    }

    /// A request was refused for what this key is: it may have been changed since it was looked up.
    pub fn doubt(&self) {
        match self {
            // What the store has is so.
            Self::Local(_) => {}
            Self::Aws(key) => key.doubt(),
        }
    }

    /// The key of the embedded store.
    #[must_use]
    pub const fn local(&self) -> Option<&Arc<local::KeyView>> {
        match self {
            Self::Local(key) => Some(key),
            Self::Aws(_) => None,
        }
    }
}

/// A key of another account that is not here, or cannot be meant by this operation. Whether there is one is not told.
pub(super) fn foreign(operation: Operation, member: Member, caller: &PrincipalArn) -> Exception {
    let permissions = operation.permissions();
    let on_key = permissions.iter().find(|permission| permission.resource == Resource::Key(member));
    let action = on_key.or(permissions.first()).map_or("", |permission| permission.action);
    Exception::access_denied(foreign_message(caller.caller(), action, policy::Subject::Resource("")))
}
