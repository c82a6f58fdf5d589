//! The pure modules of the product that are fuzzed, from their own files, under the product's name.
//!
//! Not the whole product: to build AWS's SDK, SQLite and AWS-LC for the sanitizer takes a quarter of an hour on two
//! cores, and nothing of them is fuzzed. That these modules stand alone is what `tests/structure/imports.rs` keeps.

#[path = "../../../src/aws/mod.rs"]
pub mod aws;
#[path = "../../../src/faults/mod.rs"]
pub mod faults;
#[path = "../../../src/hexadecimal.rs"]
pub mod hexadecimal;
#[path = "../../../src/policy/mod.rs"]
pub mod policy;
#[path = "../../../src/prehashed.rs"]
pub mod prehashed;
