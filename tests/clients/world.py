"""What the requests of the conformance cases are about: keys of every kind and in every state, made when asked for.

`${disabled}` in a request or a text stands for a key's id, `${disabled.arn}` for its ARN. A name with `new-` before it
(`${new-disabled}`) is a key of the case's own, which it may change; the others are shared. More attributes:

    .blob      a ciphertext under the key, made before the key came into its state
    .material  the id of its key material
    .alias     the name of an alias that points to it
    .last_alias
               the name of the newest alias that was made for it
    .grant, .other_grant
               the ids of two grants of Decrypt to the account, made when asked for
    .grant_token
               a token of the first
    .import_token, .wrapped_material, .other_wrapped_material
               what ImportKeyMaterial takes: always the same material, and another

Besides: `${blob}`, a data key under `${key}` in the context {"tenant": "blue"}, and `${blob-longer}`, `${blob-cut}`,
`${blob-changed}`; `${in 7 days}` for a date, `${7 x a}` for a text of seven letters, `${7 bytes}` for a blob,
`${7 texts}` and `${7 tags}` for lists.
"""

import base64
import itertools
import json
import os
import re
import time
from functools import cached_property

from gateway import REGION
from states import GRANTEE
from wire import exchange
from wrapping import wrap

# The members of requests that are bytes.
BLOBS = {"CiphertextBlob", "Plaintext", "ImportToken", "EncryptedKeyMaterial"}

# For each kind of key what CreateKey is asked for, and what is then done to it.
KINDS = {
    "key": ({}, []),
    "other": ({}, []),
    "crowded": ({}, []),
    "disabled": ({}, ["DisableKey"]),
    "pending": ({}, ["ScheduleKeyDeletion"]),
    "disabled-and-pending": ({}, ["DisableKey", "ScheduleKeyDeletion"]),
    "external": ({"Origin": "EXTERNAL"}, []),
    "imported": ({"Origin": "EXTERNAL"}, []),
    "mrk": ({"MultiRegion": True}, []),
    "rsa": ({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}, []),
    "signing": ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, []),
    "agreement": ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}, []),
    "hmac": ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, []),
}


class World:
    """Values by name, in one gateway."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.clients = {}
        self.shared = {}
        self.names = itertools.count()

    def client(self, region=REGION):
        if region not in self.clients:
            self.clients[region] = self.gateway.client(region=region)
        return self.clients[region]

    def close(self):
        for client in self.clients.values():
            client.close()

    def call(self, operation, **parameters):
        """A call that must be answered, in plain JSON: blobs are base64 both ways."""
        answer = exchange(self.client(), operation, json.dumps(parameters))
        assert answer.status == 200, (operation, parameters, answer.body)
        return json.loads(answer.body or "{}")

    def case(self):
        """The world of one case, with keys of its own."""
        return OfOneCase(self)

    def new_key(self, kind):
        parameters, changes = KINDS[kind]
        key = Key(self, self.call("CreateKey", **parameters)["KeyMetadata"])
        if kind == "imported":
            key.import_material()
        key.encrypt()
        for operation in changes:
            self.call(operation, KeyId=key.id)
        if kind == "crowded":
            for _ in range(50):
                key.new_alias()
        return key

    def key(self, kind):
        if kind not in self.shared:
            self.shared[kind] = self.new_key(kind)
        return self.shared[kind]

    @cached_property
    def blob(self):
        context = {"tenant": "blue"}
        made = self.call(
            "GenerateDataKeyWithoutPlaintext", KeyId=self.key("key").id, KeySpec="AES_256", EncryptionContext=context
        )
        return base64.b64decode(made["CiphertextBlob"])


class Key:
    """A key, as it was made."""

    def __init__(self, world, metadata):
        self.world = world
        self.id, self.arn = metadata["KeyId"], metadata["Arn"]
        self.material = metadata.get("CurrentKeyMaterialId")
        self.encrypts = metadata["KeySpec"] == "SYMMETRIC_DEFAULT" and metadata["KeyState"] == "Enabled"

    def encrypt(self):
        if self.encrypts:
            self.blob = self.world.call("Encrypt", KeyId=self.id, Plaintext="AAAA")["CiphertextBlob"]

    def import_material(self):
        self.world.call(
            "ImportKeyMaterial",
            KeyId=self.id,
            ImportToken=self.import_token,
            EncryptedKeyMaterial=self.wrapped_material,
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )
        self.encrypts = True

    @cached_property
    def import_parameters(self):
        algorithm = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        return self.world.call("GetParametersForImport", KeyId=self.id, **algorithm)

    @cached_property
    def granted(self):
        return self.new_grant()

    @property
    def grant(self):
        return self.granted["GrantId"]

    @property
    def grant_token(self):
        return self.granted["GrantToken"]

    @cached_property
    def other_grant(self):
        return self.new_grant()["GrantId"]

    def new_grant(self):
        return self.world.call("CreateGrant", KeyId=self.id, GranteePrincipal=GRANTEE, Operations=["Decrypt"])

    @property
    def import_token(self):
        return self.import_parameters["ImportToken"]

    @cached_property
    def wrapped_material(self):
        return self.wrapped_new_material()

    @cached_property
    def other_wrapped_material(self):
        return self.wrapped_new_material()

    def wrapped_new_material(self):
        material = os.urandom(32)
        self.world.gateway.keep_secret(material)
        public_key = base64.b64decode(self.import_parameters["PublicKey"])
        return base64.b64encode(wrap(public_key, material)).decode()

    @cached_property
    def alias(self):
        return self.new_alias()

    def new_alias(self):
        name = f"alias/conformance-{next(self.world.names)}"
        self.world.call("CreateAlias", AliasName=name, TargetKeyId=self.id)
        self.last_alias = name
        return name


class OfOneCase:
    def __init__(self, world):
        self.world = world
        self.made = int(time.time())
        self.own = {}

    def fill(self, text):
        """`text` with each `${...}` replaced."""
        return re.sub(r"\$\{([^}]+)\}", lambda found: self.value(found[1]), text)

    def matches(self, expected, text):
        """Whether `text` is `expected`, in which `${any}` stands for any text."""
        pattern = ".+".join(re.escape(self.fill(part)) for part in expected.split("${any}"))
        return re.fullmatch(pattern, text, re.DOTALL) is not None

    def value(self, name):
        match name.split(" "):
            case [count, "x", letter]:
                return int(count) * letter
            case ["in", days, "days"]:
                return str(self.made + int(days) * 86_400)
            case [count, "bytes"]:
                return base64.b64encode(int(count) * b"b").decode()
            case [count, "texts"]:
                return json.dumps(int(count) * ["t"])
            case [count, "tags"]:
                return json.dumps([{"TagKey": f"key-{number}", "TagValue": ""} for number in range(int(count))])
        match name:
            case "blob":
                return base64.b64encode(self.world.blob).decode()
            case "blob-longer":
                return base64.b64encode(self.world.blob + b"\0").decode()
            case "blob-cut":
                return base64.b64encode(self.world.blob[:-1]).decode()
            case "blob-changed":
                *start, last = self.world.blob
                return base64.b64encode(bytes([*start, last ^ 1])).decode()
        kind, _, attribute = name.partition(".")
        return getattr(self.key(kind), attribute or "id")

    def key(self, kind):
        if not kind.startswith("new-"):
            return self.world.key(kind)
        if kind not in self.own:
            self.own[kind] = self.world.new_key(kind.removeprefix("new-"))
        return self.own[kind]
