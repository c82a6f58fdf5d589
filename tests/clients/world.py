"""What the requests of the conformance cases are about: keys of every kind and in every state, made when asked for.

`${disabled}` in a request or a text stands for a key's id, `${disabled.arn}` for its ARN. A name with `new-` before it
(`${new-disabled}`) is a key of the case's own, which it may change; the others are shared. More attributes:

    .blob      a ciphertext under the key, made before the key came into its state
    .material  the id of its key material
    .alias     the name of an alias that points to it

Besides: `${blob}`, a data key under `${key}` in the context {"tenant": "blue"}, and `${blob-longer}`, `${blob-cut}`,
`${blob-changed}`; `${7 x a}` for a text of seven letters, `${7 bytes}` for a blob, `${7 texts}` and `${7 tags}` for
lists.
"""

import base64
import itertools
import json
import re
from functools import cached_property

from wire import exchange

# For each kind of key what CreateKey is asked for, and what is then done to it.
KINDS = {
    "key": ({}, []),
    "other": ({}, []),
    "crowded": ({}, []),
    "disabled": ({}, ["DisableKey"]),
    "pending": ({}, ["ScheduleKeyDeletion"]),
    "disabled-and-pending": ({}, ["DisableKey", "ScheduleKeyDeletion"]),
}


class World:
    """Values by name, in one gateway."""

    def __init__(self, gateway):
        self.call = Caller(gateway)
        self.shared = {}
        self.names = itertools.count()

    def case(self):
        """The world of one case, with keys of its own."""
        return OfOneCase(self)

    def new_key(self, kind):
        parameters, changes = KINDS[kind]
        key = Key(self, self.call("CreateKey", **parameters)["KeyMetadata"])
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
        if metadata["KeyState"] == "Enabled" and metadata.get("EncryptionAlgorithms") == ["SYMMETRIC_DEFAULT"]:
            self.blob = world.call("Encrypt", KeyId=self.id, Plaintext="AAAA")["CiphertextBlob"]

    @cached_property
    def alias(self):
        return self.new_alias()

    def new_alias(self):
        name = f"alias/conformance-{next(self.world.names)}"
        self.world.call("CreateAlias", AliasName=name, TargetKeyId=self.id)
        return name


class OfOneCase:
    def __init__(self, world):
        self.world = world
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


class Caller:
    """Calls that must be answered, in plain JSON: blobs are base64 both ways."""

    def __init__(self, gateway):
        self.kms = gateway.client()

    def __call__(self, operation, **parameters):
        answer = exchange(self.kms, operation, json.dumps(parameters))
        assert answer.status == 200, (operation, parameters, answer.body)
        return json.loads(answer.body or "{}")
