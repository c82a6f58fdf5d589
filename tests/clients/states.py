"""What the state of a key lets be done to it: AWS's table as data (developer guide, "Key states of AWS KMS keys").

A row has an operation, a cell for each column of the table, and the parameters of a call that has nothing else against
it. A cell is "ok" or the number of AWS's note; of "2 or 3", which leaves it to KMS, it is the one that KMS was seen to
choose.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

# The states that a key can be in here, each with its column.
STATES = {"Enabled": 0, "Disabled": 1, "PendingDeletion": 2, "PendingReplicaDeletion": 2, "PendingImport": 3}

# The exception of each note, and its text.
NOTES = {
    "1": ("DisabledException", "{arn} is disabled."),
    "3": ("KMSInvalidStateException", "{arn} is {pending}."),
    "4": ("KMSInvalidStateException", "{arn} is not pending deletion."),
    "5": ("KMSInvalidStateException", "{arn} is pending import."),
    "6": ("UnsupportedOperationException", "{arn} origin is EXTERNAL which is not valid for this operation."),
    "7": ("UnsupportedOperationException", "{arn} origin is EXTERNAL which is not valid for this operation."),
    "8": ("KMSInvalidStateException", "{arn} is {pending}."),
    "9": ("UnsupportedOperationException", "{arn} origin is AWS_KMS which is not valid for this operation."),
}

# The account, of which everybody knows.
GRANTEE = "arn:aws:iam::111122223333:root"
WRAPPING = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
DEFAULT_POLICY = json.dumps({
    "Version": "2012-10-17",
    "Id": "key-default-1",
    "Statement": [{
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "kms:*",
        "Resource": "*",
    }],
})


@dataclass(frozen=True)
class Row:
    operation: str
    cells: str
    parameters: Callable = lambda key: {"KeyId": key.arn}
    # What tells rows of one operation apart.
    of: str = ""
    # Of the key, in all states but that of a key which has no material yet.
    origin: str = "AWS_KMS"
    # Of a primary key with a replica, where its state lets it have one.
    multi_region: bool = False

    def refusal(self, state, arn):
        """The exception and its text for a key in this state, or `None`."""
        note = self.cells.split()[STATES[state]]
        if note == "ok":
            return None
        code, text = NOTES[note]
        pending = "pending replica deletion" if state == "PendingReplicaDeletion" else "pending deletion"
        return code, text.format(arn=arn, pending=pending)

    def __str__(self):
        return f"{self.operation} {self.of}".strip()


def with_key(**more):
    return lambda key: {"KeyId": key.arn} | more


def re_encrypt(source, destination):
    return source.ciphertext | {"DestinationKeyId": destination.arn}


ROWS = [
    Row("GenerateDataKeyWithoutPlaintext", "ok 1 3 5", with_key(KeySpec="AES_256")),
    Row("GenerateDataKey", "ok 1 3 5", with_key(NumberOfBytes=64)),
    Row("GenerateDataKeyPair", "ok 1 3 5", with_key(KeyPairSpec="ECC_NIST_P256")),
    Row("GenerateDataKeyPairWithoutPlaintext", "ok 1 3 5", with_key(KeyPairSpec="ECC_NIST_P256")),
    Row("Encrypt", "ok 1 3 5", with_key(Plaintext=b"hello")),
    Row("Decrypt", "ok 1 3 5", lambda key: key.ciphertext | {"KeyId": key.arn}),
    Row("ReEncrypt", "ok 1 3 5", lambda key: re_encrypt(key, key.other) | {"SourceKeyId": key.arn}, "from"),
    Row("ReEncrypt", "ok 1 3 5", lambda key: re_encrypt(key.other, key), "to"),
    Row("DescribeKey", "ok ok ok ok"),
    Row("ListKeys", "ok ok ok ok", lambda key: {}),
    Row("UpdateKeyDescription", "ok ok 3 ok", with_key(Description="another")),
    Row("EnableKey", "ok ok 3 5"),
    Row("DisableKey", "ok ok 3 5"),
    Row("ScheduleKeyDeletion", "ok ok 3 ok"),
    Row("CancelKeyDeletion", "4 4 ok 4"),
    Row("CreateAlias", "ok ok 3 ok", lambda key: {"AliasName": key.alias + "-too", "TargetKeyId": key.arn}),
    Row("UpdateAlias", "ok ok 3 ok", lambda key: {"AliasName": key.other.new_alias(), "TargetKeyId": key.arn}, "to"),
    Row("UpdateAlias", "ok ok ok ok", lambda key: {"AliasName": key.alias, "TargetKeyId": key.other.arn}, "from"),
    Row("DeleteAlias", "ok ok ok ok", lambda key: {"AliasName": key.alias}),
    Row("ListAliases", "ok ok ok ok"),
    Row("TagResource", "ok ok 3 ok", with_key(Tags=[{"TagKey": "team", "TagValue": "blue"}])),
    Row("UntagResource", "ok ok 3 ok", with_key(TagKeys=["team"])),
    Row("ListResourceTags", "ok ok ok ok"),
    Row("EnableKeyRotation", "ok 1 3 6"),
    Row("DisableKeyRotation", "ok 1 3 6"),
    Row("GetKeyRotationStatus", "ok ok ok 6"),
    Row("RotateKeyOnDemand", "ok 1 3 5"),
    # Not in AWS's table; it only reads.
    Row("ListKeyRotations", "ok ok ok ok"),
    # Of imported material: its origin comes before its state, as the column of keys pending import has it.
    Row("EnableKeyRotation", "7 7 7 6", of="imported", origin="EXTERNAL"),
    Row("DisableKeyRotation", "7 7 7 6", of="imported", origin="EXTERNAL"),
    Row("GetKeyRotationStatus", "7 7 7 6", of="imported", origin="EXTERNAL"),
    Row("RotateKeyOnDemand", "ok 1 3 5", of="imported", origin="EXTERNAL"),
    Row("GetParametersForImport", "9 9 9 ok", with_key(**WRAPPING)),
    Row("GetParametersForImport", "ok ok 8 ok", with_key(**WRAPPING), "imported", "EXTERNAL"),
    Row("ImportKeyMaterial", "9 9 9 ok", lambda key: key.wrapped | {"KeyId": key.arn}),
    Row("ImportKeyMaterial", "ok ok 8 ok", lambda key: key.wrapped | {"KeyId": key.arn}, "imported", "EXTERNAL"),
    Row("DeleteImportedKeyMaterial", "9 9 9 ok"),
    Row("DeleteImportedKeyMaterial", "ok ok ok ok", of="imported", origin="EXTERNAL"),
    Row("ReplicateKey", "ok 1 3 5", with_key(ReplicaRegion="ap-south-1"), multi_region=True),
    Row("UpdatePrimaryRegion", "ok 1 3 5", with_key(PrimaryRegion="eu-west-1"), multi_region=True),
    Row("CreateGrant", "ok 1 3 5", with_key(GranteePrincipal=GRANTEE, Operations=["Decrypt"])),
    Row("ListGrants", "ok ok ok ok"),
    Row("RetireGrant", "ok ok ok ok", lambda key: {"KeyId": key.arn, "GrantId": key.grant["GrantId"]}, "by its id"),
    Row("RetireGrant", "ok ok ok ok", lambda key: {"GrantToken": key.grant["GrantToken"]}, "by its token"),
    Row("RevokeGrant", "ok ok ok ok", lambda key: {"KeyId": key.arn, "GrantId": key.grant["GrantId"]}),
    Row("GetKeyPolicy", "ok ok ok ok"),
    Row("PutKeyPolicy", "ok ok ok ok", with_key(Policy=DEFAULT_POLICY)),
    Row("ListKeyPolicies", "ok ok ok ok"),
]

# What is served and is not about a key that is there.
WITHOUT_KEY = {"CreateKey", "GenerateRandom", "ListRetirableGrants"}
