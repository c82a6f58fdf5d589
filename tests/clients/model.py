"""What a client may expect of keys and aliases that it alone changes: as the last answer left them, or, for the one
change that got no answer, as that change makes them. There is nothing in between.

A further operation is a line in `CHANGES`; if it changes what was not seen so far, also one in `seen` and `NEW_KEY`.
"""

import base64
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from direct import Refused

CONTEXT = {"tenant": "blue"}
# Where replicas are made.
ELSEWHERE = "eu-west-1"
USABLE = {"Enabled", "Disabled"}
# KMS allows fifty of one key; so many make a change of the key no longer than another.
ALIASES_OF_A_KEY = 5
TAG_KEYS = ["team", "stage", "cost", "owner"]
# KMS rotates a key on demand twenty-five times in its life.
ROTATIONS_OF_A_KEY = 25


NEW_KEY = {"KeyState": "Enabled", "Days": None, "Tags": {}, "RotatesEvery": None, "Rotations": 0, "Replica": None}
ENABLED = {"KeyState": "Enabled", "Days": None}
DISABLED = {"KeyState": "Disabled", "Days": None}
# Of the use of a key in a state that does not let it be used.
REFUSALS = {
    "Disabled": "DisabledException",
    "PendingDeletion": "KMSInvalidStateException",
    "PendingReplicaDeletion": "KMSInvalidStateException",
}


@dataclass(frozen=True)
class Change:
    """A change of a key or an alias: of which it is possible, its parameters, and what it makes of what was there."""

    operation: str
    possible: Callable[[dict], bool]
    parameters: Callable[["Client", str], dict | None]
    after: Callable[[dict, dict], dict | None]


def in_state(*states):
    return lambda view: view.get("KeyState") in states


def may_rotate(view):
    return view.get("KeyState") == "Enabled" and view["Rotations"] < ROTATIONS_OF_A_KEY


def may_be_replicated(view):
    return view.get("KeyState") == "Enabled" and view["Replica"] == "none"


def is_alias(view):
    return "Target" in view


def of_key(client, key_id):
    return {"KeyId": key_id}


def of_key_in_some_days(client, key_id):
    return {"KeyId": key_id, "PendingWindowInDays": client.random.randint(7, 30)}


def of_key_with_tags(client, key_id):
    keys = client.random.sample(TAG_KEYS, client.random.randint(1, len(TAG_KEYS)))
    return {"KeyId": key_id, "Tags": [{"TagKey": key, "TagValue": client.next_name()} for key in keys]}


def alias_of_another_key(client, name):
    targets = [key_id for key_id in client.keys if client.takes_an_alias(key_id)]
    return {"AliasName": name, "TargetKeyId": client.random.choice(targets)} if targets else None


def pending_deletion(key, how):
    """The waiting period of a key that has a replica begins when that is gone."""
    if key["Replica"] == "there":
        return key | {"KeyState": "PendingReplicaDeletion", "Days": how["PendingWindowInDays"]}
    return key | {"KeyState": "PendingDeletion", "Days": how["PendingWindowInDays"]}


CHANGES = [
    Change("EnableKey", in_state("Disabled"), of_key, lambda key, _: key | {"KeyState": "Enabled"}),
    Change("DisableKey", in_state("Enabled"), of_key, lambda key, _: key | {"KeyState": "Disabled"}),
    Change(
        "ScheduleKeyDeletion",
        in_state(*USABLE),
        of_key_in_some_days,
        pending_deletion,
    ),
    Change(
        "CancelKeyDeletion",
        in_state("PendingDeletion", "PendingReplicaDeletion"),
        of_key,
        lambda key, _: key | DISABLED,
    ),
    Change(
        "UpdateKeyDescription",
        in_state(*USABLE),
        lambda client, key_id: {"KeyId": key_id, "Description": client.next_name()},
        lambda key, how: key | {"Description": how["Description"]},
    ),
    Change(
        "TagResource",
        in_state(*USABLE),
        of_key_with_tags,
        lambda key, how: key | {"Tags": key["Tags"] | {tag["TagKey"]: tag["TagValue"] for tag in how["Tags"]}},
    ),
    Change(
        "UntagResource",
        in_state(*USABLE),
        lambda client, key_id: {"KeyId": key_id, "TagKeys": client.random.sample(TAG_KEYS, 2)},
        lambda key, how: key | {"Tags": {tag: key["Tags"][tag] for tag in key["Tags"] if tag not in how["TagKeys"]}},
    ),
    Change(
        "EnableKeyRotation",
        in_state("Enabled"),
        lambda client, key_id: {"KeyId": key_id, "RotationPeriodInDays": client.random.randint(90, 2560)},
        lambda key, how: key | {"RotatesEvery": how["RotationPeriodInDays"]},
    ),
    Change("DisableKeyRotation", in_state("Enabled"), of_key, lambda key, _: key | {"RotatesEvery": None}),
    Change("RotateKeyOnDemand", may_rotate, of_key, lambda key, _: key | {"Rotations": key["Rotations"] + 1}),
    Change(
        "ReplicateKey",
        may_be_replicated,
        lambda _, key_id: {"KeyId": key_id, "ReplicaRegion": ELSEWHERE},
        lambda key, _: key | {"Replica": "there"},
    ),
    Change("UpdateAlias", is_alias, alias_of_another_key, lambda _, how: {"Target": how["TargetKeyId"]}),
    Change("DeleteAlias", is_alias, lambda _, name: {"AliasName": name}, lambda *_: None),
]


def described(kms, name):
    """`None` if there is no key of this name."""
    try:
        metadata = kms.call("DescribeKey", KeyId=name)["KeyMetadata"]
    except Refused as refused:
        if refused.code == "NotFoundException":
            return None
        raise
    assert metadata["Enabled"] == (metadata["KeyState"] == "Enabled"), metadata
    return metadata


def seen(kms, name):
    """What the key or alias of this name looks like; `None` if there is none."""
    metadata = described(kms, name)
    if metadata is None:
        return None
    if name.startswith("alias/"):
        return {"Target": metadata["KeyId"]}
    materials = kms.listed("ListKeyRotations", "Rotations", KeyId=name, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    current = [material["KeyMaterialId"] for material in materials if material["KeyMaterialState"] == "CURRENT"]
    assert current == [metadata["CurrentKeyMaterialId"]], (metadata, materials)
    return {
        "Description": metadata["Description"],
        "KeyState": metadata["KeyState"],
        "Days": days_to_deletion(metadata),
        "Tags": {tag["TagKey"]: tag["TagValue"] for tag in kms.listed("ListResourceTags", "Tags", KeyId=name)},
        "RotatesEvery": kms.call("GetKeyRotationStatus", KeyId=name).get("RotationPeriodInDays"),
        "Rotations": len(materials) - 1,
        "Replica": replica_seen(kms, metadata) if metadata["MultiRegion"] else None,
    }


def replica_seen(kms, metadata):
    """Whether a multi-Region key has a replica. Both say the same of their family, and share their material."""
    family = metadata["MultiRegionConfiguration"]
    replica = described(kms.of_region(ELSEWHERE), metadata["KeyId"])
    if replica is None:
        assert family["ReplicaKeys"] == [], metadata
        return "none"
    assert [key["Arn"] for key in family["ReplicaKeys"]] == [replica["Arn"]], (metadata, replica)
    assert replica["MultiRegionConfiguration"] == family | {"MultiRegionKeyType": "REPLICA"}, (metadata, replica)
    assert replica["CurrentKeyMaterialId"] == metadata["CurrentKeyMaterialId"], (metadata, replica)
    return "there"


def days_to_deletion(metadata):
    if "DeletionDate" in metadata:
        return days_from_now(metadata["DeletionDate"])
    return metadata.get("PendingDeletionWindowInDays")


def shown(view):
    """What is to be seen of a key or alias that is there so: what is to be deleted says that it does not rotate."""
    if view is not None and view.get("KeyState") in ("PendingDeletion", "PendingReplicaDeletion"):
        return view | {"RotatesEvery": None}
    return view


def strangers(kms, known):
    """The keys, by description, that are not among those that are `known`; all of these have to be there."""
    listed = [key["KeyId"] for key in kms.listed("ListKeys", "Keys", Limit=1000)]
    assert len(listed) == len(set(listed))
    assert known <= set(listed), f"answered and not there: {known - set(listed)}"
    return {described(kms, key_id)["Description"]: key_id for key_id in set(listed) - known}


def days_from_now(timestamp):
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    return round((timestamp - now) / datetime.timedelta(days=1).total_seconds())


@dataclass(frozen=True)
class InFlight:
    """A change on its way: of what (`None`: of a key that has no name yet), and what that looks like if it is made."""

    operation: str
    parameters: dict
    name: str | None
    after: dict | None


class Client:
    """Makes one change after another, and knows what is there of its own."""

    def __init__(self, name, random):
        self.name, self.random = name, random
        # Keys by id, aliases by name; and ciphertexts of each key by how often it had been rotated.
        self.there, self.ciphertexts = {}, {}
        self.in_flight = None
        # What was changed since it was last compared.
        self.changed = set()
        self.answered = []
        self._number = 0

    @property
    def keys(self):
        return {name: view for name, view in self.there.items() if not name.startswith("alias/")}

    def change(self, kms):
        """Makes a change, which stays in flight if it is not answered."""
        self.in_flight = change = self._draw()
        answer = kms.call(change.operation, **change.parameters)
        self.answered.append(kms.request_id)
        name = change.name or answer["KeyMetadata"]["KeyId"]
        self._becomes(name, change.after)
        self.in_flight = None
        if change.operation == "CreateKey":
            self.assert_ciphertext(kms, name)

    def _draw(self):
        kind = self.random.random()
        if not self.there or kind < 0.1:
            return self._new_key()
        name = self.random.choice(list(self.there))
        view = self.there[name]
        if kind < 0.2 and self.takes_an_alias(name):
            return self._new_alias(name)
        possible = [change for change in CHANGES if change.possible(view)]
        if not possible:
            return self._draw()
        change = self.random.choice(possible)
        parameters = change.parameters(self, name)
        after = None if parameters is None else change.after(view, parameters)
        # What changes nothing need not be stored.
        if parameters is None or after == view:
            return self._draw()
        return InFlight(change.operation, parameters, name, after)

    def takes_an_alias(self, name):
        aliases = sum(view == {"Target": name} for view in self.there.values())
        return self.there[name].get("KeyState") in USABLE and aliases < ALIASES_OF_A_KEY

    def _new_alias(self, key_id):
        name = f"alias/{self.next_name()}"
        return InFlight("CreateAlias", {"AliasName": name, "TargetKeyId": key_id}, name, {"Target": key_id})

    def _new_key(self):
        description, multi_region = {"Description": self.next_name()}, self.random.random() < 0.3
        view = NEW_KEY | description | {"Replica": "none" if multi_region else None}
        return InFlight("CreateKey", description | {"MultiRegion": multi_region}, None, view)

    def next_name(self):
        self._number += 1
        return f"{self.name}/{self._number}"

    def _becomes(self, name, view):
        self.changed.add(name)
        if view is None:
            self.there.pop(name, None)
        else:
            self.there[name] = view

    def settle(self, kms, strangers):
        """What became of the change in flight: whether it was made, or `None` if there was none. `strangers` are keys
        that no answer named, by description; the one that this client made without learning of it is taken out."""
        change, self.in_flight = self.in_flight, None
        if change is None:
            return None
        before = self.there.get(change.name)
        name = change.name or strangers.pop(change.after["Description"], None)
        found = seen(kms, name) if name else None
        assert found in (shown(before), shown(change.after)), f"half done: {change} of {before} left {found}"
        made = found == shown(change.after)
        if name:
            self._becomes(name, change.after if made else before)
        return made

    def compare(self, kms, names):
        """That what was answered is there, and that each key still opens what was sealed under it."""
        for name in names:
            expected = self.there.get(name)
            found = seen(kms, name)
            assert found == shown(expected), f"{name} was answered to be {expected} and is {found}"
            if name in self.keys:
                self.assert_ciphertext(kms, name)
        self.changed -= set(names)

    def assert_ciphertext(self, kms, key_id, all_of_them=False):
        """Opens one of the key's ciphertexts, or makes one where there is none under its current material; the key's
        state decides whether it may."""
        state, rotations = self.there[key_id]["KeyState"], self.there[key_id]["Rotations"]
        made = self.ciphertexts.setdefault(key_id, {})
        try:
            if rotations not in made:
                plaintext = base64.b64encode(self.random.randbytes(32)).decode()
                sealed = kms.call("Encrypt", KeyId=key_id, Plaintext=plaintext, EncryptionContext=CONTEXT)
                made[rotations] = sealed["CiphertextBlob"], plaintext
            for blob, plaintext in made.values() if all_of_them else [self.random.choice(list(made.values()))]:
                opened = kms.call("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)
                assert opened["Plaintext"] == plaintext, f"{key_id} opens something else"
                assert opened["KeyId"].endswith(f"/{key_id}"), opened
        except Refused as refused:
            assert refused.code == REFUSALS.get(state), f"{key_id}, which is {state}: {refused}"
        else:
            assert state == "Enabled", f"{key_id} is used and is {state}"

    def use_every_key(self, kms):
        """Brings every key into use again, and opens what was sealed under it in all the lives before."""
        for key_id, view in self.keys.items():
            if view["KeyState"] not in USABLE:
                kms.call("CancelKeyDeletion", KeyId=key_id)
            kms.call("EnableKey", KeyId=key_id)
            self.there[key_id] = view | ENABLED
            self.compare(kms, [key_id])
            self.assert_ciphertext(kms, key_id, all_of_them=True)
