//! Grants: what a key's owner lets one principal do with the key, beside all policies.
//!
//! Pure: which of a key's grants allows a request ([`Grants::allowing`]), what a grant made through another may hold
//! ([`Grant::bounds`]), and the tokens that carry a grant ([`GrantToken`]). Who keeps them, and who asks, is elsewhere.
//! Source: developer guide, "Grants in AWS KMS"; API reference, `CreateGrant` and `GrantConstraints`.
//!
//! Architecture invariant: a grant only ever allows, and nothing here asks a policy.

mod constraint;
mod grant;
mod operation;
mod set;
mod token;

pub use constraint::Constraint;
pub use grant::Grant;
pub use operation::{GrantOperation, GrantOperations};
pub use set::Grants;
pub use token::{GrantToken, InvalidGrantToken, MOST_CONSTRAINT_BYTES, StoreKnowledge, TokenKey, WINDOW, honoured};
