//! Imports: what they answer, which are refused, and what becomes of a key whose material comes and goes. That the
//! material unwraps which other libraries wrap, `import_wrapping/tests.rs` and tests/clients show.

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::key::MultiRegion;
use super::super::testing::{Local, members, region};
use super::*;
use crate::aws::{KeyArn, Operation};

/// 2026-11-23T18:22:41Z, where the clock stands.
const NOW: f64 = 1_795_458_161.0;
const DAY: f64 = 86_400.0;
const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];
const THREE: [u8; 32] = [3; 32];

fn of(key: &KeyArn) -> Value {
    json!({"KeyId": key.as_str()})
}

fn made(local: &Local, body: &Value) -> KeyArn {
    local.ok(Operation::CreateKey, body)["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap()
}

fn external(local: &Local) -> KeyArn {
    made(local, &json!({"Origin": "EXTERNAL"}))
}

/// What `GetParametersForImport` answers for the usual algorithm.
struct Parameters {
    token: Value,
    public_key: Vec<u8>,
}

impl Parameters {
    fn of(local: &Local, key: &KeyArn) -> Self {
        let body = json!({"KeyId": key.as_str(), "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
                          "WrappingKeySpec": "RSA_2048"});
        let answer = local.ok(Operation::GetParametersForImport, &body);
        let public_key = STANDARD.decode(answer["PublicKey"].as_str().unwrap()).unwrap();
        Self { token: answer["ImportToken"].clone(), public_key }
    }

    /// A request that imports `secret`, with `more`.
    fn request(&self, key: &KeyArn, secret: &[u8], more: &Value) -> Value {
        let public_key = PublicEncryptingKey::from_der(&self.public_key).unwrap();
        let public_key = OaepPublicEncryptingKey::new(public_key).unwrap();
        let mut wrapped = vec![0; public_key.ciphertext_size()];
        public_key.encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut wrapped, None).unwrap();
        let mut body = json!({"KeyId": key.as_str(), "ImportToken": self.token,
                              "EncryptedKeyMaterial": STANDARD.encode(wrapped),
                              "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        if more["ValidTo"].is_number() {
            body["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
        }
        body
    }
}

/// A key that waits for its material, and what it is imported with.
fn waiting() -> (Local, KeyArn, Parameters) {
    let local = Local::new();
    let key = external(&local);
    let parameters = Parameters::of(&local, &key);
    (local, key, parameters)
}

/// Imports `secret`; the id that it has.
fn import(local: &Local, key: &KeyArn, parameters: &Parameters, secret: &[u8], more: &Value) -> Value {
    let answer = local.ok(Operation::ImportKeyMaterial, &parameters.request(key, secret, more));
    assert_eq!(members(&answer), ["KeyId", "KeyMaterialId"]);
    assert_eq!(answer["KeyId"], key.as_str());
    answer["KeyMaterialId"].clone()
}

fn refusal(local: &Local, key: &KeyArn, parameters: &Parameters, secret: &[u8], more: &Value) -> String {
    local.refusal(Operation::ImportKeyMaterial, &parameters.request(key, secret, more))
}

fn described(local: &Local, key: &KeyArn) -> Value {
    local.ok(Operation::DescribeKey, &of(key))["KeyMetadata"].clone()
}

fn state(local: &Local, key: &KeyArn) -> Value {
    described(local, key)["KeyState"].clone()
}

fn listed(local: &Local, key: &KeyArn) -> Vec<Value> {
    let body = json!({"KeyId": key.as_str(), "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    local.ok(Operation::ListKeyRotations, &body)["Rotations"].as_array().unwrap().clone()
}

fn new() -> Value {
    json!({"ImportType": "NEW_KEY_MATERIAL"})
}

#[test]
fn parameters_are_those_of_the_model_and_good_for_a_day() {
    let local = Local::new();
    let key = external(&local);
    let body = json!({"KeyId": key.id().as_str(), "WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256",
                      "WrappingKeySpec": "RSA_2048"});
    let answer = local.ok(Operation::GetParametersForImport, &body);
    assert_eq!(members(&answer), ["ImportToken", "KeyId", "ParametersValidTo", "PublicKey"]);
    assert_eq!((&answer["KeyId"], &answer["ParametersValidTo"]), (&json!(key.as_str()), &json!(NOW + DAY)));
    assert_eq!(state(&local, &key), "PendingImport");
    for (algorithm, spec) in [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "RSA_2048"), ("RSAES_OAEP_SHA_1", "SM2")] {
        let body = json!({"KeyId": key.as_str(), "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        assert_eq!(local.code(Operation::GetParametersForImport, &body), "UnsupportedOperationException");
    }
}

#[test]
fn the_first_import_makes_a_key_usable_and_survives_a_restart() {
    let (local, key, parameters) = waiting();
    assert!(described(&local, &key).get("CurrentKeyMaterialId").is_none());
    let id = import(&local, &key, &parameters, &ONE, &json!({}));
    let metadata = described(&local, &key);
    assert_eq!(metadata["CurrentKeyMaterialId"], id);
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("Enabled"), &json!(true)));
    assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    assert!(metadata.get("ValidTo").is_none());
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    let local = local.reopened();
    assert_eq!(described(&local, &key), metadata);
    let answer = local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}));
    assert_eq!((&answer["Plaintext"], &answer["KeyMaterialId"]), (&json!("c2VjcmV0"), &id));
}

#[test]
fn the_material_of_one_key_has_another_id_under_another_and_decrypts_nothing_of_it() {
    let (local, key, parameters) = waiting();
    let other = external(&local);
    let id = import(&local, &key, &parameters, &ONE, &json!({}));
    let of_other = import(&local, &other, &Parameters::of(&local, &other), &ONE, &json!({}));
    assert_ne!(id, of_other);
    let body = json!({"CiphertextBlob": local.encrypt(&key, "c2VjcmV0", &json!({})), "KeyId": other.as_str()});
    assert_eq!(local.code(Operation::Decrypt, &body), "IncorrectKeyException");
}

#[test]
fn deleted_material_is_imported_again_and_decrypts_what_it_encrypted() {
    let (local, key, parameters) = waiting();
    let id = import(&local, &key, &parameters, &ONE, &json!({"KeyMaterialDescription": "from the safe"}));
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    let deleted = json!({"KeyId": key.as_str(), "KeyMaterialId": id});
    for _ in 0..2 {
        assert_eq!(local.ok(Operation::DeleteImportedKeyMaterial, &of(&key)), deleted);
        assert_eq!(local.ok(Operation::DeleteImportedKeyMaterial, &deleted), deleted);
    }
    let local = local.reopened();
    let metadata = described(&local, &key);
    assert_eq!((&metadata["KeyState"], &metadata["CurrentKeyMaterialId"]), (&json!("PendingImport"), &id));
    assert!(metadata.get("ExpirationModel").is_none());
    assert_eq!(
        local.refusal(Operation::Decrypt, &json!({"CiphertextBlob": blob})),
        format!("KMSInvalidStateException: {key} is pending import.")
    );
    assert_eq!(
        listed(&local, &key),
        [json!({"KeyId": key.as_str(), "KeyMaterialId": id, "ImportState":
        "PENDING_IMPORT", "KeyMaterialDescription": "from the safe", "KeyMaterialState": "CURRENT"})]
    );
    for more in [json!({}), json!({"ImportType": "EXISTING_KEY_MATERIAL"}), json!({"KeyMaterialId": id})] {
        // The token is good until it expires, also behind a restart.
        assert_eq!(import(&local, &key, &parameters, &ONE, &more), id);
    }
    assert_eq!(state(&local, &key), "Enabled");
    assert_eq!(local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["KeyMaterialId"], id);
    assert_eq!(listed(&local, &key)[0]["KeyMaterialDescription"], "from the safe");
    import(&local, &key, &parameters, &ONE, &json!({"KeyMaterialDescription": "from the other safe"}));
    assert_eq!(listed(&local, &key)[0]["KeyMaterialDescription"], "from the other safe");
}

#[test]
fn material_that_is_not_what_it_is_said_to_be_is_refused_and_changes_nothing() {
    let (local, key, parameters) = waiting();
    let refused = |secret: &[u8], more: &Value| refusal(&local, &key, &parameters, secret, more);
    let incorrect = "IncorrectKeyMaterialException";
    assert_eq!(refused(&ONE, &json!({"ImportType": "EXISTING_KEY_MATERIAL"})), incorrect);
    assert_eq!(state(&local, &key), "PendingImport");
    let id = import(&local, &key, &parameters, &ONE, &json!({}));
    assert_eq!(refused(&TWO, &json!({})), incorrect);
    assert_eq!(refused(&TWO, &json!({"ImportType": "EXISTING_KEY_MATERIAL"})), incorrect);
    assert_eq!(refused(&TWO, &json!({"KeyMaterialId": id})), incorrect);
    assert_eq!(refused(&ONE, &json!({"KeyMaterialId": "00".repeat(32)})), incorrect);
    assert_eq!(refused(&ONE, &new()), incorrect);
    let both = json!({"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialId": id});
    assert_eq!(
        refused(&TWO, &both),
        "ValidationException: KeyMaterialId cannot be set if the ImportType is NEW_KEY_MATERIAL"
    );
    assert_eq!(listed(&local, &key).len(), 1);
    local.ok(Operation::DeleteImportedKeyMaterial, &of(&key));
    assert_eq!(refused(&TWO, &json!({})), incorrect);
    assert_eq!(state(&local, &key), "PendingImport");
}

#[test]
fn what_does_not_unwrap_to_256_bits_is_no_ciphertext() {
    let (local, key, parameters) = waiting();
    for secret in [&ONE[..31], &[1; 33], &[]] {
        assert_eq!(refusal(&local, &key, &parameters, secret, &json!({})), "InvalidCiphertextException");
    }
    let mut body = parameters.request(&key, &ONE, &json!({}));
    // Wrapped with the public key of another token.
    body["ImportToken"] = Parameters::of(&local, &key).token;
    assert_eq!(local.refusal(Operation::ImportKeyMaterial, &body), "InvalidCiphertextException");
    assert_eq!(state(&local, &key), "PendingImport");
}

#[test]
fn a_token_is_good_for_its_own_key_and_for_a_day() {
    let (local, key, parameters) = waiting();
    let other = external(&local);
    assert_eq!(refusal(&local, &other, &parameters, &ONE, &json!({})), "InvalidImportTokenException");
    let mut body = parameters.request(&key, &ONE, &json!({}));
    body["ImportToken"] = json!("AA==");
    assert_eq!(local.refusal(Operation::ImportKeyMaterial, &body), "InvalidImportTokenException");
    local.clock.set(Timestamp::from_unix_seconds(1_795_458_161 + 86_399));
    import(&local, &key, &parameters, &ONE, &json!({}));
    local.clock.set(Timestamp::from_unix_seconds(1_795_458_161 + 86_400));
    assert_eq!(refusal(&local, &key, &parameters, &ONE, &json!({})), "ExpiredImportTokenException");
}

#[test]
fn the_end_of_material_is_set_if_it_has_one_and_within_a_year() {
    let (local, key, parameters) = waiting();
    let refused = |more: Value| refusal(&local, &key, &parameters, &ONE, &more);
    let required = "ValidationException: A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES";
    assert_eq!(refused(json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES"})), required);
    let mut body = parameters.request(&key, &ONE, &json!({}));
    body.as_object_mut().unwrap().remove("ExpirationModel");
    assert_eq!(local.refusal(Operation::ImportKeyMaterial, &body), required);
    body["ValidTo"] = json!(NOW + DAY);
    body["ExpirationModel"] = json!("KEY_MATERIAL_DOES_NOT_EXPIRE");
    assert_eq!(local.code(Operation::ImportKeyMaterial, &body), "ValidationException");
    for seconds in [-1.0, 0.0, 365.0 * DAY + 1.0] {
        assert!(refused(json!({"ValidTo": NOW + seconds})).starts_with("ValidationException"), "{seconds}");
    }
    for seconds in [1.0, 365.0 * DAY] {
        import(&local, &key, &parameters, &ONE, &json!({"ValidTo": NOW + seconds}));
        let metadata = described(&local, &key);
        assert_eq!(metadata["ValidTo"], NOW + seconds);
        assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
    }
    // Each import sets it anew.
    import(&local, &key, &parameters, &ONE, &json!({}));
    assert_eq!(described(&local, &key)["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
}

#[test]
fn material_is_deleted_on_its_date_and_the_key_waits_for_it() {
    let (local, key, parameters) = waiting();
    let id = import(&local, &key, &parameters, &ONE, &json!({"ValidTo": NOW + 3.0 * DAY}));
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    let local = local.reopened();
    local.pass(2);
    assert_eq!(state(&local, &key), "Enabled");
    local.pass(1);
    assert_eq!(state(&local, &key), "PendingImport");
    let local = local.reopened();
    assert_eq!(local.code(Operation::Decrypt, &json!({"CiphertextBlob": blob})), "KMSInvalidStateException");
    assert_eq!(listed(&local, &key)[0]["ImportState"], "PENDING_IMPORT");
    let parameters = Parameters::of(&local, &key);
    assert_eq!(import(&local, &key, &parameters, &ONE, &json!({})), id);
    assert_eq!(local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["Plaintext"], "c2VjcmV0");
}

#[test]
fn material_that_has_expired_is_of_no_use_before_it_is_removed() {
    let (local, key, parameters) = waiting();
    import(&local, &key, &parameters, &ONE, &json!({"ValidTo": NOW + 3.0 * DAY}));
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    let expires = local.entries().key(key.id()).unwrap().due().unwrap();
    local.clock.set(expires.minus(Duration::from_micros(1)));
    assert_eq!(local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["Plaintext"], "c2VjcmV0");
    // Without an audit log nothing is removed.
    local.clock.set(expires);
    assert_eq!(local.code(Operation::Decrypt, &json!({"CiphertextBlob": blob})), "KMSInvalidStateException");
    for name in ["Encrypt", "GenerateDataKeyWithoutPlaintext"] {
        let operation = Operation::from_target(format!("TrentService.{name}").as_bytes()).unwrap();
        let body = json!({"KeyId": key.as_str(), "Plaintext": "AAAA", "KeySpec": "AES_256"});
        assert_eq!(local.code(operation, &body), "KMSInvalidStateException", "{name}");
    }
    assert_eq!(state(&local, &key), "PendingImport");
    assert!(local.entries().key(key.id()).unwrap().materials.complete(), "it is there yet");
}

#[test]
fn material_of_a_key_to_be_deleted_ends_too_and_the_key_is_saved_without_it() {
    let (local, key, parameters) = waiting();
    import(&local, &key, &parameters, &ONE, &json!({"ValidTo": NOW + 3.0 * DAY}));
    local.schedule_deletion(&key);
    local.pass(3);
    assert_eq!(state(&local, &key), "PendingDeletion");
    assert_eq!(
        refusal(&local, &key, &parameters, &ONE, &json!({})),
        format!("KMSInvalidStateException: {key} is pending deletion.")
    );
    local.ok(Operation::CancelKeyDeletion, &of(&key));
    assert_eq!(state(&local, &key), "PendingImport");
}

#[test]
fn material_of_a_key_to_be_deleted_can_be_deleted_and_does_not_change_its_state() {
    let (local, key, parameters) = waiting();
    import(&local, &key, &parameters, &ONE, &json!({}));
    local.schedule_deletion(&key);
    local.ok(Operation::DeleteImportedKeyMaterial, &of(&key));
    assert_eq!(state(&local, &key), "PendingDeletion");
    local.ok(Operation::CancelKeyDeletion, &of(&key));
    assert_eq!(state(&local, &key), "PendingImport");
}

#[test]
fn new_material_waits_for_its_rotation_and_the_old_still_decrypts() {
    let (local, key, parameters) = waiting();
    let first = import(&local, &key, &parameters, &ONE, &json!({}));
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    assert_eq!(
        local.refusal(Operation::RotateKeyOnDemand, &of(&key)),
        format!("KMSInvalidStateException: No available key material pending rotation for the key: {key}.")
    );
    let second = import(&local, &key, &parameters, &TWO, &new());
    assert_eq!(described(&local, &key)["CurrentKeyMaterialId"], first);
    let imported = |id: &Value, state: &str| {
        json!({"KeyId": key.as_str(), "KeyMaterialId": id, "KeyMaterialState": state, "ImportState": "IMPORTED",
               "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
    };
    let local = local.reopened();
    assert_eq!(listed(&local, &key), [imported(&first, "CURRENT"), imported(&second, "PENDING_ROTATION")]);
    local.pass(1);
    assert_eq!(local.ok(Operation::RotateKeyOnDemand, &of(&key)), of(&key));
    let local = local.reopened();
    let mut rotated = imported(&second, "CURRENT");
    rotated["RotationDate"] = json!(NOW + DAY);
    rotated["RotationType"] = json!("ON_DEMAND");
    assert_eq!(listed(&local, &key), [imported(&first, "NON_CURRENT"), rotated]);
    assert_eq!(described(&local, &key)["CurrentKeyMaterialId"], second);
    assert_eq!(local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["KeyMaterialId"], first);
    let newer = local.encrypt(&key, "c2VjcmV0", &json!({}));
    assert_eq!(local.ok(Operation::Decrypt, &json!({"CiphertextBlob": newer}))["KeyMaterialId"], second);
    assert_eq!(local.code(Operation::RotateKeyOnDemand, &of(&key)), "KMSInvalidStateException");
}

#[test]
fn one_material_waits_at_a_time_and_leaves_no_trace_when_it_is_deleted() {
    let (local, key, parameters) = waiting();
    let first = import(&local, &key, &parameters, &ONE, &json!({}));
    let second = import(&local, &key, &parameters, &TWO, &new());
    let third = KeyMaterial::imported(&key, &THREE).id();
    let second_id = second.as_str().unwrap();
    assert_eq!(
        refusal(&local, &key, &parameters, &THREE, &new()),
        format!(
            "KMSInvalidStateException: New key material (id: {third}) cannot be imported into KMS key {}, because \
             another key material (id: {second_id}) is pending rotation.",
            key.id()
        )
    );
    // It may be imported again, with another end.
    import(&local, &key, &parameters, &TWO, &json!({"ImportType": "NEW_KEY_MATERIAL", "ValidTo": NOW + 2.0 * DAY}));
    assert_eq!(listed(&local, &key)[1]["ValidTo"], NOW + 2.0 * DAY);
    let named = json!({"KeyId": key.as_str(), "KeyMaterialId": second});
    assert_eq!(local.ok(Operation::DeleteImportedKeyMaterial, &named), named);
    assert_eq!(state(&local, &key), "Enabled");
    assert_eq!(listed(&local, &key).len(), 1);
    assert_eq!(
        local.refusal(Operation::DeleteImportedKeyMaterial, &named),
        format!("NotFoundException: Key material '{second_id}' of {key} does not exist")
    );
    import(&local, &key, &parameters, &THREE, &new());
    local.ok(Operation::RotateKeyOnDemand, &of(&key));
    let ids: Vec<_> = listed(&local, &key).iter().map(|entry| entry["KeyMaterialId"].clone()).collect();
    assert_eq!(ids, [first, json!(third.to_string())]);
}

#[test]
fn material_that_ends_while_it_waits_is_gone_and_the_key_goes_on() {
    let (local, key, parameters) = waiting();
    import(&local, &key, &parameters, &ONE, &json!({}));
    import(&local, &key, &parameters, &TWO, &json!({"ImportType": "NEW_KEY_MATERIAL", "ValidTo": NOW + 2.0 * DAY}));
    local.pass(2);
    assert_eq!((state(&local, &key), listed(&local, &key).len()), (json!("Enabled"), 1));
    let local = local.reopened();
    assert_eq!(local.code(Operation::RotateKeyOnDemand, &of(&key)), "KMSInvalidStateException");
    local.encrypt(&key, "c2VjcmV0", &json!({}));
}

#[test]
fn a_key_waits_until_all_material_that_it_ever_used_is_there() {
    let (local, key, parameters) = waiting();
    let first = import(&local, &key, &parameters, &ONE, &json!({}));
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    import(&local, &key, &parameters, &TWO, &new());
    local.ok(Operation::RotateKeyOnDemand, &of(&key));
    let older = json!({"KeyId": key.as_str(), "KeyMaterialId": first});
    assert_eq!(local.ok(Operation::DeleteImportedKeyMaterial, &older), older);
    assert_eq!(state(&local, &key), "PendingImport");
    local.ok(Operation::DeleteImportedKeyMaterial, &of(&key));
    import(&local, &key, &parameters, &TWO, &json!({}));
    assert_eq!(state(&local, &key), "PendingImport");
    import(&local, &key, &parameters, &ONE, &json!({}));
    assert_eq!(state(&local, &key), "Enabled");
    assert_eq!(listed(&local, &key)[1]["RotationType"], "ON_DEMAND");
    assert_eq!(local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["KeyMaterialId"], first);
}

#[test]
fn an_import_does_not_enable_a_key_that_somebody_disabled() {
    let (local, key, parameters) = waiting();
    import(&local, &key, &parameters, &ONE, &json!({}));
    local.disable(&key);
    import(&local, &key, &parameters, &ONE, &json!({}));
    assert_eq!(state(&local, &key), "Disabled");
}

#[test]
fn nothing_is_deleted_of_a_key_that_never_had_material() {
    let (local, key, _) = waiting();
    assert_eq!(local.ok(Operation::DeleteImportedKeyMaterial, &of(&key)), of(&key));
    assert_eq!(state(&local, &key), "PendingImport");
}

#[test]
fn keys_of_other_kinds_take_no_imports() {
    let (local, key, parameters) = waiting();
    let (ours, rsa) = (
        local.create_key(),
        made(&local, &json!({"Origin": "EXTERNAL", "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"})),
    );
    let asked = |key: &KeyArn| {
        let parameters_of = json!({"KeyId": key.as_str(), "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
                                   "WrappingKeySpec": "RSA_2048"});
        [
            local.refusal(Operation::GetParametersForImport, &parameters_of),
            local.refusal(Operation::ImportKeyMaterial, &parameters.request(key, &ONE, &json!({}))),
            local.refusal(Operation::DeleteImportedKeyMaterial, &of(key)),
        ]
    };
    let origin =
        format!("UnsupportedOperationException: {ours} origin is AWS_KMS which is not valid for this operation.");
    assert_eq!(asked(&ours), [(); 3].map(|()| origin.clone()));
    let served = "UnsupportedOperationException: Imports into asymmetric and HMAC keys are not served by kmsgate's \
                  local backend.";
    assert_eq!(asked(&rsa), [served; 3]);
    local.schedule_deletion(&key);
    let pending = format!("KMSInvalidStateException: {key} is pending deletion.");
    assert_eq!(asked(&key)[..2], [pending.clone(), pending]);
}

#[test]
fn relatives_have_one_material_and_take_no_other() {
    let local = Local::new();
    let key = made(&local, &json!({"Origin": "EXTERNAL", "MultiRegion": true}));
    let parameters = Parameters::of(&local, &key);
    // A replica whose primary key is not there knows no material that it may take.
    let primary = KeyView::clone(local.entries().key(key.id()).unwrap());
    let relatives = MultiRegion { primary: "eu-west-1".parse().unwrap(), replicas: vec![region()] };
    let put = |key: KeyView| {
        let plan = move |_: &Directory, _| Ok((vec![Edit::key(key)], Answer::empty()));
        local.backend.changes.submit(Box::new(plan), Box::new(|_| ())).blocking_recv().unwrap().unwrap();
    };
    put(KeyView { multi_region: Some(Arc::new(relatives)), ..primary.clone() });
    assert_eq!(refusal(&local, &key, &parameters, &ONE, &json!({})), "IncorrectKeyMaterialException");
    put(primary);
    import(&local, &key, &parameters, &ONE, &json!({}));
    assert_eq!(
        refusal(&local, &key, &parameters, &TWO, &new()),
        "UnsupportedOperationException: New key material for multi-Region keys is not served by this version of \
         kmsgate's local backend."
    );
}
