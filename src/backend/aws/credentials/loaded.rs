//! Credentials as they were loaded, checked for what a request's head can hold.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};

use crate::aws::AccountId;
use crate::clock::Timestamp;
use crate::credentials::SecretAccessKey;
use crate::secret::Secret;
use crate::sigv4::{self, PayloadHash, ScopeDate, SigningCredentials, Target};

/// An access key that AWS knows. Does not change; its signing keys are derived once for each day and region.
pub(crate) struct Credentials {
    access_key_id: Box<str>,
    secret: SecretAccessKey,
    session_token: Option<HeaderValue>,
    expires_at: Option<Timestamp>,
    account: Option<AccountId>,
}

impl Credentials {
    /// Takes what the SDK found.
    pub(super) fn new(found: &aws_credential_types::Credentials) -> Result<Self, InvalidCredentials> {
        let access_key_id = found.access_key_id();
        if !is_access_key_id(access_key_id) {
            return Err(InvalidCredentials::AccessKeyId);
        }
        if found.secret_access_key().is_empty() {
            return Err(InvalidCredentials::SecretAccessKey);
        }
        // An empty one is what some sources write for none.
        let session_token = found.session_token().filter(|token| !token.is_empty()).map(session_token).transpose()?;
        let expires_at = found.expiry().map(|end| {
            let since_epoch = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            Timestamp::from_unix_seconds(i64::try_from(since_epoch).unwrap_or(i64::MAX))
        });
        Ok(Self {
            access_key_id: access_key_id.into(),
            secret: SecretAccessKey::new(Secret::new(found.secret_access_key().to_owned())),
            session_token,
            expires_at,
            account: found.account_id().and_then(|account| account.as_str().parse().ok()),
        })
    }

    /// The access key id. No secret: it is in every request's head, and CloudTrail shows it.
    #[must_use]
    pub(crate) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// When they end; `None` if they do not.
    #[must_use]
    pub(crate) const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whose they are, where that was said.
    #[must_use]
    pub(crate) const fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// The head of a request with this body, signed with them at `at`, by the upstream's clock.
    #[must_use]
    pub(crate) fn sign(&self, to: &Target<'_>, payload: &PayloadHash, at: Timestamp) -> HeaderMap {
        let key = self.secret.signing_key(ScopeDate::of(at), to.region);
        let by = SigningCredentials {
            access_key_id: &self.access_key_id,
            key: &key,
            session_token: self.session_token.as_ref(),
        };
        sigv4::sign(to, by, payload, at)
    }

    pub(super) fn valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// How long they are still good for; `None` if they do not end.
    pub(super) fn left(&self, now: Timestamp) -> Option<Duration> {
        self.expires_at.map(|end| end.since(now))
    }
}

/// Without secret and token.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What can stand in a credential scope. Wider than IAM's own pattern: a KMS that is not AWS's may have shorter ids.
fn is_access_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",/=".contains(&byte))
}

fn session_token(text: &str) -> Result<HeaderValue, InvalidCredentials> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidCredentials::SessionToken);
    }
    let mut token = HeaderValue::from_str(text).map_err(|_| InvalidCredentials::SessionToken)?;
    token.set_sensitive(true);
    Ok(token)
}

/// What was found is nothing to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidCredentials {
    #[error("the access key id is empty, too long or not one word of ASCII; look for blanks and line ends around it")]
    AccessKeyId,
    #[error("the secret access key is empty")]
    SecretAccessKey,
    #[error("the session token is not one word of ASCII; look for blanks and line ends around it")]
    SessionToken,
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::header::AUTHORIZATION;

    use super::*;
    use crate::sigv4::SigningKey;

    // AWS's documented example key.
    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn found(
        id: &str,
        secret: &str,
        token: Option<&str>,
        end: Option<SystemTime>,
    ) -> aws_credential_types::Credentials {
        aws_credential_types::Credentials::new(id, secret, token.map(str::to_owned), end, "test")
    }

    #[test]
    fn they_sign_as_their_parts_do_on_either_side_of_midnight_and_for_each_region() {
        let credentials = Credentials::new(&found(ID, SECRET, Some("TOKEN"), None)).unwrap();
        let (host, payload) = (HeaderValue::from_static("kms.example"), PayloadHash::of(b"{}"));
        for (at, region) in [
            ("20261123T235959Z", "us-east-1"),
            ("20261124T000000Z", "us-east-1"),
            ("20261124T000000Z", "eu-west-1"),
            ("20261123T235959Z", "us-east-1"),
        ] {
            let (at, region) = (Timestamp::parse_basic(at).unwrap(), region.parse().unwrap());
            let to = Target { host: &host, region: &region, x_amz_target: &host };
            let key = SigningKey::derive(SECRET, ScopeDate::of(at), &region, "kms");
            let token = HeaderValue::from_static("TOKEN");
            let by = SigningCredentials { access_key_id: ID, key: &key, session_token: Some(&token) };
            let signed = credentials.sign(&to, &payload, at);
            assert_eq!(signed, sigv4::sign(&to, by, &payload, at));
            assert!(signed[AUTHORIZATION].is_sensitive() && signed["x-amz-security-token"].is_sensitive());
        }
    }

    #[test]
    fn they_end_with_their_last_second() {
        let end = UNIX_EPOCH + Duration::from_millis(1_440_938_160_900);
        let credentials = Credentials::new(&found(ID, SECRET, None, Some(end))).unwrap();
        let at = Timestamp::from_unix_seconds;
        assert_eq!(credentials.expires_at(), Some(at(1_440_938_160)));
        assert!(credentials.valid_at(at(1_440_938_159)) && !credentials.valid_at(at(1_440_938_160)));
        assert_eq!(credentials.left(at(1_440_938_100)), Some(Duration::from_mins(1)));
        let before_all_time = Credentials::new(&found(ID, SECRET, None, Some(UNIX_EPOCH - Duration::from_secs(1))));
        assert!(!before_all_time.unwrap().valid_at(at(0)));
        let without_end = Credentials::new(&found(ID, SECRET, None, None)).unwrap();
        assert!(without_end.valid_at(Timestamp::LATEST) && without_end.left(at(0)).is_none());
    }

    #[test]
    fn what_no_request_can_carry_is_refused() {
        use InvalidCredentials::{AccessKeyId, SecretAccessKey, SessionToken};
        let long = "A".repeat(129);
        for id in ["", "AKIA EXAMPLE", "AKIA\n", "AKIA/EXAMPLE", "AKIA,EXAMPLE", "é", &long] {
            assert_eq!(Credentials::new(&found(id, SECRET, None, None)).unwrap_err(), AccessKeyId, "{id}");
        }
        assert_eq!(Credentials::new(&found(ID, "", None, None)).unwrap_err(), SecretAccessKey);
        for token in ["TOKEN\n", "TO KEN", "TOKEN\r\nx-amz-target: a", "é"] {
            assert_eq!(Credentials::new(&found(ID, SECRET, Some(token), None)).unwrap_err(), SessionToken);
        }
        let no_token = Credentials::new(&found("test", "test", Some(""), None)).unwrap();
        assert!(no_token.session_token.is_none());
    }

    #[test]
    fn they_print_neither_secret_nor_token() {
        let credentials = Credentials::new(&found(ID, SECRET, Some("TOKEN"), None)).unwrap();
        let printed = format!("{credentials:?}");
        assert_eq!(printed, r#"Credentials { access_key_id: "AKIAIOSFODNN7EXAMPLE", expires_at: None, .. }"#);
    }
}
