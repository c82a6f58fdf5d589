//! Who may call: principals and their access keys, read from the credentials file.

pub mod file;
pub mod new_key;
mod principal;
mod principal_arn;
mod unique_id;

pub use principal::{AccessKey, Credentials, Principal, SecretAccessKey};
pub use principal_arn::{DEFAULT_SESSION_NAME, InvalidPrincipalArn, PrincipalArn, PrincipalType};
