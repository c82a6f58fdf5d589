"""A KMS without its cryptography: of every call it says what has to be answered, members or exception, and what is
there after it, for calls that come one after another.

The order of the checks is KMS's: the key is found, then its usage, its state, what else there is against it, and last
the dry run. Where AWS does not say which of two refusals comes first, or refuses what is not served here, it is the
gateway's own choice that is held to: that order is kept by this, and not shown to be KMS's. Values that only the program can choose are learned from the answer that first shows them.
"""

import base64
import json
import re
import time
from dataclasses import dataclass, field

from gateway import REGION
from states import DEFAULT_POLICY, GRANTEE

ELSEWHERE = "eu-west-1"
ACCOUNT = "111122223333"
SHARED_ALIAS = "alias/quickstart"
MOST_TAGS = MOST_ALIASES = 50
MOST_ROTATIONS = 25
DAY = 24 * 60 * 60
# Within this many seconds of its call a date is that of the call.
NEAR = 60

TAKE_ALIASES = {
    "DescribeKey", "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
}  # fmt: skip
ALGORITHMS = {
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"): ("EncryptionAlgorithms", ["SYMMETRIC_DEFAULT"]),
    ("RSA_2048", "ENCRYPT_DECRYPT"): ("EncryptionAlgorithms", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]),
    ("ECC_NIST_P256", "SIGN_VERIFY"): ("SigningAlgorithms", ["ECDSA_SHA_256"]),
    ("HMAC_256", "GENERATE_VERIFY_MAC"): ("MacAlgorithms", ["HMAC_SHA_256"]),
}
# Who is there to be granted something, and what can be granted, by the usage of the key and whether it is symmetric.
GRANTEES = [GRANTEE, "arn:aws:iam::111122223333:user/quickstart"]
GRANT_ORDER = [
    "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign",
    "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac",
]  # fmt: skip
ALWAYS_GRANTABLE = ["CreateGrant", "RetireGrant", "DescribeKey"]
CIPHERTEXTS = ["Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"]
DATA_KEYS = [name for name in GRANT_ORDER if name.startswith("GenerateDataKey")]
GRANTABLE = {
    ("ENCRYPT_DECRYPT", True): CIPHERTEXTS + DATA_KEYS,
    ("ENCRYPT_DECRYPT", False): [*CIPHERTEXTS, "GetPublicKey"],
    ("SIGN_VERIFY", False): ["Sign", "Verify", "GetPublicKey"],
    ("GENERATE_VERIFY_MAC", False): ["GenerateMac", "VerifyMac"],
}
# Columns of AWS's table of key states: in which of them an operation can be done.
USE = {"Enabled"}
SWITCH = {"Enabled", "Disabled"}
NOT_PENDING_DELETION = {"Enabled", "Disabled", "PendingImport"}
PENDING_DELETION = {"PendingDeletion", "PendingReplicaDeletion"}


class Refusal(Exception):
    """The exception that has to be answered."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Quota(Refusal):
    """Of what would be one too many."""


class Learned:
    """A value that the program chooses: any sound one where it is first shown, and the same ever after."""

    def __init__(self, sound=lambda _: True, value=None):
        self._sound, self.value = sound, value

    def agrees(self, actual):
        if self.value is not None:
            return actual == self.value
        if not self._sound(actual):
            return False
        self.value = actual
        return True

    def __repr__(self):
        return "something sound" if self.value is None else repr(self.value)


def date(seconds_from_now=0):
    at = time.time() + seconds_from_now
    return Learned(lambda actual: abs(actual - at) < NEAR)


def matches(expected, actual):
    """Whether an answer is the expected one; its new values are expected from now on."""
    match expected:
        case Learned():
            return expected.agrees(actual)
        case dict():
            same = isinstance(actual, dict) and expected.keys() == actual.keys()
            return same and all(matches(expected[name], actual[name]) for name in expected)
        case list():
            same = isinstance(actual, list) and len(expected) == len(actual)
            return same and all(matches(*both) for both in zip(expected, actual))
        case _ if callable(expected):
            return expected(actual)
    return expected == actual


def blob_of(least, most=None):
    """Any binary of so many bytes."""
    return lambda actual: least <= len(base64.b64decode(actual)) <= (most or least)


@dataclass
class Material:
    """One version of key material; `rotated` is the date at which it took the place of another."""

    rotated: Learned | None = None
    id: Learned = field(default_factory=lambda: Learned(re.compile("[0-9a-f]{64}").fullmatch))


@dataclass
class Shared:
    """What the keys of one id have in common; the last material is the current one."""

    materials: list[Material]
    primary: str
    replicas: list[str] = field(default_factory=list)
    # In days; and when the next one is.
    rotates_every: int | None = None
    next_rotation: Learned | None = None

    def rotated(self):
        others = [material.id for material in self.materials]
        new = Learned(lambda actual: re.fullmatch("[0-9a-f]{64}", actual) and actual not in [id.value for id in others])
        self.materials.append(Material(date(), new))


@dataclass
class Grant:
    name: str
    grantee: str
    retiring: str | None
    operations: list[str]
    constraints: dict
    id: Learned = field(default_factory=lambda: Learned(re.compile("[0-9a-f]{64}").fullmatch))
    created: Learned = field(default_factory=date)
    # Those that were answered.
    tokens: list[str] = field(default_factory=list)

    def asks_for(self, other):
        """Whether a request for the one is a request for the other."""
        one, two = (
            (grant.name, grant.grantee, grant.retiring, grant.operations, grant.constraints) for grant in (self, other)
        )
        return self.name != "" and one == two

    def listed(self, key):
        members = {"KeyId": key.arn, "GrantId": self.id, "Name": self.name, "CreationDate": self.created}
        members |= {"GranteePrincipal": self.grantee, "IssuingAccount": GRANTEE, "Operations": self.operations}
        if self.retiring:
            members["RetiringPrincipal"] = self.retiring
        return members | ({"Constraints": self.constraints} if self.constraints else {})


class ListedById(Learned):
    """A list by ids, one of which may not be known yet."""

    def __init__(self, entries):
        super().__init__()
        self._entries = entries

    def agrees(self, actual):
        known = {entry["GrantId"].value: entry for entry in self._entries}
        ids = [entry["GrantId"] for entry in actual]
        if len(ids) != len(self._entries) or ids != sorted(set(ids)):
            return False
        return all(matches(known.get(entry["GrantId"], known.get(None)), entry) for entry in actual)

    def __repr__(self):
        return repr(self._entries)


def is_default_policy(text):
    return json.loads(text) == json.loads(DEFAULT_POLICY)


@dataclass
class Key:
    region: str
    id: Learned
    spec: str
    usage: str
    origin: str
    multi_region: bool
    description: str
    tags: dict
    shared: Shared
    state: str = "Enabled"
    days: int | None = None
    deleted: Learned | None = None
    # As it was put; until one is, there is the default one.
    policy: str | None = None
    grants: list[Grant] = field(default_factory=list)
    created: Learned = field(default_factory=date)

    @property
    def symmetric(self):
        return self.spec == "SYMMETRIC_DEFAULT"

    @property
    def replica(self):
        return self.multi_region and self.shared.primary != self.region

    @property
    def arn(self):
        return f"arn:aws:kms:{self.region}:{ACCOUNT}:key/{self.id.value}"

    @property
    def material(self):
        return self.shared.materials[-1].id

    def metadata(self):
        enabled = self.state == "Enabled"
        name, algorithms = ALGORITHMS[self.spec, self.usage]
        # The id is first, because an ARN can be told from it alone.
        members = {"KeyId": self.id, "Arn": lambda actual: actual == self.arn, "AWSAccountId": ACCOUNT}
        members |= {"CreationDate": self.created, "CustomerMasterKeySpec": self.spec, "Description": self.description}
        members |= {"Enabled": enabled, "KeyManager": "CUSTOMER", "KeySpec": self.spec, "KeyState": self.state}
        members |= {"KeyUsage": self.usage, "MultiRegion": self.multi_region, "Origin": self.origin, name: algorithms}
        if self.shared.materials:
            members["CurrentKeyMaterialId"] = self.material
        if self.multi_region:
            members["MultiRegionConfiguration"] = self._family()
        if self.state == "PendingDeletion":
            members["DeletionDate"] = self.deleted
        if self.state == "PendingReplicaDeletion":
            members["PendingDeletionWindowInDays"] = self.days
        return members

    def _family(self):
        def in_region(region):
            return {"Arn": lambda actual: actual == self.arn.replace(self.region, region), "Region": region}

        return {
            "MultiRegionKeyType": "REPLICA" if self.replica else "PRIMARY",
            "PrimaryKey": in_region(self.shared.primary),
            "ReplicaKeys": [in_region(region) for region in self.shared.replicas],
        }


@dataclass
class Alias:
    target: Key
    created: Learned = field(default_factory=date)
    updated: Learned = field(default_factory=date)


@dataclass
class Sealed:
    """What is in a ciphertext; `broken` if it was altered since."""

    key: Key
    material: Learned
    context: dict
    plaintext: Learned
    broken: bool = False


@dataclass(frozen=True)
class Call:
    operation: str
    parameters: dict
    region: str = REGION

    def __str__(self):
        place = "" if self.region == REGION else f" in {self.region}"
        return f"{self.operation}{place} {json.dumps(self.parameters)}"


class Kms:
    """Keys by nobody's name but their own, aliases by region and name, and every ciphertext that was answered."""

    def __init__(self, shared_key_id):
        """Knows, beside what its calls make, the key of the quickstart, which everybody may use and nobody changes."""
        shared = Shared([Material()], REGION)
        id = Learned(value=shared_key_id)
        described = Learned()
        self.shared_key = Key(
            REGION, id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS", False, described, {}, shared,
            created=Learned(),
        )  # fmt: skip
        self.keys, self.aliases, self.sealed, self.tokens = [], {}, {}, {}

    def predict(self, call):
        """The members of the answer, and what the call does once it is answered; raises the `Refusal` of one that has
        to be refused."""
        self._region, self._operation = call.region, call.operation
        expected = getattr(self, call.operation)(**call.parameters)
        members, effect = expected if isinstance(expected, tuple) else (expected, None)
        return members, effect or (lambda _: None)

    def of(self, key):
        """The aliases of a key."""
        return sorted(name for (_, name), alias in self.aliases.items() if alias.target is key)

    # How keys are found, and what stands against their use.

    def _key(self, text):
        if text.startswith("alias/") or ":alias/" in text:
            if self._operation not in TAKE_ALIASES:
                raise Refusal("InvalidArnException")
            name = "alias/" + text.split("alias/", 1)[1]
            return self.shared_key if name == SHARED_ALIAS else self._alias(name).target
        for key in [*self.keys, self.shared_key]:
            if key.region == self._region and text in (key.id.value, key.arn):
                return key
        raise Refusal("NotFoundException")

    def _alias(self, name):
        if (self._region, name) not in self.aliases:
            raise Refusal("NotFoundException")
        return self.aliases[self._region, name]

    def _permits(self, key, states):
        if key.state not in states:
            disabled = key.state == "Disabled" and states is not PENDING_DELETION
            raise Refusal("DisabledException" if disabled else "KMSInvalidStateException")

    def _usable(self, key):
        if key.usage != "ENCRYPT_DECRYPT":
            raise Refusal("InvalidKeyUsageException")
        self._permits(key, USE)

    def _encrypts(self, key):
        if not key.symmetric:
            raise Refusal("InvalidKeyUsageException")

    def _not_dry(self, dry):
        if dry:
            raise Refusal("DryRunOperationException")

    def _primary(self, key):
        if key.replica:
            raise Refusal("UnsupportedOperationException")

    def _keeps(self, key, member, plaintext, context):
        """The effect of an answer that has a ciphertext."""

        def effect(answer):
            self.sealed[answer[member]] = Sealed(key, key.material, context, plaintext)

        return effect

    # The use of keys.

    def Encrypt(self, KeyId, Plaintext, EncryptionContext={}, DryRun=False):
        key = self._key(KeyId)
        self._usable(key)
        self._encrypts(key)
        self._not_dry(DryRun)
        members = {"CiphertextBlob": blob_of(1, 6144), "KeyId": key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        return members, self._keeps(key, "CiphertextBlob", Learned(value=Plaintext), EncryptionContext)

    def GenerateDataKeyWithoutPlaintext(self, KeyId, DryRun=False, EncryptionContext={}, **length):
        members, effect = self.GenerateDataKey(KeyId, DryRun, EncryptionContext, **length)
        del members["Plaintext"]
        return members, effect

    def GenerateDataKey(self, KeyId, DryRun=False, EncryptionContext={}, KeySpec=None, NumberOfBytes=None):
        key = self._key(KeyId)
        if (KeySpec is None) == (NumberOfBytes is None):
            raise Refusal("ValidationException")
        self._usable(key)
        self._encrypts(key)
        self._not_dry(DryRun)
        plaintext = Learned(blob_of(NumberOfBytes or {"AES_256": 32, "AES_128": 16}[KeySpec]))
        members = {"CiphertextBlob": blob_of(1, 6144), "KeyId": key.arn, "KeyMaterialId": key.material}
        effect = self._keeps(key, "CiphertextBlob", plaintext, EncryptionContext)
        return members | {"Plaintext": plaintext}, effect

    def GenerateDataKeyPairWithoutPlaintext(self, **parameters):
        members, effect = self.GenerateDataKeyPair(**parameters)
        del members["PrivateKeyPlaintext"]
        return members, effect

    def GenerateDataKeyPair(self, KeyId, KeyPairSpec, DryRun=False, EncryptionContext={}):
        key = self._key(KeyId)
        self._usable(key)
        self._encrypts(key)
        self._not_dry(DryRun)
        private = Learned(blob_of(1, 4096))
        members = {"PrivateKeyCiphertextBlob": blob_of(1, 6144), "PublicKey": blob_of(91), "KeyPairSpec": KeyPairSpec}
        members |= {"KeyId": key.arn, "KeyMaterialId": key.material, "PrivateKeyPlaintext": private}
        return members, self._keeps(key, "PrivateKeyCiphertextBlob", private, EncryptionContext)

    def Decrypt(self, CiphertextBlob, KeyId=None, EncryptionContext={}, DryRun=False):
        key, sealed = self._source(CiphertextBlob, KeyId)
        self._same_material(key, sealed)
        self._usable(key)
        self._encrypts(key)
        self._opens(sealed, EncryptionContext)
        self._not_dry(DryRun)
        members = {"KeyId": key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        return members | {"Plaintext": sealed.plaintext, "KeyMaterialId": sealed.material}

    def ReEncrypt(
        self,
        CiphertextBlob,
        DestinationKeyId,
        SourceKeyId=None,
        SourceEncryptionContext={},
        DestinationEncryptionContext={},
        DryRun=False,
    ):
        destination = self._key(DestinationKeyId)
        source, sealed = self._source(CiphertextBlob, SourceKeyId)
        self._same_material(source, sealed)
        self._usable(source)
        self._usable(destination)
        self._encrypts(source)
        self._encrypts(destination)
        self._opens(sealed, SourceEncryptionContext)
        self._not_dry(DryRun)
        members = {"CiphertextBlob": blob_of(1, 6144), "SourceKeyId": source.arn, "KeyId": destination.arn}
        members |= {f"{side}EncryptionAlgorithm": "SYMMETRIC_DEFAULT" for side in ("Source", "Destination")}
        members |= {"SourceKeyMaterialId": sealed.material, "DestinationKeyMaterialId": destination.material}
        return members, self._keeps(destination, "CiphertextBlob", sealed.plaintext, DestinationEncryptionContext)

    def _source(self, blob, named):
        """The key that a ciphertext is to be opened with, and what is in it; `None` for what is no ciphertext."""
        sealed = self.sealed.get(blob)
        if named is not None:
            return self._key(named), sealed
        if sealed is None:
            raise Refusal("InvalidCiphertextException")
        if sealed.key.region == self._region or sealed.key.multi_region:
            for key in [*self.keys, self.shared_key]:
                if key.region == self._region and key.id.value == sealed.key.id.value:
                    return key, sealed
        # Its key is not here; which one it is, is not told.
        raise Refusal("AccessDeniedException")

    def _same_material(self, key, sealed):
        if sealed is not None and key.shared is not sealed.key.shared:
            raise Refusal("IncorrectKeyException")

    def _opens(self, sealed, context):
        if sealed is None or sealed.broken or sealed.context != context:
            raise Refusal("InvalidCiphertextException")

    def GenerateRandom(self, NumberOfBytes=None):
        if NumberOfBytes is None:
            raise Refusal("ValidationException")
        return {"Plaintext": blob_of(NumberOfBytes)}

    # Keys and their state.

    def CreateKey(self, Description="", KeySpec="SYMMETRIC_DEFAULT", KeyUsage=None, **more):
        origin, multi_region = more.get("Origin", "AWS_KMS"), more.get("MultiRegion", False)
        if KeyUsage is None and KeySpec != "SYMMETRIC_DEFAULT":
            raise Refusal("ValidationException")
        usage = KeyUsage or "ENCRYPT_DECRYPT"
        if (KeySpec, usage) not in ALGORITHMS:
            raise Refusal("ValidationException")
        tags = self._sound(more.get("Tags", []))
        form = re.compile("mrk-[0-9a-f]{32}" if multi_region else "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        materials = [Material()] if KeySpec == "SYMMETRIC_DEFAULT" and origin == "AWS_KMS" else []
        shared = Shared(materials, self._region)
        key = Key(
            self._region, Learned(form.fullmatch), KeySpec, usage, origin, multi_region, Description, tags, shared,
            "PendingImport" if origin == "EXTERNAL" else "Enabled",
        )  # fmt: skip
        return {"KeyMetadata": key.metadata()}, lambda _: self.keys.append(key)

    def DescribeKey(self, KeyId):
        return {"KeyMetadata": self._key(KeyId).metadata()}

    def ListKeys(self, Limit):
        """There are the keys of others too."""
        mine = {key.id.value for key in self.keys if key.region == self._region}
        return {"Keys": lambda actual: mine <= {key["KeyId"] for key in actual}, "Truncated": False}

    def EnableKey(self, KeyId):
        return self._switch(KeyId, "Enabled")

    def DisableKey(self, KeyId):
        return self._switch(KeyId, "Disabled")

    def _switch(self, KeyId, state):
        key = self._key(KeyId)
        self._permits(key, SWITCH)
        return self._changed(key, state=state)

    def _changed(self, what, **members):
        """An answer without a body, and what becomes other values."""
        return {}, lambda _: vars(what).update(members)

    def ScheduleKeyDeletion(self, KeyId, PendingWindowInDays=30):
        key = self._key(KeyId)
        if not 7 <= PendingWindowInDays <= 30:
            raise Refusal("ValidationException")
        self._permits(key, NOT_PENDING_DELETION)
        members = {"KeyId": key.arn, "PendingWindowInDays": PendingWindowInDays}
        if not key.replica and key.shared.replicas:
            # The waiting period begins once the last replica is gone.
            change = {"state": "PendingReplicaDeletion", "days": PendingWindowInDays}
        else:
            change = {"state": "PendingDeletion", "deleted": date(PendingWindowInDays * DAY)}
            members["DeletionDate"] = change["deleted"]
        members["KeyState"] = change["state"]
        return members, self._changed(key, **change)[1]

    def CancelKeyDeletion(self, KeyId):
        key = self._key(KeyId)
        self._permits(key, PENDING_DELETION)
        complete = key.origin == "AWS_KMS"
        return {"KeyId": key.arn}, self._changed(key, state="Disabled" if complete else "PendingImport")[1]

    def UpdateKeyDescription(self, KeyId, Description):
        key = self._key(KeyId)
        self._permits(key, NOT_PENDING_DELETION)
        return self._changed(key, description=Description)

    # Aliases.

    def _name(self, name):
        if not name.startswith("alias/"):
            raise Refusal("ValidationException")

    def _target(self, text):
        if "alias/" in text:
            raise Refusal("ValidationException")
        return self._key(text)

    def _takes_another(self, key):
        if len(self.of(key)) >= MOST_ALIASES:
            raise Quota("LimitExceededException")

    def CreateAlias(self, AliasName, TargetKeyId):
        self._name(AliasName)
        if AliasName.startswith("alias/aws/"):
            raise Refusal("InvalidAliasNameException")
        key, name = self._target(TargetKeyId), (self._region, AliasName)
        if name in self.aliases:
            raise Refusal("AlreadyExistsException")
        self._permits(key, NOT_PENDING_DELETION)
        self._takes_another(key)
        # Both dates are the same.
        created = date()
        return {}, lambda _: self.aliases.update({name: Alias(key, created, created)})

    def UpdateAlias(self, AliasName, TargetKeyId):
        self._name(AliasName)
        alias = self._alias(AliasName)
        key = self._target(TargetKeyId)
        if key.usage != alias.target.usage or key.symmetric != alias.target.symmetric:
            raise Refusal("ValidationException")
        self._permits(key, NOT_PENDING_DELETION)
        if key is not alias.target:
            self._takes_another(key)
        return self._changed(alias, target=key, updated=date())

    def DeleteAlias(self, AliasName):
        self._name(AliasName)
        self._alias(AliasName)
        name = self._region, AliasName
        return {}, lambda _: self.aliases.pop(name)

    def ListAliases(self, KeyId):
        key = self._key(KeyId)
        return {"Aliases": [self._listed(key, name) for name in self.of(key)], "Truncated": False}

    def _listed(self, key, name):
        alias = self.aliases[key.region, name]
        arn = f"arn:aws:kms:{key.region}:{ACCOUNT}:{name}"
        dates = {"CreationDate": alias.created, "LastUpdatedDate": alias.updated}
        return {"AliasName": name, "AliasArn": arn, "TargetKeyId": key.id.value} | dates

    # Tags and policies.

    def _sound(self, tags):
        made = {tag["TagKey"]: tag["TagValue"] for tag in tags}
        self._none_reserved(made)
        if len(made) < len(tags) or len(made) > MOST_TAGS:
            raise Refusal("TagException")
        return made

    def _none_reserved(self, names):
        if any(name.lower().startswith("aws:") for name in names):
            raise Refusal("TagException")

    def TagResource(self, KeyId, Tags):
        key = self._key(KeyId)
        new = self._sound(Tags)
        self._permits(key, NOT_PENDING_DELETION)
        tags = key.tags | new
        if len(tags) > MOST_TAGS:
            raise Quota("TagException")
        return self._changed(key, tags=tags)

    def UntagResource(self, KeyId, TagKeys):
        key = self._key(KeyId)
        self._none_reserved(TagKeys)
        self._permits(key, NOT_PENDING_DELETION)
        return self._changed(key, tags={name: key.tags[name] for name in key.tags if name not in TagKeys})

    def ListResourceTags(self, KeyId):
        tags = self._key(KeyId).tags
        return {"Tags": [{"TagKey": name, "TagValue": tags[name]} for name in tags], "Truncated": False}

    def GetKeyPolicy(self, KeyId):
        policy = self._key(KeyId).policy
        return {"Policy": policy or is_default_policy, "PolicyName": "default"}

    def PutKeyPolicy(self, KeyId, Policy):
        return self._changed(self._key(KeyId), policy=Policy)

    def ListKeyPolicies(self, KeyId):
        self._key(KeyId)
        return {"PolicyNames": ["default"], "Truncated": False}

    # Rotation.

    def _symmetric(self, key):
        if not key.symmetric:
            raise Refusal("UnsupportedOperationException")

    def _rotates_by_itself(self, key):
        if not key.symmetric or key.origin != "AWS_KMS":
            raise Refusal("UnsupportedOperationException")

    def _rotates(self, KeyId, days, next):
        key = self._key(KeyId)
        self._rotates_by_itself(key)
        self._permits(key, USE)
        self._primary(key)
        return self._changed(key.shared, rotates_every=days, next_rotation=next)

    def EnableKeyRotation(self, KeyId, RotationPeriodInDays=365):
        return self._rotates(KeyId, RotationPeriodInDays, date(RotationPeriodInDays * DAY))

    def DisableKeyRotation(self, KeyId):
        return self._rotates(KeyId, None, None)

    def GetKeyRotationStatus(self, KeyId):
        key = self._key(KeyId)
        self._rotates_by_itself(key)
        days = key.shared.rotates_every
        if days is None or key.state in PENDING_DELETION:
            return {"KeyId": key.arn, "KeyRotationEnabled": False}
        on = {"KeyRotationEnabled": True, "RotationPeriodInDays": days, "NextRotationDate": key.shared.next_rotation}
        return {"KeyId": key.arn} | on

    def RotateKeyOnDemand(self, KeyId):
        key = self._key(KeyId)
        self._symmetric(key)
        self._permits(key, USE)
        self._primary(key)
        if len(key.shared.materials) > MOST_ROTATIONS:
            raise Quota("LimitExceededException")
        return {"KeyId": key.arn}, lambda _: key.shared.rotated()

    def ListKeyRotations(self, KeyId, IncludeKeyMaterial="ROTATIONS_ONLY"):
        key = self._key(KeyId)
        self._symmetric(key)
        every = IncludeKeyMaterial == "ALL_KEY_MATERIAL"
        listed = [material for material in key.shared.materials if every or material.rotated]
        return {"Rotations": [self._rotation(key, material) for material in listed], "Truncated": False}

    def _rotation(self, key, material):
        state = "CURRENT" if material is key.shared.materials[-1] else "NON_CURRENT"
        members = {"KeyId": key.arn, "KeyMaterialId": material.id, "KeyMaterialState": state}
        if material.rotated:
            members |= {"RotationDate": material.rotated, "RotationType": "ON_DEMAND"}
        return members

    # Grants.

    def CreateGrant(self, KeyId, GranteePrincipal, Operations, DryRun=False, Name="", **more):
        key, constraints = self._key(KeyId), more.get("Constraints", {})
        retiring = more.get("RetiringPrincipal")
        if not {GranteePrincipal, retiring} <= {*GRANTEES, None}:
            raise Refusal("InvalidArnException")
        suited = {*GRANTABLE[key.usage, key.symmetric], *ALWAYS_GRANTABLE}
        if Operations == ["CreateGrant"] or not set(Operations) <= suited:
            raise Refusal("ValidationException")
        if len(constraints) > 1 or (constraints and not key.symmetric):
            raise Refusal("ValidationException")
        self._permits(key, USE)
        self._not_dry(DryRun)
        # They are listed in the order of the model.
        operations = [name for name in GRANT_ORDER if name in Operations]
        asked = Grant(Name, GranteePrincipal, retiring, operations, constraints)
        found = [grant for grant in key.grants if grant.asks_for(asked)]
        grant = found[0] if found else asked

        def effect(answer):
            if not found:
                key.grants.append(grant)
            if "GrantToken" in answer:
                grant.tokens.append(answer["GrantToken"])
                self.tokens[answer["GrantToken"]] = key, grant

        return {"GrantToken": lambda actual: actual not in self.tokens, "GrantId": grant.id}, effect

    def ListGrants(self, KeyId, Limit):
        key = self._key(KeyId)
        return {"Grants": ListedById([grant.listed(key) for grant in key.grants]), "Truncated": False}

    def RevokeGrant(self, KeyId, GrantId, DryRun=False):
        return self._gone(self._key(KeyId), GrantId, DryRun, "NotFoundException")

    def RetireGrant(self, GrantToken=None, KeyId=None, GrantId=None, DryRun=False):
        if GrantToken is None:
            if KeyId is None or GrantId is None:
                raise Refusal("ValidationException")
            return self._gone(self._key(KeyId), GrantId, DryRun, "InvalidGrantIdException")
        key, grant = self.tokens.get(GrantToken, (None, None))
        if key is None or key.region != self._region or grant not in key.grants:
            raise Refusal("InvalidGrantTokenException")
        return self._gone(key, grant.id.value, DryRun, "InvalidGrantTokenException")

    def _gone(self, key, id, dry, absent):
        found = [grant for grant in key.grants if grant.id.value == id]
        if not found:
            raise Refusal(absent)
        self._not_dry(dry)
        return {}, lambda _: key.grants.remove(found[0])

    # Relatives in another region.

    def ReplicateKey(self, KeyId, ReplicaRegion, Description="", Tags=()):
        key = self._key(KeyId)
        self._permits(key, USE)
        if not key.multi_region or key.replica or ReplicaRegion not in (REGION, ELSEWHERE):
            raise Refusal("UnsupportedOperationException")
        tags = self._sound(Tags)
        shared = key.shared
        if ReplicaRegion in (shared.primary, *shared.replicas):
            raise Refusal("AlreadyExistsException")
        replica = Key(
            ReplicaRegion, key.id, key.spec, key.usage, key.origin, True, Description, tags, shared
        )

        def effect(_):
            shared.replicas.append(ReplicaRegion)
            self.keys.append(replica)

        metadata = replica.metadata() | {"KeyState": "Creating", "Enabled": False}
        metadata.pop("CurrentKeyMaterialId", None)
        metadata["MultiRegionConfiguration"]["MultiRegionKeyType"] = "REPLICA"
        metadata["MultiRegionConfiguration"]["ReplicaKeys"] = lambda actual: [at["Region"] for at in actual] == [
            *shared.replicas, ReplicaRegion
        ]  # fmt: skip
        members = {"ReplicaKeyMetadata": metadata, "ReplicaTags": list(Tags)}
        return members | {"ReplicaPolicy": is_default_policy}, effect

    def UpdatePrimaryRegion(self, KeyId, PrimaryRegion):
        key = self._key(KeyId)
        self._permits(key, USE)
        shared = key.shared
        if not key.multi_region or key.replica or PrimaryRegion not in shared.replicas:
            raise Refusal("UnsupportedOperationException")
        [sibling] = [other for other in self.keys if other.shared is shared and other.region == PrimaryRegion]
        self._permits(sibling, USE)
        return self._changed(shared, primary=PrimaryRegion, replicas=[key.region])

    # Imports: none is made, so a key that waits for one goes on waiting.

    def _takes_imports(self, key):
        if key.origin != "EXTERNAL":
            raise Refusal("UnsupportedOperationException")

    def GetParametersForImport(self, KeyId, WrappingAlgorithm, WrappingKeySpec):
        key = self._key(KeyId)
        self._takes_imports(key)
        self._permits(key, NOT_PENDING_DELETION)
        members = {"KeyId": key.arn, "ImportToken": blob_of(1, 6144), "PublicKey": blob_of(1, 4096)}
        return members | {"ParametersValidTo": date(DAY)}

    def DeleteImportedKeyMaterial(self, KeyId):
        key = self._key(KeyId)
        self._takes_imports(key)
        return {"KeyId": key.arn}
