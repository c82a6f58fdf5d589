//! Ring 3 of the tests: the real program, over real sockets, called by the AWS SDK for Rust and by a client that can
//! also send what no SDK would.
//!
//! Every test starts a gateway of its own, so that none sees another's quotas, penalties or records. What is expected
//! are the texts of AWS, as recorded or documented; where nobody has recorded one, the test says so and asks for code
//! and status alone.
#![cfg(test)]

mod harness;

mod bodies;
mod connections;
mod durability;
mod files;
mod forwarding;
mod key_pairs;
mod keys;
mod limits;
mod policy;
mod probes;
mod quickstart;
mod readme;
mod sdk;
mod seeds;

mod heads;
