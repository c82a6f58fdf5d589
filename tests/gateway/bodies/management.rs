//! Every bound of every member of the calls that make, change and list keys and aliases, on both sides.

use serde_json::{Value, json};

use super::table::Then::{Granted, Refused, Says};
use super::table::{AT_LEAST_1, Table, Then, at_most, broken, invalid, not_in_enum, null};
use crate::harness::Refusal;

fn not_served() -> Then {
    invalid("UnsupportedOperationException")
}

fn texts<const N: usize>(char: &str, lengths: [usize; N]) -> [String; N] {
    lengths.map(|length| char.repeat(length))
}

#[test]
fn a_new_keys_members_keep_their_bounds() {
    let mut table = Table::new();
    let [longest, longer] = texts("\u{e9}", [8192, 8193]);
    table.with("CreateKey", "Description", "".into(), Granted);
    table.with("CreateKey", "Description", longest.into(), Granted);
    let then = broken(&longer, "description", &at_most(8192));
    table.with("CreateKey", "Description", longer.into(), then);

    table.with("CreateKey", "Policy", "".into(), Says("ValidationException", format!("Member must {AT_LEAST_1}")));
    let [longest, longer] = texts("p", [131_072, 131_073]);
    // Whether it is a policy at all comes after its length.
    table.with("CreateKey", "Policy", longest.into(), invalid("MalformedPolicyDocumentException"));
    table.with("CreateKey", "Policy", longer.into(), Says("ValidationException", at_most(131_072)));
    let pattern = r"satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+";
    table.with("CreateKey", "Policy", "\u{100}".into(), broken("\u{100}", "policy", pattern));

    for (member, path) in [
        ("KeyUsage", "keyUsage"),
        ("KeySpec", "keySpec"),
        ("CustomerMasterKeySpec", "customerMasterKeySpec"),
        ("Origin", "origin"),
    ] {
        table.with("CreateKey", member, "HMAC_random".into(), not_in_enum("HMAC_random", path));
    }
    table.with("CreateKey", "KeySpec", "SYMMETRIC_DEFAULT".into(), Granted);
    table.with("CreateKey", "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT".into(), Granted);
    table.with("CreateKey", "KeyUsage", "ENCRYPT_DECRYPT".into(), Granted);
    table.with("CreateKey", "Origin", "AWS_KMS".into(), Granted);
    table.with("CreateKey", "Origin", "EXTERNAL".into(), Granted);
    table.with("CreateKey", "MultiRegion", false.into(), Granted);
    table.with("CreateKey", "MultiRegion", true.into(), Granted);
    table.with("CreateKey", "BypassPolicyLockoutSafetyCheck", true.into(), Granted);
    for (member, value) in [("Origin", "AWS_CLOUDHSM"), ("Origin", "EXTERNAL_KEY_STORE")] {
        table.with("CreateKey", member, value.into(), not_served());
    }
    let no_store = || invalid("CustomKeyStoreNotFoundException");
    for (member, path, length, then) in
        [("CustomKeyStoreId", "customKeyStoreId", 64, no_store()), ("XksKeyId", "xksKeyId", 128, not_served())]
    {
        let [longest, longer] = texts("x", [length, length + 1]);
        table.with("CreateKey", member, longest.into(), then);
        let then = broken(&longer, path, &at_most(length));
        table.with("CreateKey", member, longer.into(), then);
    }
    let pattern = "satisfy regular expression pattern: ^[a-zA-Z0-9-_.]+$";
    table.with("CreateKey", "XksKeyId", "a/b".into(), broken("a/b", "xksKeyId", pattern));
}

#[test]
fn a_key_that_contradicts_itself_is_refused_in_awss_words() {
    let mut table = Table::new();
    let says = |text: &str| Refused(Refusal::new(400, "ValidationException", text));
    let usage = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.";
    for spec in ["HMAC_256", "RSA_2048", "ECC_NIST_P256"] {
        table.with("CreateKey", "KeySpec", spec.into(), says(usage));
    }
    for (usage, spec) in [("ENCRYPT_DECRYPT", "ECC_NIST_P256"), ("KEY_AGREEMENT", "RSA_2048")] {
        let text = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
        table.body("CreateKey", &json!({"KeyUsage": usage, "KeySpec": spec}), says(&text));
    }
    table.body("CreateKey", &json!({"KeyUsage": "SIGN_VERIFY", "KeySpec": "RSA_2048"}), Granted);
    table.body("CreateKey", &json!({"KeyUsage": "SIGN_VERIFY", "KeySpec": "SM2"}), not_served());
}

#[test]
fn tags_keep_their_bounds_and_awss_rules() {
    let mut table = Table::new();
    let tag = |key: &str, value: &str| json!({"TagKey": key, "TagValue": value});
    let mut tags = |tags: Value, then: Then| table.with("CreateKey", "Tags", tags, then);
    let [longest, longer] = texts("k", [128, 129]);
    tags(json!([]), Granted);
    tags(json!([tag(&longest, "")]), Granted);
    tags(json!([tag("", "v")]), broken("", "tags.1.member.tagKey", AT_LEAST_1));
    tags(json!([tag("a", "v"), tag(&longer, "v")]), broken(&longer, "tags.2.member.tagKey", &at_most(128)));
    let [longest, longer] = texts("v", [256, 257]);
    tags(json!([tag("k", &longest)]), Granted);
    tags(json!([tag("k", &longer)]), broken(&longer, "tags.1.member.tagValue", &at_most(256)));
    tags(json!([{"TagKey": "k"}]), null("tags.1.member.tagValue"));
    tags(json!([{"TagValue": "v"}]), null("tags.1.member.tagKey"));
    let numbered = |count: usize| (0..count).map(|index| tag(&index.to_string(), "v")).collect::<Value>();
    let refused = |text: &str| Refused(Refusal::new(400, "TagException", text));
    tags(numbered(50), Granted);
    tags(numbered(51), refused("Too many tags"));
    tags(json!([tag("k", "v"), tag("k", "w")]), refused("Duplicate tag keys"));
    for reserved in ["aws:team", "AWS:team", "aWs:"] {
        tags(json!([tag(reserved, "v")]), refused("Tags beginning with aws: are reserved"));
    }
}

#[test]
fn a_key_is_kept_for_7_to_30_days_before_it_is_deleted() {
    let mut table = Table::new();
    for days in [7, 30] {
        let mut body = table.valid("ScheduleKeyDeletion");
        body["PendingWindowInDays"] = days.into();
        let answer = table.body("ScheduleKeyDeletion", &body, Granted);
        assert_eq!(answer["PendingWindowInDays"], days);
        assert_eq!(answer["KeyState"], "PendingDeletion");
        let key = table.key.clone();
        let pending = || Refused(Refusal::new(400, "KMSInvalidStateException", format!("{key} is pending deletion.")));
        for operation in
            ["GenerateDataKeyWithoutPlaintext", "Encrypt", "EnableKey", "DisableKey", "ScheduleKeyDeletion"]
        {
            let body = table.valid(operation);
            table.body(operation, &body, pending());
        }
        let body = table.valid("CancelKeyDeletion");
        assert_eq!(table.body("CancelKeyDeletion", &body, Granted), json!({"KeyId": key}));
        let not_pending = format!("{key} is not pending deletion.");
        table.body("CancelKeyDeletion", &body, Refused(Refusal::new(400, "KMSInvalidStateException", not_pending)));
        let described = table.body("DescribeKey", &body, Granted);
        assert_eq!(described["KeyMetadata"]["KeyState"], "Disabled");
        let disabled = || Refused(Refusal::new(400, "DisabledException", format!("{key} is disabled.")));
        let encrypt = table.valid("Encrypt");
        table.body("Encrypt", &encrypt, disabled());
        table.body("EnableKey", &body, Granted);
        table.body("Encrypt", &encrypt, Granted);
    }
    let window = |table: &mut Table, days: i64, then| {
        table.with("ScheduleKeyDeletion", "PendingWindowInDays", days.into(), then);
    };
    let path = "pendingWindowInDays";
    window(&mut table, 0, broken("0", path, "have value greater than or equal to 1"));
    window(&mut table, 366, broken("366", path, "have value less than or equal to 365"));
    // The service is narrower than its model; how it words that is not verified.
    for days in [1, 6, 31, 365] {
        window(&mut table, days, Says("ValidationException", path.into()));
    }
}

#[test]
fn an_aliass_name_has_1_to_256_characters_of_a_few_kinds() {
    let mut table = Table::new();
    let longest = format!("alias/{}", "n".repeat(250));
    table.without("CreateAlias", "AliasName", null("aliasName"));
    table.with("CreateAlias", "AliasName", "".into(), Says("ValidationException", format!("Member must {AT_LEAST_1}")));
    table.with("CreateAlias", "AliasName", longest.clone().into(), Granted);
    let longer = format!("{longest}n");
    table.with("CreateAlias", "AliasName", longer.clone().into(), broken(&longer, "aliasName", &at_most(256)));
    let pattern = "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$";
    for name in ["alias/a b", "alias/\u{fc}", "alias/a.b"] {
        table.with("CreateAlias", "AliasName", name.into(), broken(name, "aliasName", pattern));
    }
    let prefix = "Alias must start with the prefix \"alias/\". Please see \
                  https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
    for name in ["orders", "Alias/orders", "alias"] {
        table.with("CreateAlias", "AliasName", name.into(), Refused(Refusal::new(400, "ValidationException", prefix)));
    }
    // How KMS words these is not recorded.
    for (name, code) in [
        ("alias/", "ValidationException"),
        ("alias/my:alias", "ValidationException"),
        ("alias/aws/orders", "InvalidAliasNameException"),
    ] {
        table.with("CreateAlias", "AliasName", name.into(), invalid(code));
    }
    table.with("CreateAlias", "AliasName", "alias/aZ0-_/x".into(), Granted);
    let exists = "An alias with the name arn:aws:kms:us-east-1:111122223333:alias/aZ0-_/x already exists";
    let exists = Refused(Refusal::new(400, "AlreadyExistsException", exists));
    table.with("CreateAlias", "AliasName", "alias/aZ0-_/x".into(), exists);
    table.with("CreateAlias", "TargetKeyId", "alias/aZ0-_/x".into(), invalid("ValidationException"));
    for index in 2..50 {
        table.with("CreateAlias", "AliasName", format!("alias/{index}").into(), Granted);
    }
    table.with("CreateAlias", "AliasName", "alias/50".into(), invalid("LimitExceededException"));
}

#[test]
fn a_page_of_a_list_keeps_its_bounds() {
    let mut table = Table::new();
    table.with("CreateAlias", "AliasName", "alias/a".into(), Granted);
    table.with("CreateAlias", "AliasName", "alias/b".into(), Granted);
    table.body("CreateKey", &json!({}), Granted);
    for (operation, list) in [("ListKeys", "Keys"), ("ListAliases", "Aliases")] {
        table.with(operation, "Limit", 0.into(), broken("0", "limit", "have value greater than or equal to 1"));
        table.with(operation, "Limit", 1001.into(), broken("1001", "limit", "have value less than or equal to 1000"));
        table.with(operation, "Limit", 100.into(), Granted);
        table.with(operation, "Marker", "".into(), Says("ValidationException", format!("Member must {AT_LEAST_1}")));
        let [longest, longer] = texts("m", [1024, 1025]);
        table.with(operation, "Marker", longest.into(), invalid("InvalidMarkerException"));
        let then = broken(&longer, "marker", &at_most(1024));
        table.with(operation, "Marker", longer.into(), then);
        let pattern = r"satisfy regular expression pattern: [\u0020-\u00FF]*";
        table.with(operation, "Marker", "\u{100}".into(), broken("\u{100}", "marker", pattern));
        // Page by page everything comes once.
        let (mut seen, mut marker) = (Vec::new(), Value::Null);
        while seen.len() < 2 {
            let page = table.body(operation, &json!({"Limit": 1, "Marker": marker}), Granted);
            let entries = page[list].as_array().unwrap();
            assert_eq!(entries.len(), 1);
            seen.extend_from_slice(entries);
            assert_eq!(page["Truncated"], seen.len() < 2);
            assert_eq!(page["NextMarker"].is_string(), seen.len() < 2);
            marker = page["NextMarker"].clone();
        }
        assert_ne!(seen[0], seen[1]);
    }
    table.with("ListKeys", "Limit", 1000.into(), Granted);
    // ListAliases is narrower than its model; how it words that is not verified.
    table.with("ListAliases", "Limit", 101.into(), Says("ValidationException", "limit".into()));
}
