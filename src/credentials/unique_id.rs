//! Unique ids of principals: what `aws:userid` holds, and what tells a deleted user from its namesake.

use aws_lc_rs::digest::{SHA256, digest};

use super::principal_arn::{PrincipalArn, PrincipalType};

/// RFC 4648's base32 alphabet: what IAM writes ids in.
pub(super) const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters of an id after its prefix, as in `AIDACKCEVSQ6C2EXAMPLE`.
const DERIVED_CHARACTERS: usize = 17;
const DERIVATION: &[u8] = b"kmsgate principal unique id 1\0";

/// The unique id of a principal that the credentials file gives none: the same on every start and on every
/// replica, another for another principal. All sessions of a role have the role's; a root has its account's.
#[must_use]
pub(super) fn derived(arn: &PrincipalArn) -> String {
    let Some(prefix) = prefix(arn) else { return arn.account().as_str().to_owned() };
    let input = [DERIVATION, arn.condition_value().as_bytes()].concat();
    let hash = digest(&SHA256, &input);
    let characters = hash.as_ref().iter().take(DERIVED_CHARACTERS).map(|byte| base32_character(*byte));
    prefix.chars().chain(characters).collect()
}

/// Reads a given unique id.
///
/// # Errors
///
/// What is wrong with it for this principal.
pub(super) fn given(arn: &PrincipalArn, text: &str) -> Result<String, String> {
    let Some(prefix) = prefix(arn) else {
        return Err("a root's unique id is its account id and cannot be given".into());
    };
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    let allowed = rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if allowed && (12..=124).contains(&rest.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not {prefix} and 12 to 124 capital letters and digits"))
    }
}

/// One of 32 characters, each from eight of the 256 bytes.
pub(super) fn base32_character(byte: u8) -> char {
    char::from(BASE32.get(usize::from(byte % 32)).copied().unwrap_or(b'A'))
}

fn prefix(arn: &PrincipalArn) -> Option<&'static str> {
    match arn.principal_type() {
        PrincipalType::Account => None,
        PrincipalType::User => Some("AIDA"),
        PrincipalType::AssumedRole => Some("AROA"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(text: &str) -> PrincipalArn {
        text.parse().unwrap()
    }

    #[test]
    fn derived_ids_have_iams_form_and_follow_the_principal() {
        let user = derived(&arn("arn:aws:iam::111122223333:user/alice"));
        assert_eq!(user.len(), "AIDACKCEVSQ6C2EXAMPLE".len());
        assert!(user.starts_with("AIDA") && user.bytes().all(|byte| BASE32.contains(&byte)), "{user}");
        assert_eq!(user, derived(&arn("arn:aws:iam::111122223333:user/alice")));
        assert_ne!(user, derived(&arn("arn:aws:iam::111122223333:user/a/alice")));
        assert_eq!(derived(&arn("arn:aws:iam::111122223333:root")), "111122223333");
    }

    #[test]
    fn sessions_of_a_role_share_its_id() {
        let role = derived(&arn("arn:aws:iam::111122223333:role/orders"));
        assert!(role.starts_with("AROA"));
        assert_eq!(role, derived(&arn("arn:aws:sts::111122223333:assumed-role/orders/pod-1")));
    }

    #[test]
    fn a_given_id_must_fit_its_principal() {
        let user = arn("arn:aws:iam::111122223333:user/alice");
        assert_eq!(given(&user, "AIDACKCEVSQ6C2EXAMPLE").unwrap(), "AIDACKCEVSQ6C2EXAMPLE");
        for text in ["", "AIDA", "AROACKCEVSQ6C2EXAMPLE", "AIDAckcevsq6c2example", "AIDACKCEVSQ6C2EXAMPLE:x"] {
            assert!(given(&user, text).is_err(), "{text}");
        }
        assert!(given(&arn("arn:aws:iam::111122223333:root"), "111122223333").is_err());
    }
}
