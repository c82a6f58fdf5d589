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
