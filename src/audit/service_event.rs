//! The record of what KMS does to a key by itself: CloudTrail's `AwsServiceEvent` (KMS developer guide, the log entries
//! of `DeleteKey`, `RotateKey` and `DeleteExpiredKeyMaterial`).

use crate::aws::KeyArn;
use crate::clock::Timestamp;
use crate::random;

/// `eventID` where there are no random bytes: the record is worth more than its id.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// The record, open in `additionalEventData.gateway`, that says that `name` was done to `key` at `at`. There was no request, so there is no
/// `requestID` in it.
#[must_use]
pub fn service_event(name: &'static str, key: &KeyArn, at: Timestamp) -> String {
    let (region, account, id, time) = (key.region(), key.account(), key.id(), at.iso8601());
    let event_id = random::uuid().unwrap_or_else(|_| NO_ID.to_owned());
    // Nothing in these has to be escaped.
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"accountId":"{account}","invokedBy":"AWS Internal"}},"eventTime":"{time}","eventSource":"kms.amazonaws.com","eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"AWS Internal","userAgent":"AWS Internal","requestParameters":null,"responseElements":null,"eventID":"{event_id}","readOnly":false,"resources":[{{"accountId":"{account}","type":"AWS::KMS::Key","ARN":"{key}"}}],"eventType":"AwsServiceEvent","managementEvent":true,"recipientAccountId":"{account}","serviceEventDetails":{{"keyId":"{id}"}},"eventCategory":"Management","additionalEventData":{{"gateway":{{"#
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_has_the_members_that_cloudtrail_gives_it() {
        let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let at = Timestamp::parse_basic("20261123T182241Z").unwrap();
        let line = service_event("DeleteKey", &key.parse().unwrap(), at) + "}}}";
        assert!(!line.contains('\n'));
        let mut record: Value = serde_json::from_str(&line).unwrap();
        crate::audit::record::tests::assert_valid(&record);
        let event_id = record.as_object_mut().unwrap().remove("eventID").unwrap();
        assert_eq!(event_id.as_str().unwrap().len(), 36);
        assert_eq!(
            record,
            json!({
                "eventVersion": "1.11",
                "userIdentity": {"accountId": "111122223333", "invokedBy": "AWS Internal"},
                "eventTime": "2026-11-23T18:22:41Z",
                "eventSource": "kms.amazonaws.com",
                "eventName": "DeleteKey",
                "awsRegion": "eu-west-1",
                "sourceIPAddress": "AWS Internal",
                "userAgent": "AWS Internal",
                "requestParameters": null,
                "responseElements": null,
                "readOnly": false,
                "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key}],
                "eventType": "AwsServiceEvent",
                "managementEvent": true,
                "recipientAccountId": "111122223333",
                "serviceEventDetails": {"keyId": "1234abcd-12ab-34cd-56ef-1234567890ab"},
                "eventCategory": "Management",
                "additionalEventData": {"gateway": {}},
            })
        );
    }
}
