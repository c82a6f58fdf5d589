//! What kind of thing an error of KMS is about: by its name alone, of whatever version of the service.

use http::StatusCode;

/// What an error says, as far as it decides who may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The credentials, the signature or the clock of whoever signed the request, or its account's subscription.
    Authentication,
    /// Whoever signed the request may not do this, or a key is not there and that is not said.
    AccessDenied,
    /// Too many requests. (`LimitExceededException` is of resources, and not one.)
    Throttling,
    /// The service did not do its work: the same request may be answered later.
    ServerFault,
    /// The ciphertext is not whole, not of KMS, or of another encryption context.
    InvalidCiphertext,
    /// A dry run that would have been granted: as telling as an answer.
    DryRun,
    /// What a key is, whether it is there, or the state it is in.
    Key,
    /// The request itself, or what is not known here.
    Other,
}

impl ErrorClass {
    /// The class of the error of this bare name, which came with this status.
    #[must_use]
    pub fn of(name: &str, status: StatusCode) -> Self {
        match name {
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "InvalidTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "AuthFailure"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "OptInRequired"
            | "SubscriptionRequiredException" => Self::Authentication,
            // AWS's page of common errors: the first two and the last say that a permission is missing.
            "AccessDenied" | "AccessDeniedException" | "NotAuthorized" => Self::AccessDenied,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown" => Self::Throttling,
            "InvalidCiphertextException" => Self::InvalidCiphertext,
            "DryRunOperationException" => Self::DryRun,
            "NotFoundException"
            | "DisabledException"
            | "KMSInvalidStateException"
            // With a status of 500, and of one key all the same.
            | "KeyUnavailableException"
            | "InvalidKeyUsageException"
            | "IncorrectKeyException"
            | "UnsupportedOperationException"
            | "CustomKeyStoreInvalidStateException"
            | "CloudHsmClusterInvalidConfigurationException" => Self::Key,
            "DependencyTimeoutException"
            | "KMSInternalException"
            | "InternalFailure"
            | "InternalError"
            | "InternalServerError"
            | "InternalServiceError"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => Self::ServerFault,
            _ if status.is_server_error() => Self::ServerFault,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ExceptionKind;
    use super::*;

    #[test]
    fn every_error_that_is_known_here_has_the_class_that_its_meaning_asks_for() {
        use ErrorClass as Class;
        use ExceptionKind as Kind;
        for kind in ExceptionKind::ALL {
            let expected = match kind {
                Kind::ExpiredToken
                | Kind::IncompleteSignature
                | Kind::InvalidSignature
                | Kind::MissingAuthenticationToken
                | Kind::OptInRequired
                | Kind::UnrecognizedClient => Class::Authentication,
                Kind::AccessDenied | Kind::NotAuthorized => Class::AccessDenied,
                Kind::Throttling => Class::Throttling,
                Kind::InvalidCiphertext => Class::InvalidCiphertext,
                Kind::DryRunOperation => Class::DryRun,
                Kind::NotFound
                | Kind::Disabled
                | Kind::KmsInvalidState
                | Kind::KeyUnavailable
                | Kind::InvalidKeyUsage
                | Kind::IncorrectKey
                | Kind::UnsupportedOperation
                | Kind::CustomKeyStoreInvalidState
                | Kind::CloudHsmClusterInvalidConfiguration => Class::Key,
                Kind::DependencyTimeout
                | Kind::KmsInternal
                | Kind::InternalFailure
                | Kind::RequestTimeout
                | Kind::ServiceUnavailable => Class::ServerFault,
                _ => Class::Other,
            };
            assert_eq!(Class::of(kind.name(), kind.status()), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_older_names_are_those_of_the_newer_ones() {
        for (older, newer) in [
            ("SignatureDoesNotMatch", "InvalidSignatureException"),
            ("InvalidClientTokenId", "UnrecognizedClientException"),
            ("ExpiredToken", "ExpiredTokenException"),
            ("IncompleteSignature", "IncompleteSignatureException"),
            ("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
            ("Throttling", "ThrottlingException"),
            ("AccessDenied", "AccessDeniedException"),
        ] {
            let class = |name| ErrorClass::of(name, StatusCode::BAD_REQUEST);
            assert_eq!(class(older), class(newer), "{older}");
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_a_fault_of_the_service_by_its_status_alone() {
        assert_eq!(ErrorClass::of("NewException", StatusCode::BAD_REQUEST), ErrorClass::Other);
        assert_eq!(ErrorClass::of("NewException", StatusCode::BAD_GATEWAY), ErrorClass::ServerFault);
        assert_eq!(ErrorClass::of("LimitExceededException", StatusCode::BAD_REQUEST), ErrorClass::Other);
        assert_eq!(ErrorClass::of("throttlingexception", StatusCode::BAD_REQUEST), ErrorClass::Other);
    }
}
