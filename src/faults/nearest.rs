//! The known name that a misspelt one was meant to be.

/// Longer names are not compared: the comparison costs the product of the lengths.
const LONGEST_NAME: usize = 128;

/// The one of `names` that `name` most probably stands for, if any is near: equal but for case, or at most one
/// edit for every four letters away.
#[must_use]
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let allowed = (name.chars().count() / 4).max(1);
    names
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, changes and swaps of neighbours make `a` into `b`, case ignored.
#[must_use]
pub fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let change = cell(&last, j) + usize::from(x != y);
            let mut best = change.min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let neighbours = |list: &[char], at: usize| at.checked_sub(1).and_then(|at| list.get(at).copied());
            if neighbours(&a, i) == Some(y) && neighbours(&b, j) == Some(x) {
                best = best.min(j.checked_sub(1).map_or(usize::MAX, |at| cell(&before, at)).saturating_add(1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour_and_a_strange_one_none() {
        let known = ["address", "accepted_hosts", "tls"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("accepted-hosts", known), Some("accepted_hosts"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
    }

    #[test]
    fn the_distance_counts_edits_and_swaps() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kms", "KMS", 0),
            ("ksm", "kms", 1),
            ("kitten", "sitting", 3),
            ("Efect", "Effect", 1),
            ("ssm", "kms", 2),
            ("ab", "ba", 1),
        ] {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn a_name_far_from_all_others_has_no_nearest() {
        let names = ["kms:Decrypt", "kms:Encrypt", "kms:ReEncryptTo"];
        assert_eq!(nearest("kms:decript", names), Some("kms:Decrypt"));
        assert_eq!(nearest("kms:Encryt", names), Some("kms:Encrypt"));
        assert_eq!(nearest("s3:GetObject", names), None);
        assert_eq!(nearest(&"x".repeat(1000), names), None);
    }
}
