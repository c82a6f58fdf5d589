//! The header of a store: which store it is, at which revision, and the MAC over it and its rows.
//!
//! ```text
//! offset  bytes
//! 0       1      format version
//! 1       16     store id
//! 17      8      revision, most significant byte first
//! 25      8      number of rows, most significant byte first
//! 33      32     sum of the rows' tags
//! ```
//!
//! The MAC is HMAC-SHA-256 over these 65 bytes. Number and sum of the rows are not kept: they are those of the rows.

use aws_lc_rs::hmac;

use super::row::Revision;
use super::row_set::Total;
use crate::backend::local::store_id::StoreId;

/// Version of the store's format, in the database's `user_version` too.
pub(crate) const FORMAT: u8 = 2;

pub(super) struct Header {
    pub(super) format: u8,
    pub(super) store: StoreId,
    pub(super) revision: Revision,
    pub(super) root_key_check: [u8; 32],
    pub(super) mac: [u8; 32],
}

pub(super) fn mac(key: &hmac::Key, format: u8, store: &StoreId, revision: Revision, total: &Total) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    context.update(&[format]);
    context.update(store.as_bytes());
    context.update(&revision.number().to_be_bytes());
    context.update(&total.count.to_be_bytes());
    context.update(&total.sum);
    let mut mac = [0; 32];
    mac.copy_from_slice(context.sign().as_ref());
    mac
}

#[cfg(test)]
mod tests {
    use super::super::row::{Kind, Row, RowId};
    use super::super::row_set::RowSet;
    use super::*;
    use crate::backend::local::golden::golden;

    #[test]
    fn sum_check_and_mac_are_those_of_an_independent_implementation() {
        let golden = golden();
        let (store, vector) = (golden.store_id(), &golden.store);
        let keys = golden.root_key().store_keys(&store);
        assert_eq!(hex::encode(keys.check), vector.root_key_check);
        let row = |row: &crate::backend::local::golden::Row| Row {
            id: RowId::new(Kind::from_name(&row.kind).unwrap(), &row.id),
            body: hex::decode(&row.body).unwrap(),
        };
        let rows: Vec<Row> = vector.rows.iter().map(row).collect();
        let mut set = RowSet::empty(keys.set);
        for row in &rows {
            set.add(row);
        }
        let total = set.total();
        assert_eq!(hex::encode(total.sum), vector.sum);
        let mac = mac(&keys.header, vector.format, &store, Revision::from_number(vector.revision), &total);
        assert_eq!(hex::encode(mac), vector.mac);
    }
}
