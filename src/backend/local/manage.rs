//! The changes of a key's state, planned.

use std::time::Duration;

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::key::{KeyState, KeyView, Origin};
use super::states;
use super::{Keys, current};
use crate::aws::Member;
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, Input, JsonObject};

/// `PendingWindowInDays` when it is not sent.
pub const DEFAULT_PENDING_WINDOW_DAYS: i64 = 30;
/// What the service takes, narrower than its model (API reference, `ScheduleKeyDeletion`).
const SHORTEST_PENDING_WINDOW_DAYS: i64 = 7;
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Plans `EnableKey` and `DisableKey`.
pub(super) fn switch(directory: &Directory, input: &Input, keys: &Keys, state: KeyState) -> Planned {
    let key = current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let edits = if key.state == state { Vec::new() } else { vec![with_state(key, state)] };
    Ok((edits, Answer::empty()))
}

/// Plans `ScheduleKeyDeletion`.
pub(super) fn schedule_deletion(directory: &Directory, input: &Input, keys: &Keys, now: Timestamp) -> Planned {
    let days = pending_window(input)?;
    let key = current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let window = u32::try_from(days).unwrap_or_default();
    // The waiting period of a primary key begins when its last replica is gone, so until then it has no date.
    let state = if key.has_replicas() {
        KeyState::PendingReplicaDeletion { days: window }
    } else {
        KeyState::PendingDeletion(now.plus(DAY * window))
    };
    let mut body = JsonObject::with_capacity(256);
    if let Some(date) = state.deletion_date() {
        body = body.timestamp("DeletionDate", date);
    }
    body = body.text("KeyId", key.arn.as_str());
    body = body.text("KeyState", state.name()).integer("PendingWindowInDays", days);
    Ok((vec![with_state(key, state)], Answer::new(body.finish())))
}

/// Plans `CancelKeyDeletion`.
pub(super) fn cancel_deletion(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let key = current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let answer = Answer::new(JsonObject::with_capacity(128).text("KeyId", key.arn.as_str()).finish());
    let complete = key.origin == Origin::AwsKms || key.materials.complete();
    let state = if complete { KeyState::Disabled } else { KeyState::PendingImport };
    Ok((vec![with_state(key, state)], answer))
}

fn with_state(key: &KeyView, state: KeyState) -> Edit {
    Edit::key(KeyView { state, ..key.clone() })
}

/// The text for a window that the model allows and the service does not is not recorded from KMS.
fn pending_window(input: &Input) -> Result<i64, Exception> {
    let days = input.integer(Member::PendingWindowInDays).unwrap_or(DEFAULT_PENDING_WINDOW_DAYS);
    let bound = match days {
        _ if days < SHORTEST_PENDING_WINDOW_DAYS => format!("greater than or equal to {SHORTEST_PENDING_WINDOW_DAYS}"),
        _ if days > DEFAULT_PENDING_WINDOW_DAYS => format!("less than or equal to {DEFAULT_PENDING_WINDOW_DAYS}"),
        _ => return Ok(days),
    };
    Err(Exception::validation(format!(
        "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: Member must \
         have value {bound}"
    )))
}

#[cfg(test)]
mod tests;
