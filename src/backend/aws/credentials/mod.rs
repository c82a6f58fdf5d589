//! The credentials that requests to AWS are signed with: where they come from, and how they are kept fresh.
//!
//! [`Chain`] finds them, as the SDKs of AWS do. One [`CredentialSource`] for each role (or for none) has a task that
//! loads them, loads them again before they end, and keeps at it when that fails; requests take what is there
//! ([`CredentialSource::current`]) and never wait for a load.
//!
//! Metrics, each with the label `source` (`default`, or the role's ARN); their recorder has to be there when a source is
//! started:
//! - gauge `kmsgate_credentials_expire_seconds`: seconds until they end, as of the last look, at most a minute ago;
//!   `+Inf` for those that do not end, 0 where there are none.
//! - counter `kmsgate_credentials_refreshes_total`, with `outcome`: `loaded` or `failed`.
//!
//! Architecture invariant: nothing expired is handed out, and no secret is in a text that leaves this module.

mod chain;
mod loaded;
mod refresh;
mod rejection;
mod schedule;
mod source;

use chain::Chain;
pub(crate) use loaded::Credentials;
pub(crate) use source::CredentialSource;

#[cfg(test)]
mod tests;
