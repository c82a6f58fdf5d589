//! Where a suggested policy allows more than was recorded, in words.

use super::usage::{Calls, MOST, Usage};
use crate::cli::policy::question::has_context;

/// What the policy for these calls allows beyond them, beside what its conditions never tell apart: a sentence for each
/// resource and action. `values` is whether the values of encryption contexts were asked for.
pub(super) fn caveats(calls: &Calls, values: bool) -> Vec<String> {
    let mut all = Vec::new();
    if calls.by_grants > 0 {
        let count = calls.by_grants;
        let were = if count == 1 { "call was" } else { "calls were" };
        all.push(format!("{count} {were} allowed by a grant; the policy allows the same when the grant is gone"));
    }
    for (resource, actions) in &calls.used {
        for (action, usage) in actions {
            of_action(action, usage, values, |caveat| all.push(format!("{action} on {resource}: {caveat}")));
        }
    }
    all
}

fn of_action(action: &str, usage: &Usage, values: bool, mut add: impl FnMut(String)) {
    if action == "kms:CreateGrant" {
        // One that is allowed by a grant is held to what that grant gives; a policy's is held to nothing.
        add("allows to grant anything to anybody; kms:GrantOperations and kms:GranteePrincipal can limit it".to_owned());
    }
    if !has_context(action) {
        return;
    }
    if usage.keys.get().is_none() {
        add(format!("any encryption context is allowed, for it had more than {MOST} keys or was not recorded"));
        return;
    }
    let free = usage.pairs.values().filter(|pair| pair.written.is_empty() || pair.values.get().is_none());
    for pair in free.filter(|_| values) {
        let key = &pair.written;
        add(format!(
            "any value of the encryption context key `{key}` is allowed, for it had more than {MOST} or no single one"
        ));
    }
}
