"""Errors of the service's model that no conformance case reaches, each with the reason why, and with the test that
shows it where one does."""

from dataclasses import dataclass

ANY = None


@dataclass(frozen=True)
class Excuse:
    error: str
    reason: str
    operations: frozenset | None = ANY
    # The file of the test, below the project's directory, and the test's name.
    shown_by: tuple[str, str] | None = None

    def holds_for(self, operation, error):
        return error == self.error and (self.operations is ANY or operation in self.operations)


# A call that changes what is stored, for each operation that can: what is done before it, then its request. `${...}` is
# of `world.py`.
CHANGES = {
    "CreateKey": ([], "{}"),
    "EnableKey": ([], '{"KeyId": "${new-disabled}"}'),
    "DisableKey": ([], '{"KeyId": "${new-key}"}'),
    "ScheduleKeyDeletion": ([], '{"KeyId": "${new-key}"}'),
    "CancelKeyDeletion": ([], '{"KeyId": "${new-pending}"}'),
    "UpdateKeyDescription": ([], '{"KeyId": "${new-key}", "Description": "another"}'),
    "CreateAlias": ([], '{"AliasName": "alias/of-a-fault", "TargetKeyId": "${new-key}"}'),
    "UpdateAlias": ([], '{"AliasName": "${new-key.alias}", "TargetKeyId": "${other}"}'),
    "DeleteAlias": ([], '{"AliasName": "${new-key.alias}"}'),
    "TagResource": ([], '{"KeyId": "${new-key}", "Tags": [{"TagKey": "a", "TagValue": "b"}]}'),
    "UntagResource": (
        [("TagResource", '{"KeyId": "${new-key}", "Tags": [{"TagKey": "a", "TagValue": "b"}]}')],
        '{"KeyId": "${new-key}", "TagKeys": ["a"]}',
    ),
    "EnableKeyRotation": ([], '{"KeyId": "${new-key}"}'),
    "DisableKeyRotation": ([("EnableKeyRotation", '{"KeyId": "${new-key}"}')], '{"KeyId": "${new-key}"}'),
    "RotateKeyOnDemand": ([], '{"KeyId": "${new-key}"}'),
    "ImportKeyMaterial": (
        [],
        '{"KeyId": "${new-external}", "ImportToken": "${new-external.import_token}",'
        ' "EncryptedKeyMaterial": "${new-external.wrapped_material}",'
        ' "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}',
    ),
    "DeleteImportedKeyMaterial": ([], '{"KeyId": "${new-imported}"}'),
    "ReplicateKey": ([], '{"KeyId": "${new-mrk}", "ReplicaRegion": "eu-west-1"}'),
    "CreateGrant": (
        [],
        '{"KeyId": "${new-key}", "GranteePrincipal": "arn:aws:iam::111122223333:root", "Operations": ["Decrypt"]}',
    ),
    "RetireGrant": ([], '{"GrantToken": "${new-key.grant_token}"}'),
    "RevokeGrant": ([], '{"KeyId": "${new-key}", "GrantId": "${new-key.other_grant}"}'),
    "UpdatePrimaryRegion": (
        [("ReplicateKey", '{"KeyId": "${new-mrk}", "ReplicaRegion": "eu-west-1"}')],
        '{"KeyId": "${new-mrk}", "PrimaryRegion": "eu-west-1"}',
    ),
}

NO_SUCH_STATE = "what would exclude it are states that no key has here: Creating, Updating and Unavailable"
NO_KEY_STORES = "there are no custom key stores, and every name of one is answered CustomKeyStoreNotFoundException"

EXCUSES = [
    Excuse(
        "KMSInternalException",
        "a client cannot cause it; a change is answered so while the disk refuses it",
        frozenset(CHANGES),
        ("tests/clients/test_errors.py", "test_a_change_that_cannot_be_stored_is_a_fault_of_kms_and_leaves_no_trace"),
    ),
    Excuse(
        "KMSInternalException",
        "a client cannot cause it; what stores nothing is answered so when it meets a defect",
        shown_by=("src/layers/catch_panic.rs", "a_panic_before_the_first_wait_is_an_answer_and_a_record"),
    ),
    Excuse(
        "DependencyTimeoutException",
        "a key pair's large primes may take longer than the gateway's deadline",
        frozenset({"GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"}),
        ("tests/gateway/key_pairs.rs", "the_deadline_holds_for_key_pairs_and_each_is_recorded_once"),
    ),
    Excuse(
        "DependencyTimeoutException",
        "nothing depends on another service; whatever waits too long is answered so",
        shown_by=("tests/gateway/connections.rs", "a_call_that_takes_too_long_is_ended"),
    ),
    Excuse(
        "KeyUnavailableException",
        "a key that is there can be used: a store with a key that does not open is refused at start",
        shown_by=("tests/clients/test_store_faults.py", "test_a_flipped_bit_of_the_file_is_refused_or_changes_nothing"),
    ),
    Excuse(
        "ExpiredImportTokenException",
        "it takes a day",
        shown_by=("tests/clients/test_import.py", "test_material_ends_on_its_date_by_the_program_itself"),
    ),
    Excuse(
        "ConflictException",
        "it takes a rotation that is due within 20 minutes",
        shown_by=("tests/clients/test_rotation.py", "test_a_key_is_rotated_on_its_date_by_the_program_itself"),
    ),
    Excuse(
        "InvalidArnException",
        "it takes a key by an alias too, and was recorded to answer NotFoundException for every ARN that names no key",
        frozenset({"DescribeKey"}),
    ),
    Excuse("InvalidArnException", "none of its members is an ARN", frozenset({"CreateKey"})),
    Excuse(
        "KMSInvalidStateException",
        NO_SUCH_STATE,
        frozenset({
            "DeleteAlias",
            "DeleteImportedKeyMaterial",
            "GetKeyPolicy",
            "GetKeyRotationStatus",
            "ListKeyPolicies",
            "ListGrants",
            "ListKeyRotations",
            "PutKeyPolicy",
            "RetireGrant",
            "RevokeGrant",
        }),
    ),
    Excuse(
        "LimitExceededException",
        "it takes 50,000 grants",
        frozenset({"CreateGrant"}),
        ("src/backend/local/grants/tests.rs", "a_key_has_no_more_grants_than_its_quota"),
    ),
    Excuse(
        "NotFoundException",
        "whom no grant names may retire none, whether or not there is such a principal",
        frozenset({"ListRetirableGrants"}),
    ),
    Excuse("LimitExceededException", "a key that is enabled was counted when it was made", frozenset({"EnableKey"})),
    Excuse(
        "LimitExceededException", "too many tags were recorded to be a TagException", frozenset({"TagResource"})
    ),
    Excuse(
        "UnsupportedOperationException",
        "no key is an AWS managed one, whose policy cannot be changed",
        frozenset({"PutKeyPolicy"}),
    ),
    Excuse("CustomKeyStoreInvalidStateException", NO_KEY_STORES),
    Excuse("CloudHsmClusterInvalidConfigurationException", NO_KEY_STORES),
    Excuse("XksKeyInvalidConfigurationException", NO_KEY_STORES),
    Excuse("XksKeyAlreadyInUseException", NO_KEY_STORES),
    Excuse("XksKeyNotFoundException", NO_KEY_STORES),
]
