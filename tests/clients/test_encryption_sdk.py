"""The AWS Encryption SDK: its keyrings seal and open messages by the gateway's keys, and meet its refusals."""

import re
import uuid

import aws_encryption_sdk
import pytest
from aws_cryptographic_material_providers.keystore import KeyStore
from aws_cryptographic_material_providers.keystore.config import KeyStoreConfig
from aws_cryptographic_material_providers.keystore.errors import ComAmazonawsKms as KmsErrorOfKeyStore
from aws_cryptographic_material_providers.keystore.models import (
    CreateKeyInput,
    CreateKeyStoreInput,
    KMSConfigurationKmsKeyArn,
    VersionKeyInput,
)
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.errors import ComAmazonawsKms as KmsError
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsDiscoveryKeyringInput,
    CreateAwsKmsHierarchicalKeyringInput,
    CreateAwsKmsKeyringInput,
    CreateMultiKeyringInput,
    DiscoveryFilter,
)
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError

SECRET = b"attack at noon, if it is dry"
ACCOUNT = "111122223333"

providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
sdk = aws_encryption_sdk.EncryptionSDKClient()


@pytest.fixture
def context():
    """Of one test only, so that its requests are found in the audit file."""
    return {"tenant": "blue", "order": uuid.uuid4().hex}


def kms_keyring(kms, key):
    return providers.create_aws_kms_keyring(input=CreateAwsKmsKeyringInput(kms_key_id=key, kms_client=kms))


def discovery_keyring(kms, account):
    filter = DiscoveryFilter(account_ids=[account], partition="aws")
    return providers.create_aws_kms_discovery_keyring(
        input=CreateAwsKmsDiscoveryKeyringInput(kms_client=kms, discovery_filter=filter)
    )


def seal(keyring, context, secret=SECRET):
    message, _ = sdk.encrypt(source=secret, keyring=keyring, encryption_context=context)
    assert secret not in message
    return message


def open_message(keyring, message, context=None):
    """The secret; an encryption context is compared with the message's own before KMS is asked."""
    secret, _ = sdk.decrypt(source=message, keyring=keyring, encryption_context=context)
    return secret


def calls(gateway, text):
    """The operation and the error of each request whose record holds `text`."""
    return [(record["eventName"], record.get("errorCode")) for record in gateway.records_with(text)]


def test_a_kms_keyring_seals_and_opens_a_message(allow_all, kms, context):
    keyring = kms_keyring(kms, allow_all.key_arn)
    message = seal(keyring, context)
    assert open_message(keyring, message, context) == SECRET
    assert calls(allow_all, context["order"]) == [("GenerateDataKey", None), ("Decrypt", None)]
    for record in allow_all.records_with(context["order"]):
        assert record["requestParameters"]["keyId"] == allow_all.key_arn
        assert context.items() < record["requestParameters"]["encryptionContext"].items()


def test_each_keyring_of_several_opens_the_message(allow_all, kms, world, context):
    first, second = (kms_keyring(kms, key) for key in (allow_all.key_arn, world.key("other").arn))
    both = CreateMultiKeyringInput(generator=first, child_keyrings=[second])
    message = seal(providers.create_multi_keyring(input=both), context)
    assert [open_message(keyring, message) for keyring in (first, second)] == [SECRET, SECRET]
    operations = [operation for operation, _ in calls(allow_all, context["order"])]
    assert operations == ["GenerateDataKey", "Encrypt", "Decrypt", "Decrypt"]


def test_a_discovery_keyring_opens_what_the_accounts_of_its_filter_sealed(allow_all, kms, context):
    message = seal(kms_keyring(kms, allow_all.key_arn), context)
    assert open_message(discovery_keyring(kms, ACCOUNT), message) == SECRET
    with pytest.raises(AWSEncryptionSDKClientError, match="No Encrypted Data Keys found to match"):
        open_message(discovery_keyring(kms, "444455556666"), message)
    # The filter is the client's: nobody was asked for the second.
    assert calls(allow_all, context["order"]) == [("GenerateDataKey", None), ("Decrypt", None)]


def test_a_message_whose_context_was_changed_is_refused_by_the_key(allow_all, kms, context):
    keyring = kms_keyring(kms, allow_all.key_arn)
    message = seal(keyring, context)
    assert message.count(b"blue") == 1
    with pytest.raises(AWSEncryptionSDKClientError, match="No Configured KMS Key was able to decrypt"):
        open_message(keyring, message.replace(b"blue", b"pink"))
    assert calls(allow_all, context["order"]) == [("GenerateDataKey", None), ("Decrypt", "InvalidCiphertextException")]


def test_a_key_that_is_disabled_seals_nothing(allow_all, kms, world, context):
    with pytest.raises(KmsError, match=re.escape(f"{world.key('disabled').arn} is disabled.")):
        seal(kms_keyring(kms, world.key("disabled").arn), context)
    assert calls(allow_all, context["order"]) == [("GenerateDataKey", "DisabledException")]


class BranchKeys:
    """A store of branch keys under the gateway's key, with one branch key in it."""

    def __init__(self, gateway, kms, dynamodb):
        self.id, self.table = uuid.uuid4().hex, f"branch-keys-{uuid.uuid4().hex}"
        self.dynamodb = dynamodb.client()
        config = KeyStoreConfig(
            ddb_client=self.dynamodb,
            ddb_table_name=self.table,
            logical_key_store_name=self.table,
            kms_client=kms,
            kms_configuration=KMSConfigurationKmsKeyArn(gateway.key_arn),
        )
        self.store = KeyStore(config)
        self.store.create_key_store(CreateKeyStoreInput())
        self.store.create_key(CreateKeyInput(branch_key_identifier=self.id, encryption_context={"team": "orders"}))

    def new_version(self):
        self.store.version_key(VersionKeyInput(branch_key_identifier=self.id))

    def keyring(self):
        """A keyring that has opened no branch key yet; it keeps those that it opens."""
        return providers.create_aws_kms_hierarchical_keyring(
            input=CreateAwsKmsHierarchicalKeyringInput(
                key_store=self.store, branch_key_id=self.id, ttl_seconds=600
            )
        )

    def change_team(self):
        for item in self.dynamodb.scan(TableName=self.table)["Items"]:
            item["aws-crypto-ec:team"] = {"S": "billing"}
            self.dynamodb.put_item(TableName=self.table, Item=item)


@pytest.fixture
def branch_keys(allow_all, kms, dynamodb):
    return BranchKeys(allow_all, kms, dynamodb)


# What the specification of the branch key store has it ask of KMS.
CREATED = ["GenerateDataKeyWithoutPlaintext", "ReEncrypt", "GenerateDataKeyWithoutPlaintext"]
VERSIONED = ["ReEncrypt", "GenerateDataKeyWithoutPlaintext", "ReEncrypt"]


def test_a_branch_key_is_made_and_seals_many_messages_by_one_decrypt(allow_all, branch_keys, context):
    keyring = branch_keys.keyring()
    messages = [seal(keyring, context), seal(keyring, context)]
    assert [open_message(keyring, message, context) for message in messages] == [SECRET, SECRET]
    # One for the active branch key, one for the version that the messages name.
    expected = [(operation, None) for operation in [*CREATED, "Decrypt", "Decrypt"]]
    assert calls(allow_all, branch_keys.id) == expected
    [made, active, _] = allow_all.records_with(branch_keys.id)[:3]
    bound_to = made["requestParameters"]["encryptionContext"]
    assert bound_to.items() > {
        "branch-key-id": branch_keys.id,
        "tablename": branch_keys.table,
        "kms-arn": allow_all.key_arn,
        "aws-crypto-ec:team": "orders",
    }.items()
    assert active["requestParameters"]["sourceEncryptionContext"] == bound_to
    assert active["requestParameters"]["destinationEncryptionContext"]["type"] == "branch:ACTIVE"


def test_messages_of_every_version_of_a_branch_key_open(allow_all, branch_keys, context):
    old = seal(branch_keys.keyring(), context, b"by the first version, yes")
    branch_keys.new_version()
    new = seal(branch_keys.keyring(), context, b"by the second version, yes")
    keyring = branch_keys.keyring()
    assert open_message(keyring, old, context) == b"by the first version, yes"
    assert open_message(keyring, new, context) == b"by the second version, yes"
    expected = [*CREATED, "Decrypt", *VERSIONED, "Decrypt", "Decrypt", "Decrypt"]
    assert calls(allow_all, branch_keys.id) == [(operation, None) for operation in expected]


def test_a_message_under_a_branch_key_does_not_open_with_another_context(branch_keys, context):
    keyring = branch_keys.keyring()
    message = seal(keyring, context)
    with pytest.raises(AWSEncryptionSDKClientError, match="Encryption context does not match"):
        open_message(keyring, message, context | {"tenant": "pink"})


def test_a_branch_key_whose_context_was_changed_in_its_store_is_refused_by_the_key(allow_all, branch_keys, context):
    message = seal(branch_keys.keyring(), context)
    branch_keys.change_team()
    with pytest.raises(AWSEncryptionSDKClientError, match="No Configured KMS Key was able to decrypt"):
        open_message(branch_keys.keyring(), message, context)
    assert calls(allow_all, branch_keys.id)[-1] == ("Decrypt", "InvalidCiphertextException")
    with pytest.raises(KmsErrorOfKeyStore):
        branch_keys.new_version()
    assert calls(allow_all, branch_keys.id)[-1] == ("ReEncrypt", "InvalidCiphertextException")
