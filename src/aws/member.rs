//! The names of request members, each written once.
//!
//! The operation table says by a [`Member`] which argument names a key; the request model gives every
//! member its type and bounds. Adding a member is adding its line here.

macro_rules! members {
    ($($name:ident $camel:literal),+ $(,)?) => {
        /// A member of a KMS request or of a structure in one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Member {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)+
        }

        impl Member {
            /// Every member.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name on the wire: `KeyId`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The name in CloudTrail's records and in validation errors: `keyId`.
            #[must_use]
            pub const fn camel(self) -> &'static str {
                match self {
                    $(Self::$name => $camel,)+
                }
            }
        }
    };
}

members! {
    KeyId "keyId",
    KeySpec "keySpec",
    NumberOfBytes "numberOfBytes",
    EncryptionContext "encryptionContext",
    GrantTokens "grantTokens",
    DryRun "dryRun",
    Recipient "recipient",
    Plaintext "plaintext",
    EncryptionAlgorithm "encryptionAlgorithm",
    CiphertextBlob "ciphertextBlob",
    DryRunModifiers "dryRunModifiers",
    SourceEncryptionContext "sourceEncryptionContext",
    SourceKeyId "sourceKeyId",
    DestinationKeyId "destinationKeyId",
    DestinationEncryptionContext "destinationEncryptionContext",
    SourceEncryptionAlgorithm "sourceEncryptionAlgorithm",
    DestinationEncryptionAlgorithm "destinationEncryptionAlgorithm",
    CustomKeyStoreId "customKeyStoreId",
    Policy "policy",
    Description "description",
    KeyUsage "keyUsage",
    CustomerMasterKeySpec "customerMasterKeySpec",
    Origin "origin",
    BypassPolicyLockoutSafetyCheck "bypassPolicyLockoutSafetyCheck",
    Tags "tags",
    MultiRegion "multiRegion",
    XksKeyId "xksKeyId",
    Limit "limit",
    Marker "marker",
    PendingWindowInDays "pendingWindowInDays",
    AliasName "aliasName",
    TargetKeyId "targetKeyId",
    GrantId "grantId",
    GrantToken "grantToken",
    GranteePrincipal "granteePrincipal",
    Operations "operations",
    Constraints "constraints",
    EncryptionContextSubset "encryptionContextSubset",
    EncryptionContextEquals "encryptionContextEquals",
    Name "name",
    RetiringPrincipal "retiringPrincipal",
    KeyEncryptionAlgorithm "keyEncryptionAlgorithm",
    AttestationDocument "attestationDocument",
    TagKey "tagKey",
    TagValue "tagValue",
    TagKeys "tagKeys",
    PolicyName "policyName",
    RotationPeriodInDays "rotationPeriodInDays",
    IncludeKeyMaterial "includeKeyMaterial",
    ReplicaRegion "replicaRegion",
    PrimaryRegion "primaryRegion",
    WrappingAlgorithm "wrappingAlgorithm",
    WrappingKeySpec "wrappingKeySpec",
    ImportToken "importToken",
    EncryptedKeyMaterial "encryptedKeyMaterial",
    ValidTo "validTo",
    ExpirationModel "expirationModel",
    ImportType "importType",
    KeyMaterialDescription "keyMaterialDescription",
    KeyMaterialId "keyMaterialId",
    Message "message",
    MessageType "messageType",
    SigningAlgorithm "signingAlgorithm",
    Signature "signature",
    MacAlgorithm "macAlgorithm",
    Mac "mac",
    KeyAgreementAlgorithm "keyAgreementAlgorithm",
    PublicKey "publicKey",
    KeyPairSpec "keyPairSpec",
    CustomKeyStoreName "customKeyStoreName",
    NewCustomKeyStoreName "newCustomKeyStoreName",
    CustomKeyStoreType "customKeyStoreType",
    CloudHsmClusterId "cloudHsmClusterId",
    TrustAnchorCertificate "trustAnchorCertificate",
    KeyStorePassword "keyStorePassword",
    XksProxyUriEndpoint "xksProxyUriEndpoint",
    XksProxyUriPath "xksProxyUriPath",
    XksProxyVpcEndpointServiceName "xksProxyVpcEndpointServiceName",
    XksProxyVpcEndpointServiceOwner "xksProxyVpcEndpointServiceOwner",
    XksProxyAuthenticationCredential "xksProxyAuthenticationCredential",
    XksProxyConnectivity "xksProxyConnectivity",
    AccessKeyId "accessKeyId",
    RawSecretAccessKey "rawSecretAccessKey",
    EncapsulationAlgorithm "encapsulationAlgorithm",
    SharedSecretCiphertextBlob "sharedSecretCiphertextBlob",
    GranteeServicePrincipal "granteeServicePrincipal",
    RetiringServicePrincipal "retiringServicePrincipal",
    SourceArn "sourceArn",
    ResourceOwners "resourceOwners",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_records_is_the_wire_name_with_a_small_first_letter() {
        for member in Member::ALL {
            let (head, tail) = member.name().split_at(1);
            assert_eq!(member.camel(), format!("{}{tail}", head.to_ascii_lowercase()));
        }
    }
}
