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
const CROSS_ACCOUNT: u8 = 1 << 4;

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
    /// `AliasName`, the key that the alias has pointed to so far, and if it is `PrimaryRegion`, the replica there.
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
    ($($name:ident: $access:ident, $class:ident, $cap:ident, $flags:expr, [$($key:ident),*], [$($action:ident on $resource:ident $(($of:ident))?),+];)+) => {
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

            /// The value of `X-Amz-Target`.
            #[must_use]
            pub const fn target(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("TrentService.", stringify!($name)),)+
                }
            }

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$name => &Row {
                        access: AccessLevel::$access,
                        class: Class::$class,
                        body_cap: $cap,
                        flags: $flags,
                        key: &[$(Member::$key),*],
                        permissions: &[$(Permission {
                            action: concat!("kms:", stringify!($action)),
                            resource: Resource::$resource $((Member::$of))?,
                        }),+],
                    },)+
                }
            }
        }
    };
}

// `ReplicateKey` makes a key too, in the replica's region (developer guide, "Creating multi-Region replica keys").
//
// Columns: access level, class, longest body, flags, the members that name keys (the main one first, then the one
// something is taken from), the permissions.
operations! {
    GenerateDataKeyWithoutPlaintext: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [GenerateDataKeyWithoutPlaintext on Key(KeyId)];
    GenerateDataKey: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [GenerateDataKey on Key(KeyId)];
    Decrypt: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [Decrypt on Key(KeyId)];
    Encrypt: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [Encrypt on Key(KeyId)];
    ReEncrypt: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [DestinationKeyId, SourceKeyId],
        [ReEncryptFrom on Key(SourceKeyId), ReEncryptTo on Key(DestinationKeyId)];
    GenerateRandom: Write, Symmetric, USUAL_BODY, REPEATABLE, [], [GenerateRandom on Any];
    GenerateMac: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [GenerateMac on Key(KeyId)];
    VerifyMac: Write, Symmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [VerifyMac on Key(KeyId)];
    GenerateDataKeyPair: Write, DataKeyPair, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [GenerateDataKeyPair on Key(KeyId)];
    GenerateDataKeyPairWithoutPlaintext: Write, DataKeyPair, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [GenerateDataKeyPairWithoutPlaintext on Key(KeyId)];
    Sign: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [Sign on Key(KeyId)];
    Verify: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [Verify on Key(KeyId)];
    DeriveSharedSecret: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId],
        [DeriveSharedSecret on Key(KeyId)];
    Encapsulate: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [Encapsulate on Key(KeyId)];
    Decapsulate: Write, Asymmetric, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [Decapsulate on Key(KeyId)];
    DescribeKey: Read, Read, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [DescribeKey on Key(KeyId)];
    GetPublicKey: Read, Read, USUAL_BODY, GRANTABLE | ALIAS | REPEATABLE, [KeyId], [GetPublicKey on Key(KeyId)];
    GetKeyLastUsage: Read, Read, USUAL_BODY, REPEATABLE, [KeyId], [GetKeyLastUsage on Key(KeyId)];
    GetKeyPolicy: Read, Read, USUAL_BODY, REPEATABLE, [KeyId], [GetKeyPolicy on Key(KeyId)];
    GetKeyRotationStatus: Read, Read, USUAL_BODY, REPEATABLE | CROSS_ACCOUNT, [KeyId], [GetKeyRotationStatus on Key(KeyId)];
    GetParametersForImport: Read, Read, USUAL_BODY, REPEATABLE, [KeyId], [GetParametersForImport on Key(KeyId)];
    ListGrants: List, Read, USUAL_BODY, REPEATABLE | CROSS_ACCOUNT, [KeyId], [ListGrants on Key(KeyId)];
    ListKeyPolicies: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [ListKeyPolicies on Key(KeyId)];
    ListKeyRotations: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [ListKeyRotations on Key(KeyId)];
    ListResourceTags: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [ListResourceTags on Key(KeyId)];
    ListAliases: List, Read, USUAL_BODY, REPEATABLE, [KeyId], [ListAliases on Any];
    ListKeys: List, Read, USUAL_BODY, REPEATABLE, [], [ListKeys on Any];
    ListRetirableGrants: List, Read, USUAL_BODY, REPEATABLE, [], [ListRetirableGrants on Any];
    DescribeCustomKeyStores: Read, Read, USUAL_BODY, REPEATABLE, [], [DescribeCustomKeyStores on Any];
    CreateKey: Write, Management, POLICY_BODY, MUTATING, [], [CreateKey on Any];
    ReplicateKey: Write, Management, POLICY_BODY, MUTATING, [KeyId],
        [ReplicateKey on Key(KeyId), CreateKey on Any];
    PutKeyPolicy: PermissionsManagement, Management, POLICY_BODY, MUTATING | REPEATABLE, [KeyId],
        [PutKeyPolicy on Key(KeyId)];
    EnableKey: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId], [EnableKey on Key(KeyId)];
    DisableKey: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId], [DisableKey on Key(KeyId)];
    EnableKeyRotation: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId], [EnableKeyRotation on Key(KeyId)];
    DisableKeyRotation: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [DisableKeyRotation on Key(KeyId)];
    UpdateKeyDescription: Write, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId],
        [UpdateKeyDescription on Key(KeyId)];
    ScheduleKeyDeletion: Write, Management, USUAL_BODY, MUTATING, [KeyId], [ScheduleKeyDeletion on Key(KeyId)];
    CancelKeyDeletion: Write, Management, USUAL_BODY, MUTATING, [KeyId], [CancelKeyDeletion on Key(KeyId)];
    RotateKeyOnDemand: Write, Management, USUAL_BODY, MUTATING, [KeyId], [RotateKeyOnDemand on Key(KeyId)];
    UpdatePrimaryRegion: Write, Management, USUAL_BODY, MUTATING, [KeyId, PrimaryRegion],
        [UpdatePrimaryRegion on Key(KeyId), UpdatePrimaryRegion on Key(PrimaryRegion)];
    ImportKeyMaterial: Write, Management, USUAL_BODY, MUTATING, [KeyId], [ImportKeyMaterial on Key(KeyId)];
    DeleteImportedKeyMaterial: Write, Management, USUAL_BODY, MUTATING, [KeyId],
        [DeleteImportedKeyMaterial on Key(KeyId)];
    TagResource: Tagging, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId], [TagResource on Key(KeyId)];
    UntagResource: Tagging, Management, USUAL_BODY, MUTATING | REPEATABLE, [KeyId], [UntagResource on Key(KeyId)];
    CreateAlias: Write, Management, USUAL_BODY, MUTATING, [TargetKeyId],
        [CreateAlias on Alias, CreateAlias on Key(TargetKeyId)];
    UpdateAlias: Write, Management, USUAL_BODY, MUTATING, [TargetKeyId, AliasName],
        [UpdateAlias on Alias, UpdateAlias on Key(AliasName), UpdateAlias on Key(TargetKeyId)];
    DeleteAlias: Write, Management, USUAL_BODY, MUTATING, [AliasName],
        [DeleteAlias on Alias, DeleteAlias on Key(AliasName)];
    CreateGrant: PermissionsManagement, Management, USUAL_BODY, GRANTABLE | MUTATING, [KeyId],
        [CreateGrant on Key(KeyId)];
    RetireGrant: PermissionsManagement, Management, USUAL_BODY, GRANTABLE | MUTATING, [KeyId],
        [RetireGrant on Key(KeyId)];
    RevokeGrant: PermissionsManagement, Management, USUAL_BODY, MUTATING | CROSS_ACCOUNT, [KeyId], [RevokeGrant on Key(KeyId)];
    ConnectCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [ConnectCustomKeyStore on Any];
    CreateCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [CreateCustomKeyStore on Any];
    DeleteCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [DeleteCustomKeyStore on Any];
    DisconnectCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [DisconnectCustomKeyStore on Any];
    UpdateCustomKeyStore: Write, Management, USUAL_BODY, MUTATING, [], [UpdateCustomKeyStore on Any];
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

    /// The longest answer, in bytes. What reads may be told a key policy, each character perhaps escaped, or a page of a
    /// thousand keys (under 200 KiB); all others are told names and blobs, or what they sent themselves.
    #[must_use]
    pub const fn answer_cap(self) -> usize {
        match self.access_level() {
            AccessLevel::List | AccessLevel::Read => POLICY_BODY,
            AccessLevel::Write | AccessLevel::PermissionsManagement | AccessLevel::Tagging => self.body_cap(),
        }
    }

    /// The member that names the key the call is about; `None` where there is no such key. For `ReEncrypt` it is
    /// the destination, for `DeleteAlias` the alias.
    #[must_use]
    pub fn key(self) -> Option<Member> {
        self.row().key.first().copied()
    }

    /// The member that names the key something is taken from: `ReEncrypt`'s source, `UpdateAlias`'s alias, the region of
    /// the replica that `UpdatePrimaryRegion` takes the place of.
    #[must_use]
    pub fn source(self) -> Option<Member> {
        self.row().key.get(1).copied()
    }

    /// Whether a grant can allow the operation.
    #[must_use]
    pub const fn grantable(self) -> bool {
        self.row().flags & GRANTABLE != 0
    }

    /// Whether a key of another account may be meant, if its policy or a grant lets the caller in. All that a grant can
    /// allow may.
    #[must_use]
    pub const fn cross_account(self) -> bool {
        self.row().flags & (GRANTABLE | CROSS_ACCOUNT) != 0
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

    /// Whether the call makes a key, which is then the one that its answer names.
    #[must_use]
    pub const fn makes_key(self) -> bool {
        matches!(self, Self::CreateKey | Self::ReplicateKey)
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
            assert_eq!(Operation::from_target(operation.target().as_bytes()), Some(*operation));
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
    fn only_re_encrypt_and_replicate_key_ask_for_other_actions_than_their_names() {
        for operation in Operation::ALL {
            let actions: Vec<_> = operation.permissions().iter().map(|permission| permission.action).collect();
            let own = format!("kms:{}", operation.name());
            let expected = match operation {
                Operation::ReEncrypt => vec!["kms:ReEncryptFrom", "kms:ReEncryptTo"],
                Operation::ReplicateKey => vec!["kms:ReplicateKey", "kms:CreateKey"],
                // Once for each thing that it is done to.
                _ => vec![own.as_str(); actions.len()],
            };
            assert_eq!(actions, expected);
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
        assert_eq!(Operation::Decrypt.answer_cap(), 131_072);
        // A policy of 131,072 characters, each written as six (RFC 8259 section 7).
        for with_policy in [Operation::GetKeyPolicy, Operation::ReplicateKey] {
            assert!(with_policy.answer_cap() > 6 * 131_072, "{with_policy:?}");
        }
    }
}
