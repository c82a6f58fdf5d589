//! Policies over the wire: what a principal may do is what its policies allow, and what they deny it may never do.

use serde_json::{Value, json};

use crate::harness::{ACCOUNT, ALLOW_ALL, Caller, Connection, Gateway, REGION, Refusal, Site};

const DATA_KEY: &str = "GenerateDataKeyWithoutPlaintext";

fn document(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn allow(actions: &Value, condition: &Value) -> String {
    document(&json!([{"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition}]))
}

fn denied(caller: &Caller, action: &str, resource: &str, because: &str) -> Refusal {
    let text = format!("User: {} is not authorized to perform: {action} {resource} {because}", caller.arn);
    Refusal::new(400, "AccessDeniedException", text)
}

fn not_allowed(caller: &Caller, action: &str, key: &str) -> Refusal {
    let because = format!("because no identity-based policy allows the {action} action");
    denied(caller, action, &format!("on resource: {key}"), &because)
}

fn explicitly(caller: &Caller, action: &str, key: &str) -> Refusal {
    denied(caller, action, &format!("on resource: {key}"), "with an explicit deny in an identity-based policy")
}

/// The reasons that a record gives.
fn decisions(gateway: &Gateway, answer: &crate::harness::Answer) -> Vec<String> {
    let record = gateway.record(answer);
    let reasons = record["additionalEventData"]["gateway"]["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["decision"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_is_allowed_by_default() {
    let mut site = Site::new();
    let nobody = site.nobody("nobody");
    let describer = site.user("describer", &allow(&json!("kms:DescribeKey"), &json!({})));
    let gateway = site.start();
    let key = gateway.create_key();
    let ciphertext = gateway
        .call(&gateway.site.admin, "Encrypt", &json!({"KeyId": key, "Plaintext": "AAAA"}))
        .granted()["CiphertextBlob"]
        .clone();
    for (operation, body) in [
        (DATA_KEY, json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": "AAAA"})),
        ("Decrypt", json!({"KeyId": key, "CiphertextBlob": ciphertext})),
        ("DescribeKey", json!({"KeyId": key})),
        ("DisableKey", json!({"KeyId": key})),
        ("ScheduleKeyDeletion", json!({"KeyId": key})),
    ] {
        let answer = gateway.call(&nobody, operation, &body);
        assert_eq!(answer.refused(), not_allowed(&nobody, &format!("kms:{operation}"), &key));
        assert_eq!(decisions(&gateway, &answer), ["ImplicitDeny"]);
        let record = gateway.record(&answer);
        assert_eq!((&record["errorCode"], &record["resources"][0]["ARN"]), (&json!("AccessDenied"), &json!(key)));
        assert_eq!(record["userIdentity"]["arn"], nobody.arn);
    }
    for operation in ["GenerateRandom", "CreateKey", "ListKeys", "ListAliases"] {
        let answer = gateway.call(&nobody, operation, &json!({"NumberOfBytes": 8}));
        assert_eq!(answer.refused(), not_allowed(&nobody, &format!("kms:{operation}"), "*"));
    }
    let answer = gateway.call(&describer, "DescribeKey", &json!({"KeyId": key}));
    answer.granted();
    assert_eq!(decisions(&gateway, &answer), ["Allow"]);
    // One permission is not another that looks like it.
    let with_plaintext = json!({"KeyId": key, "KeySpec": "AES_256"});
    let refusal = gateway.call(&describer, "GenerateDataKey", &with_plaintext).refused();
    assert_eq!(refusal, not_allowed(&describer, "kms:GenerateDataKey", &key));
}

#[test]
fn a_key_that_is_not_there_is_told_before_permission_is_asked() {
    let mut site = Site::new();
    let nobody = site.nobody("nobody");
    let gateway = site.start();
    let refusal = gateway.call(&nobody, "DescribeKey", &json!({"KeyId": "alias/nothing"})).refused();
    assert_eq!(refusal.kind(), (400, "NotFoundException"));
}

#[test]
fn an_explicit_deny_wins_over_every_allow() {
    let mut site = Site::new();
    let deny = |actions: &str, condition: Value| {
        document(&json!([
            {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
            {"Effect": "Deny", "Action": actions, "Resource": "*", "Condition": condition},
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
        ]))
    };
    let careful = site.user("careful", &deny("kms:GenerateDataKey", json!({})));
    let wildcard = site.user("wildcard", &deny("KMS:generatedatakey*", json!({})));
    let absent = json!({"StringNotEquals": {"kms:EncryptionContext:tenant": "blue"}});
    let tenant = site.user("tenant", &deny("kms:GenerateDataKey*", absent));
    let gateway = site.start();
    let key = gateway.create_key();
    let body = json!({"KeyId": key, "KeySpec": "AES_256"});
    let answer = gateway.call(&careful, "GenerateDataKey", &body);
    assert_eq!(answer.refused(), explicitly(&careful, "kms:GenerateDataKey", &key));
    assert_eq!(decisions(&gateway, &answer), ["ExplicitDeny"]);
    gateway.call(&careful, DATA_KEY, &body).granted();
    for operation in ["GenerateDataKey", DATA_KEY] {
        let refusal = gateway.call(&wildcard, operation, &body).refused();
        assert_eq!(refusal, explicitly(&wildcard, &format!("kms:{operation}"), &key));
    }
    // A negated condition holds where the key is absent, so the deny does.
    assert_eq!(gateway.call(&tenant, DATA_KEY, &body).refused(), explicitly(&tenant, &format!("kms:{DATA_KEY}"), &key));
    let blue = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"tenant": "blue"}});
    gateway.call(&tenant, DATA_KEY, &blue).granted();
    let red = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"tenant": "red"}});
    gateway.call(&tenant, DATA_KEY, &red).refused();
}

#[test]
fn a_statement_names_its_keys_by_their_arns() {
    let gateway = Site::new().start();
    let (key, other) = (gateway.create_key(), gateway.create_key());
    let mut site = gateway.kill();
    let one = |resource: &str| document(&json!({"Effect": "Allow", "Action": "kms:*", "Resource": resource}));
    let owner = site.user("owner", &one(&key));
    let by_alias = site.user("by-alias", &one(&format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/*")));
    let by_case = site.user("by-case", &one(&key.replace(":key/", ":KEY/")));
    let gateway = site.start();
    let admin = &gateway.site.admin;
    gateway.call(admin, "CreateAlias", &json!({"AliasName": "alias/one", "TargetKeyId": key})).granted();
    let data_key =
        |caller: &Caller, key: &str| gateway.call(caller, DATA_KEY, &json!({"KeyId": key, "KeySpec": "AES_256"}));
    let action = format!("kms:{DATA_KEY}");
    data_key(&owner, &key).granted();
    data_key(&owner, "alias/one").granted();
    assert_eq!(data_key(&owner, &other).refused(), not_allowed(&owner, &action, &other));
    // An alias is no resource of a call that uses a key.
    assert_eq!(data_key(&by_alias, "alias/one").refused(), not_allowed(&by_alias, &action, &key));
    assert_eq!(data_key(&by_case, &key).refused(), not_allowed(&by_case, &action, &key));
    // Making an alias needs both: the alias and the key.
    let create =
        |caller: &Caller| gateway.call(caller, "CreateAlias", &json!({"AliasName": "alias/two", "TargetKeyId": key}));
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/two");
    assert_eq!(create(&owner).refused(), not_allowed(&owner, "kms:CreateAlias", &alias_arn));
    assert_eq!(create(&by_alias).refused(), not_allowed(&by_alias, "kms:CreateAlias", &key));
    create(admin).granted();
}

#[test]
fn conditions_on_the_encryption_context_hold() {
    let mut site = Site::new();
    let actions = json!(["kms:GenerateDataKey*", "kms:Decrypt"]);
    let blue = site.user("blue", &allow(&actions, &json!({"StringEquals": {"kms:EncryptionContext:Tenant": "blue"}})));
    let keys = json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant", "record"]}});
    let keyed = site.user("keyed", &allow(&actions, &keys));
    let any = json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "tenant"}});
    let having = site.user("having", &allow(&actions, &any));
    let gateway = site.start();
    let key = gateway.create_key();
    let seal = |caller: &Caller, context: Value| {
        gateway.call(caller, DATA_KEY, &json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}))
    };
    // The name in the condition is not case-sensitive, the value is.
    let sealed = seal(&blue, json!({"tenant": "blue", "more": "x"})).granted();
    seal(&blue, json!({"TENANT": "blue"})).granted();
    for context in
        [Value::Null, json!({}), json!({"tenant": "Blue"}), json!({"tenant": "red"}), json!({"blue": "tenant"})]
    {
        assert_eq!(seal(&blue, context).refused(), not_allowed(&blue, &format!("kms:{DATA_KEY}"), &key));
    }
    let open = |context: Value| {
        let body = json!({"CiphertextBlob": sealed["CiphertextBlob"], "KeyId": key, "EncryptionContext": context});
        gateway.call(&blue, "Decrypt", &body)
    };
    open(json!({"more": "x", "tenant": "blue"})).granted();
    assert_eq!(open(json!({"more": "x"})).refused(), not_allowed(&blue, "kms:Decrypt", &key));
    assert_eq!(open(json!({"tenant": "blue"})).refused(), Refusal::bare(400, "InvalidCiphertextException"));
    seal(&keyed, json!({"tenant": "a"})).granted();
    seal(&keyed, json!({"tenant": "a", "record": "b"})).granted();
    seal(&keyed, json!({})).granted();
    assert_eq!(seal(&keyed, json!({"tenant": "a", "other": "b"})).refused().code, "AccessDeniedException");
    seal(&having, json!({"tenant": "a", "other": "b"})).granted();
    assert_eq!(seal(&having, json!({})).refused().code, "AccessDeniedException");
}

#[test]
fn conditions_on_the_alias_in_the_request_hold() {
    let mut site = Site::new();
    let aliased = allow(&json!("kms:*"), &json!({"StringEquals": {"kms:RequestAlias": "alias/orders"}}));
    let aliased = site.user("aliased", &aliased);
    let resource =
        allow(&json!("kms:*"), &json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"}}));
    let resource = site.user("resource", &resource);
    let gateway = site.start();
    let key = gateway.create_key();
    for alias in ["alias/orders", "alias/other"] {
        gateway.call(&gateway.site.admin, "CreateAlias", &json!({"AliasName": alias, "TargetKeyId": key})).granted();
    }
    let ask =
        |caller: &Caller, name: &str| gateway.call(caller, DATA_KEY, &json!({"KeyId": name, "KeySpec": "AES_256"}));
    let alias_arn = |name: &str| format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/{name}");
    ask(&aliased, "alias/orders").granted();
    ask(&aliased, &alias_arn("orders")).granted();
    for name in [key.as_str(), "alias/other", &alias_arn("other")] {
        assert_eq!(ask(&aliased, name).refused(), not_allowed(&aliased, &format!("kms:{DATA_KEY}"), &key));
        ask(&resource, name).granted();
    }
}

#[test]
fn conditions_on_the_principals_tags_hold() {
    let mut site = Site::new();
    let own =
        allow(&json!("kms:*"), &json!({"StringEquals": {"kms:EncryptionContext:team": "${aws:PrincipalTag/team}"}}));
    let arn = |name: &str| format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    let orders = site.principal(&arn("orders"), &own, "tags = { team = 'orders' }");
    let untagged = site.principal(&arn("untagged"), &own, "");
    let gateway = site.start();
    let key = gateway.create_key();
    let ask = |caller: &Caller, team: &str| {
        let body = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"team": team}});
        gateway.call(caller, DATA_KEY, &body)
    };
    ask(&orders, "orders").granted();
    for (caller, team) in [(&orders, "payments"), (&orders, ""), (&untagged, ""), (&untagged, "orders")] {
        assert_eq!(ask(caller, team).refused(), not_allowed(caller, &format!("kms:{DATA_KEY}"), &key));
    }
}

#[test]
fn conditions_on_where_and_how_a_request_comes_hold() {
    let mut site = Site::new();
    let near = site.user("near", &allow(&json!("kms:*"), &json!({"IpAddress": {"aws:SourceIp": "127.0.0.8/30"}})));
    let secure = site.user("secure", &allow(&json!("kms:*"), &json!({"Bool": {"aws:SecureTransport": "true"}})));
    let agent = site.user("agent", &allow(&json!("kms:*"), &json!({"StringLike": {"aws:UserAgent": "aws-sdk-*"}})));
    let gateway = site.start();
    let random = |caller: &Caller| caller.request(&gateway.host(), "GenerateRandom", &json!({"NumberOfBytes": 8}));
    for (host, allowed) in [(7, false), (8, true), (11, true), (12, false)] {
        let forwarded = random(&near).add("x-forwarded-for", "127.0.0.9").add("forwarded", "for=127.0.0.9");
        let answer = Connection::from_peer(host, gateway.address).exchange(&forwarded);
        assert_eq!(answer.status == 200, allowed, "127.0.0.{host}");
        assert_eq!(gateway.record(&answer)["sourceIPAddress"], format!("127.0.0.{host}"));
    }
    let plain = random(&secure).add("x-forwarded-proto", "https");
    assert_eq!(gateway.connect().exchange(&plain).refused(), not_allowed(&secure, "kms:GenerateRandom", "*"));
    gateway.connect().exchange(&random(&agent).add("user-agent", "aws-sdk-rust/1.3.10")).granted();
    assert_eq!(gateway.connect().exchange(&random(&agent)).refused().code, "AccessDeniedException");
}

#[test]
fn re_encryption_needs_the_permission_on_both_sides() {
    let gateway = Site::new().start();
    let (source, destination) = (gateway.create_key(), gateway.create_key());
    let sealed = gateway.call(&gateway.site.admin, "Encrypt", &json!({"KeyId": source, "Plaintext": "AAAA"})).granted();
    let mut site = gateway.kill();
    let on = |action: &str, key: &str| json!({"Effect": "Allow", "Action": action, "Resource": key});
    let both =
        site.user("both", &document(&json!([on("kms:ReEncryptFrom", &source), on("kms:ReEncryptTo", &destination)])));
    let from = site.user("from", &document(&json!([on("kms:ReEncryptFrom", &source)])));
    let to = site.user("to", &document(&json!([on("kms:ReEncryptTo", &destination)])));
    let swapped = site
        .user("swapped", &document(&json!([on("kms:ReEncryptTo", &source), on("kms:ReEncryptFrom", &destination)])));
    let gateway = site.start();
    let body =
        json!({"CiphertextBlob": sealed["CiphertextBlob"], "SourceKeyId": source, "DestinationKeyId": destination});
    let ask = |caller: &Caller| gateway.call(caller, "ReEncrypt", &body);
    let answer = ask(&both);
    let members = answer.granted();
    assert_eq!((&members["SourceKeyId"], &members["KeyId"]), (&json!(source), &json!(destination)));
    assert_eq!(decisions(&gateway, &answer), ["Allow", "Allow"]);
    let resources = gateway.record(&answer)["resources"].clone();
    assert_eq!((&resources[0]["ARN"], &resources[1]["ARN"]), (&json!(source), &json!(destination)));
    assert_eq!(ask(&from).refused(), not_allowed(&from, "kms:ReEncryptTo", &destination));
    assert_eq!(ask(&to).refused(), not_allowed(&to, "kms:ReEncryptFrom", &source));
    assert_eq!(ask(&swapped).refused(), not_allowed(&swapped, "kms:ReEncryptFrom", &source));
}

#[test]
fn each_side_of_a_re_encryption_is_judged_by_its_own_context() {
    let mut site = Site::new();
    let when = |action: &str, tenant: &str| {
        let condition = json!({"StringEquals": {"kms:EncryptionContext:tenant": tenant}});
        json!({"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition})
    };
    let statements = json!([when("kms:ReEncryptFrom", "blue"), when("kms:ReEncryptTo", "red")]);
    let mover = site.user("mover", &document(&statements));
    let gateway = site.start();
    let key = gateway.create_key();
    let ask = |from: &str, to: &str| {
        let (from, to) = (json!({"tenant": from}), json!({"tenant": to}));
        let body = json!({"KeyId": key, "Plaintext": "AAAA", "EncryptionContext": from});
        let sealed = gateway.call(&gateway.site.admin, "Encrypt", &body).granted();
        let body = json!({
            "CiphertextBlob": sealed["CiphertextBlob"], "SourceKeyId": key, "SourceEncryptionContext": from,
            "DestinationKeyId": key, "DestinationEncryptionContext": to,
        });
        gateway.call(&mover, "ReEncrypt", &body)
    };
    ask("blue", "red").granted();
    for (from, to, action) in
        [("red", "blue", "kms:ReEncryptFrom"), ("red", "red", "kms:ReEncryptFrom"), ("blue", "blue", "kms:ReEncryptTo")]
    {
        assert_eq!(ask(from, to).refused(), not_allowed(&mover, action, &key));
    }
}

#[test]
fn a_key_that_only_a_ciphertext_names_is_not_told_to_who_may_not_use_it() {
    let mut site = Site::new();
    let nobody = site.nobody("nobody");
    let barred = site.user("barred", &ALLOW_ALL.replace("Allow", "Deny"));
    let gateway = site.start();
    let key = gateway.create_key();
    let sealed = gateway.call(&gateway.site.admin, "Encrypt", &json!({"KeyId": key, "Plaintext": "AAAA"})).granted();
    let blob = &sealed["CiphertextBlob"];
    let on = "on the resource associated with this ciphertext";
    let not_allowed_on = |caller: &Caller, action: &str| {
        denied(caller, action, on, &format!("because no identity-based policy allows the {action} action"))
    };
    let decrypt = gateway.call(&nobody, "Decrypt", &json!({"CiphertextBlob": blob}));
    assert_eq!(decrypt.refused(), not_allowed_on(&nobody, "kms:Decrypt"));
    let re_encrypt = gateway.call(&nobody, "ReEncrypt", &json!({"CiphertextBlob": blob, "DestinationKeyId": key}));
    assert_eq!(re_encrypt.refused(), not_allowed_on(&nobody, "kms:ReEncryptFrom"));
    let explicit = gateway.call(&barred, "Decrypt", &json!({"CiphertextBlob": blob}));
    let because = "with an explicit deny in an identity-based policy";
    assert_eq!(explicit.refused(), denied(&barred, "kms:Decrypt", on, because));
    // The operator is told.
    assert_eq!(gateway.record(&decrypt)["resources"][0]["ARN"], key);
}

#[test]
fn accounts_are_kept_apart() {
    let mut site = Site::new();
    let foreigner = site.principal("arn:aws:iam::444455556666:user/foreigner", ALLOW_ALL, "");
    let barred = site.principal("arn:aws:iam::444455556666:user/barred", &ALLOW_ALL.replace("Allow", "Deny"), "");
    let gateway = site.start();
    let admin = &gateway.site.admin;
    let key = gateway.create_key();
    let id = key.rsplit('/').next().unwrap();
    let on_this_resource = |caller: &Caller, action: &str| {
        let because = "because the resource does not exist in this Region, no resource-based policies allow access, or a \
                       resource-based policy explicitly denies access";
        denied(caller, action, "on this resource", because)
    };
    let data_key =
        |caller: &Caller, name: &str| gateway.call(caller, DATA_KEY, &json!({"KeyId": name, "KeySpec": "AES_256"}));
    // A principal of another account, with every permission there, on a key here.
    let refusal = data_key(&foreigner, &key).refused();
    assert_eq!(refusal, on_this_resource(&foreigner, &format!("kms:{DATA_KEY}")));
    // That its own policies deny is told of no key, as it is of none that is not there.
    for key in [&key, &key.replace(id, "1234abcd-12ab-34cd-56ef-1234567890ab")] {
        assert_eq!(data_key(&barred, key).refused(), on_this_resource(&barred, &format!("kms:{DATA_KEY}")));
    }
    // An id alone is one of its own account, which has none here.
    let own = format!("Key 'arn:aws:kms:{REGION}:444455556666:key/{id}' does not exist");
    assert_eq!(data_key(&foreigner, id).refused(), Refusal::new(400, "NotFoundException", own));
    for operation in ["CreateKey", "ListKeys", "ListAliases", "GenerateRandom"] {
        let answer = gateway.call(&foreigner, operation, &json!({"NumberOfBytes": 8}));
        assert_eq!(answer.refused().kind(), (400, "AccessDeniedException"), "{operation}");
    }
    let sealed = gateway.call(admin, "Encrypt", &json!({"KeyId": key, "Plaintext": "AAAA"})).granted();
    let decrypt = gateway.call(&foreigner, "Decrypt", &json!({"CiphertextBlob": sealed["CiphertextBlob"]}));
    assert_eq!(decrypt.refused().kind(), (400, "AccessDeniedException"));
    assert!(!decrypt.refused().text().contains(id));
    // A key of another account, whether it exists or not.
    for name in [format!("key/{id}"), "key/1234abcd-12ab-34cd-56ef-1234567890ab".into(), "alias/x".into()] {
        let name = format!("arn:aws:kms:{REGION}:444455556666:{name}");
        assert_eq!(data_key(admin, &name).refused(), on_this_resource(admin, &format!("kms:{DATA_KEY}")));
    }
}
