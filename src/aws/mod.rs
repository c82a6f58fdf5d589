//! Value types of AWS: parsed once, correct by construction, spelled as AWS spells them.

mod access_key;
mod account;
mod alias;
mod arn;
mod digest_id;
mod encryption_context;
mod grant_id;
mod key_id;
mod key_ref;
mod member;
mod operation;
mod output;
mod principal_names;
mod region;
mod regions;
mod tags;
mod upstream_quota;

pub use access_key::{AccessKeyId, InvalidAccessKeyId};
pub use account::{AccountId, InvalidAccountId};
pub use alias::{AliasArn, AliasName, InvalidAliasName};
pub use arn::{Arn, InvalidArn};
pub use encryption_context::{DuplicateKey, EncryptionContext};
pub use grant_id::{GrantId, GrantIdHex, InvalidGrantId};
pub use key_id::{InvalidKeyArn, InvalidKeyId, InvalidKeyMaterialId, KeyArn, KeyId, KeyMaterialHex, KeyMaterialId};
pub use key_ref::{InvalidKeyRef, KeyRef};
pub use member::Member;
pub use operation::{AccessLevel, Class, Operation, Permission, Resource};
pub use output::Output;
pub use principal_names::{MeantAs, PrincipalNames, canonical_principal, principal_hash};
pub use region::{InvalidRegion, Partition, Region};
pub use regions::{InvalidReplicaRegion, Regions, ServedRegion};
pub use tags::Tags;
pub use upstream_quota::UpstreamQuota;
