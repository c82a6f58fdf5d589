//! The record of what the gateway itself has done: a checkpoint, a line repaired, refusals summed up. In the shape of CloudTrail's
//! `AwsServiceEvent`, so that what reads CloudTrail reads past it; `eventSource` tells it from what KMS does.

use std::io::Write;

use crate::aws::{AccountId, Region};
use crate::clock::Timestamp;
use crate::random;

/// `eventID` where there are no random bytes: the record is worth more than its id.
pub(super) const NO_ID: [u8; 36] = *b"00000000-0000-0000-0000-000000000000";

/// `eventName` of a checkpoint.
pub(super) const CHECKPOINT: &str = "AuditCheckpoint";
/// `eventName` of a line that stands for one that a crash has left half-written.
pub(super) const REPAIRED: &str = "AuditLineRepaired";
/// `eventName` of a sum of refusals.
pub(super) const REFUSALS: &str = "UnauthenticatedRefusals";

/// Where the gateway is.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The account that the records are for.
    pub account: AccountId,
    /// The gateway's own region.
    pub region: Region,
}

impl Origin {
    /// Appends the record of `name`, open in `additionalEventData.gateway`, which nothing stands in yet.
    pub(super) fn event(&self, out: &mut Vec<u8>, name: &'static str, at: Timestamp) {
        let Self { account, region } = self;
        let time = at.iso8601();
        let id = random::uuid_bytes().unwrap_or(NO_ID);
        let id = std::str::from_utf8(&id).unwrap_or_default();
        // Nothing in these has to be escaped, and a vector takes whatever is written to it.
        let _ = write!(
            out,
            r#"{{"eventVersion":"1.11","userIdentity":{{"accountId":"{account}","invokedBy":"kmsgate"}},"eventTime":"{time}","eventSource":"kmsgate","eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"kmsgate","userAgent":"kmsgate","requestParameters":null,"responseElements":null,"eventID":"{id}","readOnly":true,"resources":[],"eventType":"AwsServiceEvent","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management","additionalEventData":{{"gateway":{{"#
        );
    }
}
