//! Condition keys: the facts of a request that a policy may ask for.
//!
//! A key's name is read once, when the document is loaded; a request is judged by [`ConditionKey`], so nothing
//! compares names then. Names are case-insensitive, also the part that the author chooses
//! (`kms:EncryptionContext:AppName`). Source: the KMS developer guide and the IAM user guide.

use std::fmt;
use std::str::FromStr;

use super::fault::{Fault, Path, Refusal};
use crate::faults::edits;

/// The part of a condition key that names a member or a tag. Compared without regard to (ASCII) case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CaselessName(Box<str>);

impl CaselessName {
    /// Takes `name` as it is written.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_ascii_lowercase().into())
    }

    /// Whether `name` is this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many values a key can have in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Single,
    Multi,
}

macro_rules! condition_keys {
    ($($variant:ident $name:literal $count:ident;)*) => {
        /// A condition key of KMS, a global one of AWS, or one this module does not know.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum ConditionKey {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// `kms:EncryptionContext:NAME`: the value of that pair of the encryption context.
            EncryptionContext(CaselessName),
            /// `kms:RecipientAttestation:PCR0` to `PCR31`
            RecipientAttestationPcr(u8),
            /// `kms:RecipientAttestation:NitroTPMPCR0` to `NitroTPMPCR23`
            RecipientAttestationNitroTpmPcr(u8),
            /// `aws:PrincipalTag/NAME`: a tag of the caller.
            PrincipalTag(CaselessName),
            /// `aws:ResourceTag/NAME`: a tag of the KMS key.
            ResourceTag(CaselessName),
            /// `aws:RequestTag/NAME`: a tag that the request would set.
            RequestTag(CaselessName),
            /// Any other key, whole. Absent, unless the caller of this module gives it a meaning.
            Other(CaselessName),
        }

        /// Every key with a fixed name.
        const FIXED: &[(&str, ConditionKey, Count)] = &[$(($name, ConditionKey::$variant, Count::$count),)*];
    };
}

condition_keys! {
    CallerAccount "kms:CallerAccount" Single;
    ViaService "kms:ViaService" Single;
    KeySpec "kms:KeySpec" Single;
    KeyUsage "kms:KeyUsage" Single;
    KeyOrigin "kms:KeyOrigin" Single;
    MultiRegion "kms:MultiRegion" Single;
    MultiRegionKeyType "kms:MultiRegionKeyType" Single;
    ResourceAliases "kms:ResourceAliases" Multi;
    RequestAlias "kms:RequestAlias" Single;
    EncryptionContextKeys "kms:EncryptionContextKeys" Multi;
    EncryptionAlgorithm "kms:EncryptionAlgorithm" Single;
    DataKeyPairSpec "kms:DataKeyPairSpec" Single;
    ReEncryptOnSameKey "kms:ReEncryptOnSameKey" Single;
    RecipientAttestationImageSha384 "kms:RecipientAttestation:ImageSha384" Single;
    GrantConstraintType "kms:GrantConstraintType" Single;
    GrantConstraintSourceArn "kms:GrantConstraintSourceArn" Single;
    GrantIsForAwsResource "kms:GrantIsForAWSResource" Single;
    GrantOperations "kms:GrantOperations" Multi;
    GranteePrincipal "kms:GranteePrincipal" Single;
    GranteeServicePrincipal "kms:GranteeServicePrincipal" Single;
    RetiringPrincipal "kms:RetiringPrincipal" Single;
    RetiringServicePrincipal "kms:RetiringServicePrincipal" Single;
    MacAlgorithm "kms:MacAlgorithm" Single;
    SigningAlgorithm "kms:SigningAlgorithm" Single;
    MessageType "kms:MessageType" Single;
    KeyAgreementAlgorithm "kms:KeyAgreementAlgorithm" Single;
    BypassPolicyLockoutSafetyCheck "kms:BypassPolicyLockoutSafetyCheck" Single;
    RotationPeriodInDays "kms:RotationPeriodInDays" Single;
    ScheduleKeyDeletionPendingWindowInDays "kms:ScheduleKeyDeletionPendingWindowInDays" Single;
    TrailingDaysWithoutKeyUsage "kms:TrailingDaysWithoutKeyUsage" Single;
    PrimaryRegion "kms:PrimaryRegion" Single;
    ReplicaRegion "kms:ReplicaRegion" Single;
    ExpirationModel "kms:ExpirationModel" Single;
    ValidTo "kms:ValidTo" Single;
    WrappingAlgorithm "kms:WrappingAlgorithm" Single;
    WrappingKeySpec "kms:WrappingKeySpec" Single;
    CustomerMasterKeySpec "kms:CustomerMasterKeySpec" Single;
    CustomerMasterKeyUsage "kms:CustomerMasterKeyUsage" Single;
    PrincipalArn "aws:PrincipalArn" Single;
    PrincipalAccount "aws:PrincipalAccount" Single;
    PrincipalType "aws:PrincipalType" Single;
    UserId "aws:userid" Single;
    Username "aws:username" Single;
    PrincipalOrgId "aws:PrincipalOrgID" Single;
    PrincipalOrgPaths "aws:PrincipalOrgPaths" Multi;
    PrincipalIsAwsService "aws:PrincipalIsAWSService" Single;
    PrincipalServiceName "aws:PrincipalServiceName" Single;
    PrincipalServiceNamesList "aws:PrincipalServiceNamesList" Multi;
    ViaAwsService "aws:ViaAWSService" Single;
    CalledVia "aws:CalledVia" Multi;
    CalledViaFirst "aws:CalledViaFirst" Single;
    CalledViaLast "aws:CalledViaLast" Single;
    SourceIp "aws:SourceIp" Single;
    VpcSourceIp "aws:VpcSourceIp" Single;
    SourceVpc "aws:SourceVpc" Single;
    SourceVpce "aws:SourceVpce" Single;
    SecureTransport "aws:SecureTransport" Single;
    CurrentTime "aws:CurrentTime" Single;
    EpochTime "aws:EpochTime" Single;
    TokenIssueTime "aws:TokenIssueTime" Single;
    MultiFactorAuthPresent "aws:MultiFactorAuthPresent" Single;
    MultiFactorAuthAge "aws:MultiFactorAuthAge" Single;
    SourceIdentity "aws:SourceIdentity" Single;
    FederatedProvider "aws:FederatedProvider" Single;
    RequestedRegion "aws:RequestedRegion" Single;
    ResourceAccount "aws:ResourceAccount" Single;
    ResourceOrgId "aws:ResourceOrgID" Single;
    ResourceOrgPaths "aws:ResourceOrgPaths" Multi;
    TagKeys "aws:TagKeys" Multi;
    UserAgent "aws:UserAgent" Single;
    Referer "aws:Referer" Single;
    SourceArn "aws:SourceArn" Single;
    SourceAccount "aws:SourceAccount" Single;
    SourceOrgId "aws:SourceOrgID" Single;
    Ec2InstanceSourceVpc "aws:Ec2InstanceSourceVpc" Single;
    Ec2InstanceSourcePrivateIpv4 "aws:Ec2InstanceSourcePrivateIPv4" Single;
    Ec2RoleDelivery "ec2:RoleDelivery" Single;
    Ec2SourceInstanceArn "ec2:SourceInstanceArn" Single;
    AssumedRoot "aws:AssumedRoot" Single;
}

/// Keys that requests have when they come through a VPC, from a service of AWS's, from an enclave, or from an account of
/// an organization: a gateway knows nothing of these.
const ABSENT_HERE: &[ConditionKey] = &[
    ConditionKey::ViaService,
    ConditionKey::TrailingDaysWithoutKeyUsage,
    ConditionKey::PrincipalOrgId,
    ConditionKey::PrincipalOrgPaths,
    ConditionKey::PrincipalServiceName,
    ConditionKey::PrincipalServiceNamesList,
    ConditionKey::CalledVia,
    ConditionKey::CalledViaFirst,
    ConditionKey::CalledViaLast,
    ConditionKey::VpcSourceIp,
    ConditionKey::SourceVpc,
    ConditionKey::SourceVpce,
    ConditionKey::TokenIssueTime,
    ConditionKey::MultiFactorAuthPresent,
    ConditionKey::MultiFactorAuthAge,
    ConditionKey::SourceIdentity,
    ConditionKey::FederatedProvider,
    ConditionKey::ResourceOrgId,
    ConditionKey::ResourceOrgPaths,
    ConditionKey::SourceArn,
    ConditionKey::SourceAccount,
    ConditionKey::SourceOrgId,
    ConditionKey::Ec2InstanceSourceVpc,
    ConditionKey::Ec2InstanceSourcePrivateIpv4,
    ConditionKey::Ec2RoleDelivery,
    ConditionKey::Ec2SourceInstanceArn,
    ConditionKey::AssumedRoot,
];

/// A key whose name ends in a part of the author's choice: what stands before it, and how to make it.
type Family = (&'static str, fn(CaselessName) -> ConditionKey);

const FAMILIES: [Family; 4] = [
    ("kms:EncryptionContext:", ConditionKey::EncryptionContext),
    ("aws:PrincipalTag/", ConditionKey::PrincipalTag),
    ("aws:ResourceTag/", ConditionKey::ResourceTag),
    ("aws:RequestTag/", ConditionKey::RequestTag),
];

const NITRO_TPM_PCR: &str = "kms:RecipientAttestation:NitroTPMPCR";
const PCR: &str = "kms:RecipientAttestation:PCR";

impl ConditionKey {
    /// Reads a key's name as a policy has it.
    pub(super) fn parse(name: &str) -> Result<Self, Refusal> {
        if let Some((_, key, _)) = FIXED.iter().find(|(fixed, ..)| fixed.eq_ignore_ascii_case(name)) {
            return Ok(key.clone());
        }
        for (prefix, make) in FAMILIES {
            match strip_prefix_caseless(name, prefix) {
                Some("") => return Err(Refusal::new(format!("`{name}` does not say which value is meant"))),
                Some(rest) => return Ok(make(CaselessName::new(rest))),
                None => {}
            }
        }
        if let Some(number) = register(name, NITRO_TPM_PCR, 23) {
            return Ok(Self::RecipientAttestationNitroTpmPcr(number));
        }
        if let Some(number) = register(name, PCR, 31) {
            return Ok(Self::RecipientAttestationPcr(number));
        }
        match name.split_once(':') {
            Some((service, rest)) if !service.is_empty() && !rest.is_empty() => {
                Ok(Self::Other(CaselessName::new(name)))
            }
            _ => Err(Refusal::new(format!("`{name}` is no condition key"))
                .did_you_mean(name, FIXED.iter().map(|(fixed, ..)| *fixed))
                .hint_if_none("a condition key has the form `service:Name`, as `aws:username`")),
        }
    }

    /// Whether one request can have several values for this key.
    #[must_use]
    pub fn is_multi_valued(&self) -> bool {
        FIXED.iter().any(|(_, key, count)| key == self && *count == Count::Multi)
    }

    /// Whether it is a key of AWS's that no request at a gateway has a value for.
    pub(super) fn is_absent_here(&self) -> bool {
        ABSENT_HERE.contains(self)
            || matches!(self, Self::RecipientAttestationPcr(_) | Self::RecipientAttestationNitroTpmPcr(_))
    }

    /// Whether it is a value of the request by name, which KMS refuses to see under `ForAllValues`.
    pub(super) fn is_single_valued_of_request(&self) -> bool {
        matches!(self, Self::EncryptionContext(_) | Self::RequestTag(_))
    }

    /// This key as the policy of a KMS key has it: what only identity policies can test is absent there.
    pub(super) fn in_key_policy(self) -> Self {
        match self {
            Self::ResourceAliases => Self::Other(CaselessName::new("kms:ResourceAliases")),
            other => other,
        }
    }

    /// What to tell an author who wrote a key that no request will ever have, and probably meant another.
    pub(super) fn misspelt(&self, written: &str) -> Option<Refusal> {
        let Self::Other(name) = self else { return None };
        let service = name.as_str().split(':').next().unwrap_or_default();
        if !["kms", "aws"].iter().any(|known| edits(service, known) <= 1) {
            return None;
        }
        let families = FAMILIES.iter().map(|(prefix, _)| *prefix);
        let names = FIXED.iter().map(|(fixed, ..)| *fixed).chain(families);
        Some(Refusal::new(format!("no request has the condition key `{written}`")).did_you_mean(written, names))
    }
}

impl FromStr for ConditionKey {
    type Err = Fault;

    /// Reads a key's name as a policy has it, without regard to case.
    fn from_str(name: &str) -> Result<Self, Fault> {
        Self::parse(name).map_err(|refusal| refusal.at(&Path::default()))
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EncryptionContext(name) => write!(f, "kms:EncryptionContext:{}", name.as_str()),
            Self::RecipientAttestationPcr(number) => write!(f, "{PCR}{number}"),
            Self::RecipientAttestationNitroTpmPcr(number) => write!(f, "{NITRO_TPM_PCR}{number}"),
            Self::PrincipalTag(name) => write!(f, "aws:PrincipalTag/{}", name.as_str()),
            Self::ResourceTag(name) => write!(f, "aws:ResourceTag/{}", name.as_str()),
            Self::RequestTag(name) => write!(f, "aws:RequestTag/{}", name.as_str()),
            Self::Other(name) => f.write_str(name.as_str()),
            fixed => FIXED.iter().filter(|(_, key, _)| key == fixed).try_for_each(|(name, ..)| f.write_str(name)),
        }
    }
}

fn strip_prefix_caseless<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The number after `prefix`, written as plain decimal and at most `last`.
fn register(name: &str, prefix: &str, last: u8) -> Option<u8> {
    let digits = strip_prefix_caseless(name, prefix)?;
    let number: u8 = digits.parse().ok()?;
    (number <= last && number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_regard_to_case() {
        for (name, key) in [
            ("KMS:keyspec", ConditionKey::KeySpec),
            ("aws:UserName", ConditionKey::Username),
            ("aws:userID", ConditionKey::UserId),
            ("kms:encryptioncontext:AppName", ConditionKey::EncryptionContext(CaselessName::new("appname"))),
            ("kms:EncryptionContext:a:b/c", ConditionKey::EncryptionContext(CaselessName::new("A:B/C"))),
            ("aws:principaltag/Team", ConditionKey::PrincipalTag(CaselessName::new("team"))),
            ("kms:RecipientAttestation:PCR31", ConditionKey::RecipientAttestationPcr(31)),
            ("kms:recipientattestation:nitrotpmpcr7", ConditionKey::RecipientAttestationNitroTpmPcr(7)),
            ("s3:prefix", ConditionKey::Other(CaselessName::new("s3:Prefix"))),
            (
                "kms:RecipientAttestation:PCR32",
                ConditionKey::Other(CaselessName::new("kms:RecipientAttestation:PCR32")),
            ),
        ] {
            assert_eq!(ConditionKey::parse(name), Ok(key), "{name}");
        }
    }

    #[test]
    fn every_key_displays_as_it_is_read() {
        for (name, key, _) in FIXED {
            assert_eq!(key.to_string(), *name);
            assert_eq!(ConditionKey::parse(name), Ok(key.clone()));
        }
        let tag = ConditionKey::parse("aws:ResourceTag/Tier").unwrap();
        assert_eq!(ConditionKey::parse(&tag.to_string()), Ok(tag));
    }

    #[test]
    fn what_is_no_key_is_refused_and_what_is_misspelt_is_noticed() {
        for name in ["", "username", ":x", "kms:", "aws:PrincipalTag/", "kms:EncryptionContext:"] {
            assert!(ConditionKey::parse(name).is_err(), "{name}");
        }
        for (name, near) in [
            ("kms:KeySpek", Some("kms:KeySpec")),
            ("aws:PrincipleArn", Some("aws:PrincipalArn")),
            ("asw:SourceIp", Some("aws:SourceIp")),
            ("s3:prefix", None),
        ] {
            let warning = ConditionKey::parse(name).unwrap().misspelt(name);
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            assert_eq!(warning.and_then(|w| w.at(&crate::policy::fault::Path::default()).hint), hint, "{name}");
        }
    }
}
