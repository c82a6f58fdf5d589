//! Custom key stores: what their operations take, and that no password or credential is quoted or recorded.

use super::*;

const PASSWORD: &str = "drowssap";
const ACCESS_KEY: &str = "ABCDEFGHIJKLMNOPQRST";

fn secret_key() -> String {
    "wJalrXUtnFEMI/".repeat(4)
}

fn create() -> Value {
    json!({
        "CustomKeyStoreName": "store", "CloudHsmClusterId": "cluster-abcdefghijk", "TrustAnchorCertificate": "cert",
        "KeyStorePassword": PASSWORD, "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://xks.example.com", "XksProxyUriPath": "/kms/xks/v1",
        "XksProxyVpcEndpointServiceName": "com.amazonaws.vpce.us-east-1.vpce-svc-0a1b2c",
        "XksProxyVpcEndpointServiceOwner": "111122223333",
        "XksProxyAuthenticationCredential": {"AccessKeyId": ACCESS_KEY, "RawSecretAccessKey": secret_key()},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    })
}

fn update() -> Value {
    let mut body = create();
    let members = body.as_object_mut().unwrap();
    for name in ["CustomKeyStoreName", "TrustAnchorCertificate", "CustomKeyStoreType"] {
        members.remove(name);
    }
    members.insert("CustomKeyStoreId".to_owned(), json!("cks-1"));
    members.insert("NewCustomKeyStoreName".to_owned(), json!("other"));
    body
}

fn holds_a_secret(text: &str) -> bool {
    [PASSWORD, ACCESS_KEY, &secret_key()].iter().any(|secret| text.contains(secret))
}

#[test]
fn every_member_is_known_and_those_that_are_required_are_missed() {
    use Operation as Op;
    let store = json!({"CustomKeyStoreId": "cks-1"});
    let described = json!({"CustomKeyStoreId": "cks-1", "CustomKeyStoreName": "s", "Limit": 7, "Marker": "m"});
    for (operation, body, required) in [
        (Op::CreateCustomKeyStore, create(), Some("customKeyStoreName")),
        (Op::UpdateCustomKeyStore, update(), Some("customKeyStoreId")),
        (Op::DescribeCustomKeyStores, described, None),
        (Op::ConnectCustomKeyStore, store.clone(), Some("customKeyStoreId")),
        (Op::DisconnectCustomKeyStore, store.clone(), Some("customKeyStoreId")),
        (Op::DeleteCustomKeyStore, store, Some("customKeyStoreId")),
    ] {
        assert!(parse(operation, &body).is_ok(), "{operation:?}");
        let mut known: Vec<_> = model::fields(operation).iter().map(|field| field.member.name()).collect();
        known.sort_unstable();
        let mut sent: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        sent.sort_unstable();
        assert_eq!(known, sent, "{operation:?}");
        let missed = parse(operation, &json!({})).err().and_then(|told| told.message().map(str::to_owned));
        let expected = required.map(|member| {
            one(&format!("Value null at '{member}' failed to satisfy constraint: Member must not be null"))
        });
        assert_eq!(missed, expected, "{operation:?}");
    }
}

#[test]
fn passwords_and_credentials_are_not_recorded() {
    for (operation, body) in [(Operation::CreateCustomKeyStore, create()), (Operation::UpdateCustomKeyStore, update())]
    {
        for input in [parse(operation, &body), Input::parse_to_forward(operation, body.to_string().as_bytes())] {
            let input = input.unwrap();
            let record = recorded(&input);
            assert!(!holds_a_secret(&record) && !record.contains("assword"), "{record}");
            assert!(record.contains(r#""xksProxyConnectivity":"PUBLIC_ENDPOINT""#), "{record}");
            assert_eq!(input.string(Member::KeyStorePassword), None, "nobody is given it");
            assert!(!holds_a_secret(&format!("{input:?}")));
        }
    }
}

#[test]
fn a_secret_that_breaks_a_bound_is_not_quoted() {
    let credential = |id: &str, key: &str| json!({"AccessKeyId": id, "RawSecretAccessKey": key});
    let path = "xksProxyAuthenticationCredential";
    for (member, value, told) in [
        (
            "KeyStorePassword",
            json!("secret"),
            "'keyStorePassword' failed to satisfy constraint: Member must have length greater than or equal to 7"
                .to_owned(),
        ),
        (
            "KeyStorePassword",
            json!("s".repeat(33)),
            "'keyStorePassword' failed to satisfy constraint: Member must have length less than or equal to 32"
                .to_owned(),
        ),
        (
            "XksProxyAuthenticationCredential",
            credential("ABCDEFGHIJKLMNOPQRS1", &secret_key()),
            format!(
                "'{path}.accessKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[A-Z2-7]+$"
            ),
        ),
        (
            "XksProxyAuthenticationCredential",
            credential(ACCESS_KEY, "secret"),
            format!(
                "'{path}.rawSecretAccessKey' failed to satisfy constraint: Member must have length greater than or equal to 43"
            ),
        ),
        (
            "XksProxyAuthenticationCredential",
            json!({"AccessKeyId": ACCESS_KEY}),
            format!("'{path}.rawSecretAccessKey' failed to satisfy constraint: Member must not be null"),
        ),
    ] {
        let mut body = create();
        body[member] = value;
        let message = faults(Operation::CreateCustomKeyStore, &body);
        let value = if told.ends_with("null") { "Value null at" } else { "Value at" };
        assert_eq!(message, one(&format!("{value} {told}")));
    }
}
