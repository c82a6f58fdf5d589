//! The ids of grants.

use super::digest_id::digest_id;

digest_id! {
    /// The id of a grant: 64 small hexadecimal digits, random in a new one. AWS takes 1 to 128 characters, and makes these.
    GrantId, GrantIdHex, InvalidGrantId, "grant id"
}

impl GrantId {
    /// No id comes before it.
    pub const LOWEST: Self = Self([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_small_digits() {
        let text = "f020fe75197b93991dc8491d6f19dd3cebb24ee62277a05914386724f3d48758";
        let id: GrantId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for other in [&text.to_uppercase(), text.trim_start_matches('f'), &format!("{text}0"), "", "grant"] {
            assert_eq!(other.parse::<GrantId>(), Err(InvalidGrantId), "{other}");
        }
    }
}
