//! `kmsgate` stands between programs and AWS KMS and speaks KMS's own protocol.
//!
//! The way of a request is one expression, in [`gateway`]: start there. [`stage`] says what travels along it,
//! [`layers`] holds one middleware a file in the order a request meets them, and [`error`] what the client is told when
//! one of them refuses.
//!
//! What the layers ask is pure, without sockets or configuration: [`sigv4`] verifies signatures, [`kms`] reads and
//! writes the wire, [`policy`] judges, [`grants`] finds the grant that allows, [`limits`] counts, [`audit`] writes the
//! record. The values they share are in [`aws`], spelled as AWS spells them; [`clock`], [`random`], [`secret`] and
//! [`network`] and [`client_tls`] are what they stand on.
//!
//! [`backend`] answers. [`backend::local`] is the KMS itself, with key material, cryptography and store;
//! [`backend::aws`] is the way to one that has the keys, by a signature of the gateway's own.
//!
//! Around them: [`config`] and [`credentials`] read the operator's files and name every fault ([`faults`]; those with secrets
//! through [`private_file`]), [`state`] is
//! what both come to, [`server`] holds connections, [`admin`] answers probes and shows metrics, [`app`] puts it all together and [`cli`]
//! starts it. [`manual`] holds what is too long for a comment: policies, forwarding, the threat model, known attacks.
//!
//! Which module may import which is the table in `tests/structure/imports.rs`.

pub mod admin;
pub mod app;
pub mod audit;
pub mod aws;
pub mod backend;
pub mod cli;
pub mod client_tls;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod error;
pub mod error_chain;
pub mod faults;
pub mod gateway;
pub mod grants;
pub mod hexadecimal;
pub mod kms;
pub mod layers;
pub mod limits;
pub mod manual;
pub mod network;
pub mod policy;
pub mod prehashed;
pub mod private_file;
pub mod random;
pub mod secret;
pub mod server;
pub mod sigv4;
pub mod stage;
pub mod state;
