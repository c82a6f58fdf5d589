//! The backend that forwards: the keys live in AWS KMS, or in another KMS that speaks its protocol.
//!
//! It holds the only credentials that AWS knows. What the layers before it have allowed is signed anew and sent as it
//! came; what comes back is checked against what was allowed before it is let out.

mod key;
#[cfg_attr(not(test), expect(dead_code, reason = "the backend that calls upstreams comes next"))]
mod breaker;
mod replicas;
mod settings;
mod skew;
#[cfg_attr(not(test), expect(dead_code, reason = "the backend that calls upstreams comes next"))]
mod transport;

pub use key::{KeyView, Metadata};
mod credentials;
mod settings;
mod skew;

pub use credentials::{Chain, CredentialSource, Credentials, NoCredentials, default_chain};
pub use replicas::{ReplicaCount, Replicas, Resolver, SystemResolver};
pub use settings::{ConnectionSettings, EndpointSettings, LookUpSettings, Role, Settings, Timeouts, UpstreamSettings};
pub use skew::Skew;
