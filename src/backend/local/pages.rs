//! Pages of lists: `Limit`, `Marker`, `NextMarker` and `Truncated`.
//!
//! A marker is the last entry of the page before, in base64: it stays good whatever is added or deleted meanwhile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use imbl::OrdMap;

use crate::aws::Member;
use crate::kms::{Exception, ExceptionKind, Input, JsonObject};

/// The page that a request asks for.
pub(super) struct Page<'r> {
    limit: usize,
    marker: Option<&'r str>,
}

impl<'r> Page<'r> {
    /// Reads `Limit` and `Marker`. The text for a limit that the model allows and the operation does not is not
    /// recorded from KMS.
    pub(super) fn of(input: &'r Input, usual: usize, largest: usize) -> Result<Self, Exception> {
        let asked = input.integer(Member::Limit).map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let limit = asked.unwrap_or(usual);
        if limit > largest {
            return Err(Exception::validation(format!(
                "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must \
                 have value less than or equal to {largest}"
            )));
        }
        Ok(Self { limit, marker: input.string(Member::Marker) })
    }

    /// The entry that the page follows.
    pub(super) fn after<K>(&self, read: impl FnOnce(&str) -> Option<K>) -> Result<Option<K>, Exception> {
        let Some(marker) = self.marker else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(marker).ok();
        let key = bytes.and_then(|bytes| read(std::str::from_utf8(&bytes).ok()?));
        key.map(Some).ok_or_else(|| Exception::bare(ExceptionKind::InvalidMarker))
    }

    /// The page's entries, and whether more follow.
    pub(super) fn cut<T>(&self, entries: impl Iterator<Item = T>) -> (Vec<T>, bool) {
        let mut page: Vec<T> = entries.take(self.limit + 1).collect();
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        (page, more)
    }
}

/// The entries of `map` behind `after`, or all.
pub(super) fn following<'m, K: Ord + Clone, V: Clone>(
    map: &'m OrdMap<K, V>,
    after: Option<&K>,
) -> impl Iterator<Item = (&'m K, &'m V)> {
    use std::ops::Bound;
    let from = after.cloned().map_or(Bound::Unbounded, Bound::Excluded);
    map.range((from, Bound::Unbounded))
}

/// Ends an answer whose next page follows the entry `next`.
pub(super) fn finish(body: JsonObject, next: Option<&str>) -> Bytes {
    let marker = next.map(|next| URL_SAFE_NO_PAD.encode(next));
    body.optional_text("NextMarker", marker.as_deref()).boolean("Truncated", marker.is_some()).finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Local, members};
    use crate::aws::Operation;

    /// All pages of a list, by the names of their entries.
    fn pages(local: &Local, operation: Operation, mut body: Value, list: &str, name: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        loop {
            let answer = local.ok(operation, &body);
            let entries = answer[list].as_array().unwrap().iter();
            pages.push(entries.map(|entry| entry[name].as_str().unwrap().to_owned()).collect());
            if answer["Truncated"] == false {
                assert_eq!(members(&answer), [list, "Truncated"], "the last page names no next one");
                return pages;
            }
            body["Marker"] = answer["NextMarker"].clone();
        }
    }

    #[test]
    fn pages_put_together_are_the_whole_list_once() {
        let local = Local::new();
        let mut keys: Vec<_> = (0..5).map(|_| local.create_key().id().as_str().to_owned()).collect();
        keys.sort();
        for (limit, lengths) in
            [(1, vec![1; 5]), (2, vec![2, 2, 1]), (4, vec![4, 1]), (5, vec![5]), (6, vec![5]), (1000, vec![5])]
        {
            let pages = pages(&local, Operation::ListKeys, json!({"Limit": limit}), "Keys", "KeyId");
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{limit}");
            assert_eq!(pages.concat(), keys, "{limit}");
        }
    }

    #[test]
    fn an_empty_list_is_one_empty_page() {
        let local = Local::new();
        assert_eq!(pages(&local, Operation::ListKeys, json!({}), "Keys", "KeyId"), [vec![""; 0]]);
        assert_eq!(local.ok(Operation::ListAliases, &json!({})), json!({"Aliases": [], "Truncated": false}));
    }

    #[test]
    fn a_filter_counts_only_what_passes_it() {
        let local = Local::new();
        let (one, two) = (local.create_key(), local.create_key());
        for number in 0..6 {
            local.create_alias(&format!("alias/{number}"), if number % 2 == 0 { &one } else { &two });
        }
        let body = json!({"KeyId": one.as_str(), "Limit": 2});
        let pages = pages(&local, Operation::ListAliases, body, "Aliases", "AliasName");
        assert_eq!(pages, [vec!["alias/0", "alias/2"], vec!["alias/4"]]);
    }

    #[test]
    fn a_marker_stays_good_over_new_entries_and_a_restart() {
        let local = Local::new();
        let key = local.create_key();
        local.create_alias("alias/b", &key);
        local.create_alias("alias/d", &key);
        let marker = local.ok(Operation::ListAliases, &json!({"Limit": 1}))["NextMarker"].clone();
        local.create_alias("alias/a", &key);
        local.create_alias("alias/c", &key);
        let local = local.reopened();
        let pages =
            pages(&local, Operation::ListAliases, json!({"Limit": 9, "Marker": marker}), "Aliases", "AliasName");
        assert_eq!(pages, [["alias/c", "alias/d"]]);
    }

    #[test]
    fn what_is_no_marker_of_this_list_is_refused() {
        let local = Local::new();
        let key = local.create_key();
        local.create_alias("alias/a", &key);
        local.create_alias("alias/b", &key);
        let of_aliases = local.ok(Operation::ListAliases, &json!({"Limit": 1}))["NextMarker"].clone();
        for marker in [json!("x"), json!("not base64!"), json!("_-8"), of_aliases] {
            assert_eq!(local.code(Operation::ListKeys, &json!({"Marker": marker})), "InvalidMarkerException");
        }
    }

    #[test]
    fn a_page_has_no_more_entries_than_its_operation_allows() {
        let local = Local::new();
        for (operation, limits) in [(Operation::ListKeys, [0, 1001]), (Operation::ListAliases, [0, 101])] {
            for limit in limits {
                assert_eq!(local.code(operation, &json!({"Limit": limit})), "ValidationException", "{limit}");
            }
        }
        local.ok(Operation::ListKeys, &json!({"Limit": 1000}));
        local.ok(Operation::ListAliases, &json!({"Limit": 100}));
    }
}
