//! The gateway as the KMS itself: keys sealed in an embedded store.
//!
//! The hierarchy is that of AWS KMS: a root key that is never in the store, key material wrapped under it and
//! bound to its metadata, a key derived for each message, AES-256-GCM.

pub mod blob;
mod gcm;
#[cfg(test)]
mod golden;
mod kdf;
pub mod material;
pub mod message;
pub mod root_key;
pub mod store;
pub mod store_id;
