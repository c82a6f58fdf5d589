//! `kmsgate` stands between programs and AWS KMS and speaks KMS's own protocol.
//!
//! Modules in reading order; each imports only from those above it.

pub mod admin;
pub mod app;
pub mod audit;
pub mod aws;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod error;
pub mod faults;
pub mod gateway;
pub mod kms;
pub mod layers;
pub mod limits;
pub mod policy;
pub mod random;
pub mod secret;
pub mod server;
pub mod sigv4;
pub mod stage;
pub mod state;
