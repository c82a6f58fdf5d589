//! What KMS answers instead of an answer: a closed set of names, each with its status.
//!
//! The client's text is AWS's own, where AWS has one ([`super::texts`] makes them). The operator's detail goes to
//! the log and the audit record and never into the body.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;

use super::writer::push_json_string;

macro_rules! exceptions {
    ($($name:ident $wire:literal $status:ident),+ $(,)?) => {
        /// The name of an error, as `__type` has it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ExceptionKind {
            $(#[doc = concat!("`", $wire, "`")] $name,)+
        }

        impl ExceptionKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The bare name, for `__type` and `x-amzn-ErrorType`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }
        }
    };
}

// First the model's, by their faults, then those of the front end. KMS answers 400 to what other services answer 403
// or 404 to.
exceptions! {
    AlreadyExists "AlreadyExistsException" BAD_REQUEST,
    CloudHsmClusterInUse "CloudHsmClusterInUseException" BAD_REQUEST,
    CloudHsmClusterInvalidConfiguration "CloudHsmClusterInvalidConfigurationException" BAD_REQUEST,
    CloudHsmClusterNotActive "CloudHsmClusterNotActiveException" BAD_REQUEST,
    CloudHsmClusterNotFound "CloudHsmClusterNotFoundException" BAD_REQUEST,
    CloudHsmClusterNotRelated "CloudHsmClusterNotRelatedException" BAD_REQUEST,
    Conflict "ConflictException" BAD_REQUEST,
    CustomKeyStoreHasCmks "CustomKeyStoreHasCMKsException" BAD_REQUEST,
    CustomKeyStoreInvalidState "CustomKeyStoreInvalidStateException" BAD_REQUEST,
    CustomKeyStoreNameInUse "CustomKeyStoreNameInUseException" BAD_REQUEST,
    CustomKeyStoreNotFound "CustomKeyStoreNotFoundException" BAD_REQUEST,
    Disabled "DisabledException" BAD_REQUEST,
    DryRunOperation "DryRunOperationException" BAD_REQUEST,
    ExpiredImportToken "ExpiredImportTokenException" BAD_REQUEST,
    IncorrectKey "IncorrectKeyException" BAD_REQUEST,
    IncorrectKeyMaterial "IncorrectKeyMaterialException" BAD_REQUEST,
    IncorrectTrustAnchor "IncorrectTrustAnchorException" BAD_REQUEST,
    InvalidAliasName "InvalidAliasNameException" BAD_REQUEST,
    InvalidArn "InvalidArnException" BAD_REQUEST,
    InvalidCiphertext "InvalidCiphertextException" BAD_REQUEST,
    InvalidGrantId "InvalidGrantIdException" BAD_REQUEST,
    InvalidGrantToken "InvalidGrantTokenException" BAD_REQUEST,
    InvalidImportToken "InvalidImportTokenException" BAD_REQUEST,
    InvalidKeyUsage "InvalidKeyUsageException" BAD_REQUEST,
    InvalidMarker "InvalidMarkerException" BAD_REQUEST,
    KmsInvalidMac "KMSInvalidMacException" BAD_REQUEST,
    KmsInvalidSignature "KMSInvalidSignatureException" BAD_REQUEST,
    KmsInvalidState "KMSInvalidStateException" BAD_REQUEST,
    LimitExceeded "LimitExceededException" BAD_REQUEST,
    MalformedPolicyDocument "MalformedPolicyDocumentException" BAD_REQUEST,
    NotFound "NotFoundException" BAD_REQUEST,
    Tagging "TagException" BAD_REQUEST,
    UnsupportedOperation "UnsupportedOperationException" BAD_REQUEST,
    XksKeyAlreadyInUse "XksKeyAlreadyInUseException" BAD_REQUEST,
    XksKeyInvalidConfiguration "XksKeyInvalidConfigurationException" BAD_REQUEST,
    XksKeyNotFound "XksKeyNotFoundException" BAD_REQUEST,
    XksProxyIncorrectAuthenticationCredential "XksProxyIncorrectAuthenticationCredentialException" BAD_REQUEST,
    XksProxyInvalidConfiguration "XksProxyInvalidConfigurationException" BAD_REQUEST,
    XksProxyInvalidResponse "XksProxyInvalidResponseException" BAD_REQUEST,
    XksProxyUriEndpointInUse "XksProxyUriEndpointInUseException" BAD_REQUEST,
    XksProxyUriInUse "XksProxyUriInUseException" BAD_REQUEST,
    XksProxyUriUnreachable "XksProxyUriUnreachableException" BAD_REQUEST,
    XksProxyVpcEndpointServiceInUse "XksProxyVpcEndpointServiceInUseException" BAD_REQUEST,
    XksProxyVpcEndpointServiceInvalidConfiguration "XksProxyVpcEndpointServiceInvalidConfigurationException" BAD_REQUEST,
    XksProxyVpcEndpointServiceNotFound "XksProxyVpcEndpointServiceNotFoundException" BAD_REQUEST,
    DependencyTimeout "DependencyTimeoutException" INTERNAL_SERVER_ERROR,
    KeyUnavailable "KeyUnavailableException" INTERNAL_SERVER_ERROR,
    KmsInternal "KMSInternalException" INTERNAL_SERVER_ERROR,
    AccessDenied "AccessDeniedException" BAD_REQUEST,
    ExpiredToken "ExpiredTokenException" BAD_REQUEST,
    IncompleteSignature "IncompleteSignatureException" BAD_REQUEST,
    InvalidSignature "InvalidSignatureException" BAD_REQUEST,
    MissingAuthenticationToken "MissingAuthenticationTokenException" BAD_REQUEST,
    NotAuthorized "NotAuthorized" BAD_REQUEST,
    OptInRequired "OptInRequired" BAD_REQUEST,
    Serialization "SerializationException" BAD_REQUEST,
    Throttling "ThrottlingException" BAD_REQUEST,
    UnknownOperation "UnknownOperationException" BAD_REQUEST,
    UnrecognizedClient "UnrecognizedClientException" BAD_REQUEST,
    Validation "ValidationException" BAD_REQUEST,
    RequestTimeout "RequestTimeoutException" REQUEST_TIMEOUT,
    RequestEntityTooLarge "RequestEntityTooLargeException" PAYLOAD_TOO_LARGE,
    InternalFailure "InternalFailure" INTERNAL_SERVER_ERROR,
    ServiceUnavailable "ServiceUnavailableException" SERVICE_UNAVAILABLE,
}

impl ExceptionKind {
    /// The kind of that name; `None` for a name that KMS does not use.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// CloudTrail's `errorCode`: the name, but `AccessDenied` for `AccessDeniedException`.
    #[must_use]
    pub const fn error_code(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            other => other.name(),
        }
    }
}

/// An error answer of KMS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Exception {
    kind: ExceptionKind,
    message: Option<Cow<'static, str>>,
    /// What the record has in the message's place, where the message quotes what may not be recorded.
    recorded: Option<Cow<'static, str>>,
    detail: Option<Cow<'static, str>>,
}

impl Exception {
    /// An exception with a text for the client.
    #[must_use]
    pub fn new(kind: ExceptionKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: Some(message.into()), recorded: None, detail: None }
    }

    /// An exception whose text never differs.
    #[must_use]
    pub const fn fixed(kind: ExceptionKind, message: &'static str) -> Self {
        Self { kind, message: Some(Cow::Borrowed(message)), recorded: None, detail: None }
    }

    /// An exception of which KMS says its name alone.
    #[must_use]
    pub const fn bare(kind: ExceptionKind) -> Self {
        Self { kind, message: None, recorded: None, detail: None }
    }

    /// Adds what the operator should know and the client may not.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Gives the record another text than the client, whose text quotes what may not be recorded.
    #[must_use]
    pub fn recorded_as(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.recorded = Some(text.into());
        self
    }

    /// Which exception it is.
    #[must_use]
    pub const fn kind(&self) -> ExceptionKind {
        self.kind
    }

    /// The client's text.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The text for the audit record.
    #[must_use]
    pub fn recorded_message(&self) -> Option<&str> {
        self.recorded.as_deref().or(self.message.as_deref())
    }

    /// The operator's text, for the log and the audit record.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The body: `{"__type":"...","message":"..."}`, with KMS's capital `Message` for `AccessDeniedException`.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let message = self.message.as_deref().unwrap_or_default();
        let mut body = Vec::with_capacity(48 + self.kind.name().len() + message.len());
        body.extend_from_slice(b"{\"__type\":\"");
        body.extend_from_slice(self.kind.name().as_bytes());
        body.push(b'"');
        if self.message.is_some() {
            let capital = self.kind == ExceptionKind::AccessDenied;
            body.extend_from_slice(if capital { b",\"Message\":" } else { b",\"message\":" });
            push_json_string(&mut body, message);
        }
        body.push(b'}');
        body.into()
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(exception: &Exception) -> String {
        String::from_utf8(exception.body().to_vec()).unwrap()
    }

    #[test]
    fn bodies_are_those_recorded_from_kms() {
        assert_eq!(
            body(&Exception::throttling()),
            r#"{"__type":"ThrottlingException","message":"You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."}"#
        );
        assert_eq!(body(&Exception::invalid_ciphertext()), r#"{"__type":"InvalidCiphertextException"}"#);
        assert_eq!(body(&Exception::access_denied("no")), r#"{"__type":"AccessDeniedException","Message":"no"}"#);
    }

    #[test]
    fn a_text_with_quotes_and_control_characters_stays_json() {
        let text = "a\"b\\c\nd\u{1}é\u{7f}";
        let body = Exception::new(ExceptionKind::NotFound, text).body();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["message"], text);
        assert_eq!(value["__type"], "NotFoundException");
    }

    #[test]
    fn the_operators_detail_does_not_reach_the_client() {
        let exception = Exception::kms_internal().with_detail("disk full");
        assert!(!body(&exception).contains("disk") && !exception.to_string().contains("disk"));
        assert_eq!(exception.detail(), Some("disk full"));
    }

    #[test]
    fn every_name_is_found_again_and_only_faults_are_500() {
        for kind in ExceptionKind::ALL {
            assert_eq!(ExceptionKind::from_name(kind.name()), Some(*kind));
        }
        let faults: Vec<_> =
            ExceptionKind::ALL.iter().filter(|kind| kind.status().as_u16() == 500).map(|kind| kind.name()).collect();
        assert_eq!(
            faults,
            ["DependencyTimeoutException", "KeyUnavailableException", "KMSInternalException", "InternalFailure"]
        );
    }
}
