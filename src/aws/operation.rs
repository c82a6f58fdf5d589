//! The operations of AWS KMS, one row each: the one place to add one.
//!
//! Everything that differs by operation and not by request stands here: what a caller must be allowed, which
//! members name keys, how long a body may be, and whether the call changes anything. Sources: the service's
//! model, AWS's service authorization reference and the quota pages.

use super::Member;

/// The prefix of `X-Amz-Target`; AWS KMS was called Trent once.
const TARGET_PREFIX: &[u8] = b"TrentService.";
/// Longest body of most operations: ten grant tokens of 8,192 characters, an encryption context, a blob.
const USUAL_BODY: usize = 128 * 1024;
/// Longest body of the operations that take a key policy of up to 131,072 characters, each perhaps escaped.
const POLICY_BODY: usize = 1024 * 1024;

const GRANTABLE: u8 = 1;
const ALIAS: u8 = 1 << 1;
const MUTATING: u8 = 1 << 2;
const REPEATABLE: u8 = 1 << 3;

/// One pair of an IAM action and the resource it is asked for. A call needs all of its operation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The action as policies write it: `kms:Decrypt`.
    pub action: &'static str,
    /// What the action is done to.
    pub resource: Resource,
}

/// What an action is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The key that this member names, or, for `Decrypt` and `ReEncrypt`, the ciphertext; if the member is
    /// `AliasName`, the key that the alias has pointed to so far.
    Key(Member),
    /// The alias itself, by its ARN. Decided by identity policies alone.
    Alias,
    /// No resource: `*`.
    Any,
}

/// What kind of thing an operation does, as AWS's service authorization reference classes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLevel {
    /// Names things.
    List,
    /// Reads without changing.
    Read,
    /// Creates, changes, deletes, or uses a key.
    Write,
    /// Changes who may do what.
    PermissionsManagement,
    /// Changes tags alone.
    Tagging,
}

/// The pool of a rate limit that an operation draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// AWS's shared quota of symmetric cryptographic operations. (With an RSA or SM2 key, `Encrypt`, `Decrypt` and
    /// `ReEncrypt` count as asymmetric.)
    Symmetric,
    /// Signatures, key agreement and encapsulation.
    Asymmetric,
    /// Data key pairs, which are slow to make.
    DataKeyPair,
    /// Descriptions and lists.
    Read,
    /// Everything that changes keys, aliases, grants, policies and key stores.
    Management,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Symmetric, Self::Asymmetric, Self::DataKeyPair, Self::Read, Self::Management];

    /// The name in configuration and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Symmetric => "symmetric",
            Self::Asymmetric => "asymmetric",
            Self::DataKeyPair => "data_key_pair",
            Self::Read => "read",
            Self::Management => "management",
        }
    }
}

/// All that the table says of one operation.
struct Row {
    access: AccessLevel,
    class: Class,
    body_cap: usize,
    flags: u8,
    key: &'static [Member],
    permissions: &'static [Permission],
}

macro_rules! operations {
    ($($name:ident: $access:ident, $class:ident, $cap:ident, $flags:expr, [$($key:ident),*], [$(($action:literal, $resource:expr)),+];)+) => {
        /// An operation of the KMS API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)+
        }

        impl Operation {
            /// Every operation, the data-key calls first.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The operation's name, as `X-Amz-Target` and CloudTrail's `eventName` have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            const fn row(self) -> &'static Row {
                use Resource::{Alias, Any, Key};
                match self {
                    $(Self::$name => &Row {
                        access: AccessLevel::$access,
                        class: Class::$class,
                        body_cap: $cap,
                        flags: $flags,
                        key: &[$(Member::$key),*],
                        permissions: &[$(Permission { action: $action, resource: $resource }),+],
                    },)+
                }
            }
        }
    };
}

// Columns: access level, class, longest body, flags, the members that name keys (the main one first; then the one the
// call takes something from), the permissions.
operations! {
    GenerateDataKeyWithoutPlaintext: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:GenerateDataKeyWithoutPlaintext", Key(Member::KeyId))];
    GenerateDataKey: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:GenerateDataKey", Key(Member::KeyId))];
    Decrypt: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:Decrypt", Key(Member::KeyId))];
    Encrypt: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:Encrypt", Key(Member::KeyId))];
    ReEncrypt: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [DestinationKeyId, SourceKeyId],
        [("kms:ReEncryptFrom", Key(Member::SourceKeyId)), ("kms:ReEncryptTo", Key(Member::DestinationKeyId))];
    GenerateRandom: Write, Symmetric, USUAL_BODY, REPEATABLE, [], [("kms:GenerateRandom", Any)];
    GenerateMac: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:GenerateMac", Key(Member::KeyId))];
    VerifyMac: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:VerifyMac", Key(Member::KeyId))];
    GenerateDataKeyPair: Write, DataKeyPair, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:GenerateDataKeyPair", Key(Member::KeyId))];
    GenerateDataKeyPairWithoutPlaintext: Write, DataKeyPair, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:GenerateDataKeyPairWithoutPlaintext", Key(Member::KeyId))];
    Sign: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [("kms:Sign", Key(Member::KeyId))];
    Verify: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:Verify", Key(Member::KeyId))];
    DeriveSharedSecret: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:DeriveSharedSecret", Key(Member::KeyId))];
    Encapsulate: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:Encapsulate", Key(Member::KeyId))];
    Decapsulate: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:Decapsulate", Key(Member::KeyId))];
    DescribeKey: Read, Read, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:DescribeKey", Key(Member::KeyId))];
    GetPublicKey: Read, Read, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [("kms:GetPublicKey", Key(Member::KeyId))];
    GetKeyLastUsage: Read, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:GetKeyLastUsage", Key(Member::KeyId))];
    GetKeyPolicy: Read, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:GetKeyPolicy", Key(Member::KeyId))];
    GetKeyRotationStatus: Read, Read, USUAL_BODY, REPEATABLE, [KeyId],
        [("kms:GetKeyRotationStatus", Key(Member::KeyId))];
    GetParametersForImport: Read, Read, USUAL_BODY, REPEATABLE, [KeyId],
        [("kms:GetParametersForImport", Key(Member::KeyId))];
    ListGrants: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:ListGrants", Key(Member::KeyId))];
    ListKeyPolicies: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:ListKeyPolicies", Key(Member::KeyId))];
    ListKeyRotations: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:ListKeyRotations", Key(Member::KeyId))];
    ListResourceTags: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:ListResourceTags", Key(Member::KeyId))];
    ListAliases: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [("kms:ListAliases", Any)];
    ListKeys: List, Read, USUAL_BODY, REPEATABLE, [], [("kms:ListKeys", Any)];
    ListRetirableGrants: List, Read, USUAL_BODY, REPEATABLE, [], [("kms:ListRetirableGrants", Any)];
    DescribeCustomKeyStores: Read, Read, USUAL_BODY, REPEATABLE, [], [("kms:DescribeCustomKeyStores", Any)];
    CreateKey: Write, Management, POLICY_BODY, MUTATING, [], [("kms:CreateKey", Any)];
    ReplicateKey: Write, Management, POLICY_BODY, MUTATING, [KeyId], [("kms:ReplicateKey", Key(Member::KeyId))];
    PutKeyPolicy: PermissionsManagement, Management, POLICY_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:PutKeyPolicy", Key(Member::KeyId))];
    EnableKey: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId], [("kms:EnableKey", Key(Member::KeyId))];
    DisableKey: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:DisableKey", Key(Member::KeyId))];
    EnableKeyRotation: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:EnableKeyRotation", Key(Member::KeyId))];
    DisableKeyRotation: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:DisableKeyRotation", Key(Member::KeyId))];
    UpdateKeyDescription: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:UpdateKeyDescription", Key(Member::KeyId))];
    ScheduleKeyDeletion: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:ScheduleKeyDeletion", Key(Member::KeyId))];
    CancelKeyDeletion: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:CancelKeyDeletion", Key(Member::KeyId))];
    RotateKeyOnDemand: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:RotateKeyOnDemand", Key(Member::KeyId))];
    UpdatePrimaryRegion: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:UpdatePrimaryRegion", Key(Member::KeyId))];
    ImportKeyMaterial: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:ImportKeyMaterial", Key(Member::KeyId))];
    DeleteImportedKeyMaterial: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:DeleteImportedKeyMaterial", Key(Member::KeyId))];
    TagResource: Tagging, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:TagResource", Key(Member::KeyId))];
    UntagResource: Tagging, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [("kms:UntagResource", Key(Member::KeyId))];
    CreateAlias: Write, Management, USUAL_BODY, MUTATING, [TargetKeyId],
        [("kms:CreateAlias", Alias), ("kms:CreateAlias", Key(Member::TargetKeyId))];
    UpdateAlias: Write, Management, USUAL_BODY, MUTATING, [TargetKeyId, AliasName],
        [("kms:UpdateAlias", Alias), ("kms:UpdateAlias", Key(Member::AliasName)),
         ("kms:UpdateAlias", Key(Member::TargetKeyId))];
    DeleteAlias: Write, Management, USUAL_BODY, MUTATING, [AliasName],
        [("kms:DeleteAlias", Alias), ("kms:DeleteAlias", Key(Member::AliasName))];
    CreateGrant: PermissionsManagement, Management, USUAL_BODY, GRANTABLE | MUTATING, [KeyId],
        [("kms:CreateGrant", Key(Member::KeyId))];
    RetireGrant: PermissionsManagement, Management, USUAL_BODY, GRANTABLE | MUTATING, [KeyId],
        [("kms:RetireGrant", Key(Member::KeyId))];
    RevokeGrant: PermissionsManagement, Management, USUAL_BODY, MUTATING, [KeyId],
        [("kms:RevokeGrant", Key(Member::KeyId))];
    ConnectCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [("kms:ConnectCustomKeyStore", Any)];
    CreateCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [("kms:CreateCustomKeyStore", Any)];
    DeleteCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [("kms:DeleteCustomKeyStore", Any)];
    DisconnectCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [("kms:DisconnectCustomKeyStore", Any)];
    UpdateCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [("kms:UpdateCustomKeyStore", Any)];
}

impl Operation {
    /// Reads the value of `X-Amz-Target`, case and prefix exactly as AWS has them.
    #[must_use]
    pub fn from_target(target: &[u8]) -> Option<Self> {
        let name = target.strip_prefix(TARGET_PREFIX)?;
        Self::ALL.iter().copied().find(|operation| operation.name().as_bytes() == name)
    }

    /// What a caller must be allowed: all of these.
    #[must_use]
    pub const fn permissions(self) -> &'static [Permission] {
        self.row().permissions
    }

    /// AWS's class of the operation's actions.
    #[must_use]
    pub const fn access_level(self) -> AccessLevel {
        self.row().access
    }

    /// The pool of rate limits that a call draws from.
    #[must_use]
    pub const fn class(self) -> Class {
        self.row().class
    }

    /// The longest body, in bytes.
    #[must_use]
    pub const fn body_cap(self) -> usize {
        self.row().body_cap
    }

    /// The member that names the key the call is about; `None` where there is no such key. For `ReEncrypt` it is
    /// the destination, for `DeleteAlias` the alias.
    #[must_use]
    pub fn key(self) -> Option<Member> {
        self.row().key.first().copied()
    }

    /// The member that names the key something is taken from: `ReEncrypt`'s source, `UpdateAlias`'s alias.
    #[must_use]
    pub fn source(self) -> Option<Member> {
        self.row().key.get(1).copied()
    }

    /// Whether a grant can allow the operation.
    #[must_use]
    pub const fn grantable(self) -> bool {
        self.row().flags & GRANTABLE != 0
    }

    /// Whether a key may be named by an alias.
    #[must_use]
    pub const fn accepts_alias(self) -> bool {
        self.row().flags & ALIAS != 0
    }

    /// Whether the call changes anything that lasts. CloudTrail's `readOnly` is its opposite.
    #[must_use]
    pub const fn mutating(self) -> bool {
        self.row().flags & MUTATING != 0
    }

    /// Whether the same call may be made twice without harm, so that one without an answer may be sent again.
    #[must_use]
    pub const fn repeatable(self) -> bool {
        self.row().flags & REPEATABLE != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_is_found_by_its_target_and_by_nothing_else() {
        for operation in Operation::ALL {
            let name = operation.name();
            assert_eq!(Operation::from_target(format!("TrentService.{name}").as_bytes()), Some(*operation));
            for other in [
                name.to_owned(),
                format!("trentservice.{name}"),
                format!("TrentService.{}", name.to_lowercase()),
                format!("TrentService.{name} "),
                format!("TrentService.TrentService.{name}"),
            ] {
                assert_eq!(Operation::from_target(other.as_bytes()), None, "{other}");
            }
        }
        assert_eq!(Operation::from_target(b"TrentService."), None);
        assert_eq!(Operation::from_target(b""), None);
    }

    #[test]
    fn names_are_unique_and_complete() {
        let names: HashSet<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!((names.len(), Operation::ALL.len()), (56, 56));
    }

    #[test]
    fn only_re_encrypt_asks_for_other_actions_than_its_name() {
        for operation in Operation::ALL {
            let actions: Vec<_> = operation.permissions().iter().map(|permission| permission.action).collect();
            if *operation == Operation::ReEncrypt {
                assert_eq!(actions, ["kms:ReEncryptFrom", "kms:ReEncryptTo"]);
            } else {
                assert!(actions.iter().all(|action| *action == format!("kms:{}", operation.name())), "{actions:?}");
            }
        }
    }

    #[test]
    fn every_key_that_must_be_allowed_is_a_key_that_is_resolved() {
        for operation in Operation::ALL {
            for permission in operation.permissions() {
                if let Resource::Key(member) = permission.resource {
                    let resolved = [operation.key(), operation.source()];
                    assert!(resolved.contains(&Some(member)), "{operation:?}: {member:?}");
                }
            }
        }
    }

    #[test]
    fn grants_reach_the_operations_that_aws_lists() {
        // CreateGrant's `Operations` in the service's model, with ReEncryptFrom and ReEncryptTo as ReEncrypt.
        let listed: HashSet<&str> = aws_sdk_kms::types::GrantOperation::values()
            .iter()
            .map(|name| if name.starts_with("ReEncrypt") { "ReEncrypt" } else { name })
            .collect();
        let grantable: HashSet<&str> =
            Operation::ALL.iter().filter(|operation| operation.grantable()).map(|operation| operation.name()).collect();
        assert_eq!(grantable, listed);
    }

    #[test]
    fn what_changes_nothing_is_repeatable_and_every_body_has_its_cap() {
        for operation in Operation::ALL {
            assert!(operation.mutating() || operation.repeatable(), "{operation:?}");
            assert!(matches!(operation.body_cap(), 1..=1_048_576), "{operation:?}");
        }
        assert_eq!(Operation::GenerateDataKeyWithoutPlaintext.body_cap(), 131_072);
    }
}
