//! Against real servers on this machine.

use super::testing::*;
use super::*;

mod answers;
mod connections;
mod metrics;
mod proxied;
mod races;
mod secured;
mod timeouts;
