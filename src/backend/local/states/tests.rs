//! The table is whole; its cells are walked through a client in tests/clients.

use super::*;

#[test]
fn every_operation_that_names_a_key_has_a_row_and_no_other() {
    for operation in Op::ALL {
        let named = operation.key().is_some();
        assert_eq!(row(*operation).is_some(), named, "{operation:?}");
    }
}

#[test]
fn an_enabled_key_is_refused_only_its_salvation() {
    for operation in Op::ALL {
        let Some([enabled, ..]) = row(*operation) else { continue };
        let expected = if *operation == Op::CancelKeyDeletion { NotPending } else { Yes };
        assert_eq!(*enabled, expected, "{operation:?}");
    }
}
