"""What a client may expect of keys and aliases that it alone changes: as the last answer left them, or, for the one
change that got no answer, as that change makes them. There is nothing in between.

A further operation is a line in `CHANGES`; if it changes what was not seen so far, also one in `seen`.
"""

import base64
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from direct import Refused

CONTEXT = {"tenant": "blue"}
USABLE = {"Enabled", "Disabled"}
# KMS allows fifty of one key; so many make a change of the key no longer than another.
ALIASES_OF_A_KEY = 5


NEW_KEY = {"KeyState": "Enabled", "Days": None}
DISABLED = {"KeyState": "Disabled", "Days": None}


@dataclass(frozen=True)
class Change:
    """A change of a key or an alias: of which it is possible, its parameters, and what it makes of what was there."""

    operation: str
    possible: Callable[[dict], bool]
    parameters: Callable[["Client", str], dict]
    after: Callable[[dict, dict], dict | None]


def in_state(*states):
    return lambda view: view.get("KeyState") in states


def of_key(client, key_id):
    return {"KeyId": key_id}


def of_key_in_some_days(client, key_id):
    return {"KeyId": key_id, "PendingWindowInDays": client.random.randint(7, 30)}


CHANGES = [
    Change("EnableKey", in_state("Disabled"), of_key, lambda key, _: key | {"KeyState": "Enabled"}),
    Change("DisableKey", in_state("Enabled"), of_key, lambda key, _: key | {"KeyState": "Disabled"}),
    Change(
        "ScheduleKeyDeletion",
        in_state(*USABLE),
        of_key_in_some_days,
        lambda key, how: key | {"KeyState": "PendingDeletion", "Days": how["PendingWindowInDays"]},
    ),
    Change("CancelKeyDeletion", in_state("PendingDeletion"), of_key, lambda key, _: key | DISABLED),
]


def seen(kms, name):
    """What the key or alias of this name looks like; `None` if there is none."""
    try:
        metadata = kms.call("DescribeKey", KeyId=name)["KeyMetadata"]
    except Refused as refused:
        if refused.code == "NotFoundException":
            return None
        raise
    assert metadata["Enabled"] == (metadata["KeyState"] == "Enabled"), metadata
    if name.startswith("alias/"):
        return {"Target": metadata["KeyId"]}
    return {
        "Description": metadata["Description"],
        "KeyState": metadata["KeyState"],
        "Days": days_from_now(metadata["DeletionDate"]) if "DeletionDate" in metadata else None,
    }


def strangers(kms, known):
    """The keys, by description, that are not among those that are `known`; all of these have to be there."""
    listed = [key["KeyId"] for key in kms.listed("ListKeys", "Keys", Limit=1000)]
    assert len(listed) == len(set(listed))
    assert known <= set(listed), f"answered and not there: {known - set(listed)}"
    return {seen(kms, key_id)["Description"]: key_id for key_id in set(listed) - known}


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
        # Keys by id, aliases by name; and of each key a ciphertext.
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
        if kind < 0.2 and self._takes_an_alias(name):
            return self._new_alias(name)
        possible = [change for change in CHANGES if change.possible(view)]
        if not possible:
            return self._draw()
        change = self.random.choice(possible)
        parameters = change.parameters(self, name)
        return InFlight(change.operation, parameters, name, change.after(view, parameters))

    def _takes_an_alias(self, name):
        aliases = sum(view == {"Target": name} for view in self.there.values())
        return self.there[name].get("KeyState") in USABLE and aliases < ALIASES_OF_A_KEY

    def _new_alias(self, key_id):
        name = f"alias/{self._next_name()}"
        return InFlight("CreateAlias", {"AliasName": name, "TargetKeyId": key_id}, name, {"Target": key_id})

    def _new_key(self):
        description = {"Description": self._next_name()}
        return InFlight("CreateKey", description, None, NEW_KEY | description)

    def _next_name(self):
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
        assert found in (before, change.after), f"half done: {change} of {before} left {found}"
        if name:
            self._becomes(name, found)
        return found == change.after

    def compare(self, kms, names):
        """That what was answered is there, and that each key still opens what was sealed under it."""
        for name in names:
            expected = self.there.get(name)
            found = seen(kms, name)
            assert found == expected, f"{name} was answered to be {expected} and is {found}"
            if name in self.keys:
                self.assert_ciphertext(kms, name)
        self.changed -= set(names)

    def assert_ciphertext(self, kms, key_id):
        """Opens the key's ciphertext, or makes one where there is none; the key's state decides whether it may."""
        state = self.there[key_id]["KeyState"]
        try:
            if key_id not in self.ciphertexts:
                plaintext = base64.b64encode(self.random.randbytes(32)).decode()
                made = kms.call("Encrypt", KeyId=key_id, Plaintext=plaintext, EncryptionContext=CONTEXT)
                self.ciphertexts[key_id] = made["CiphertextBlob"], plaintext
            blob, plaintext = self.ciphertexts[key_id]
            opened = kms.call("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)
        except Refused as refused:
            refusals = {"Disabled": "DisabledException", "PendingDeletion": "KMSInvalidStateException"}
            assert refused.code == refusals.get(state), f"{key_id}, which is {state}: {refused}"
            return
        assert state == "Enabled", f"{key_id} is used and is {state}"
        assert opened["Plaintext"] == plaintext, f"{key_id} opens something else"
        assert opened["KeyId"].endswith(f"/{key_id}"), opened

    def use_every_key(self, kms):
        """Brings every key into use again, and opens what was sealed under it in all the lives before."""
        for key_id, view in self.keys.items():
            if view["KeyState"] == "PendingDeletion":
                kms.call("CancelKeyDeletion", KeyId=key_id)
            kms.call("EnableKey", KeyId=key_id)
            self.there[key_id] = view | NEW_KEY
            self.compare(kms, [key_id])
