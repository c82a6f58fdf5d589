//! Value types of AWS: parsed once, correct by construction, spelled as AWS spells them.

mod access_key;
mod account;
mod arn;
mod region;

pub use access_key::{AccessKeyId, InvalidAccessKeyId};
pub use account::{AccountId, InvalidAccountId};
pub use arn::{Arn, InvalidArn};
pub use region::{InvalidRegion, Partition, Region};
