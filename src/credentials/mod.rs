//! Who may call: principals and their access keys, read from the credentials file.

mod principal_arn;

pub use principal_arn::{DEFAULT_SESSION_NAME, InvalidPrincipalArn, PrincipalArn, PrincipalType};
