"""Random calls of several clients, each predicted by a model, with kills between and amid them.

Every client has keys of its own, so that what it is answered depends on nobody else. When an answer is not the
predicted one, the calls of that client are made again on new stores, fewer each time: the fewest that still show it are
printed.
"""

import copy
import itertools
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from direct import Direct, Refused, Unanswered, random_of_this_run
from draws import Draws
from gateway import PATIENCE, REGION, Gateway, allow_everything
from model import strangers
from oracle import ELSEWHERE, Call, Kms, Quota, Refusal, matches
from states import ROWS, WITHOUT_KEY

CLIENTS = 6
ROUNDS = 20
CALLS = 30_000
# Ciphertexts that a client opens after each round, and at the end.
SAMPLE, LAST_SAMPLE = 20, 150
NAMES = [
    "KeyId", "AliasName", "TargetKeyId", "CiphertextBlob", "SourceKeyId", "DestinationKeyId", "GrantId", "GrantToken",
]  # fmt: skip
NAMED_BY_ANSWERS = ["KeyId", "CiphertextBlob", "PrivateKeyCiphertextBlob", "GrantId", "GrantToken"]
# The longest that the fewest calls are looked for, in seconds.
SHRINKING = 60
# These have no place in a single run of calls here: tests/clients/test_import.py; and tests/clients/test_grants.py, for
# the list is of the grants of all clients together.
NOT_DRAWN = {"ImportKeyMaterial", "ListRetirableGrants"}
# What the refusals of this many calls have to have been, or it was not much of a test.
REFUSALS = {
    "AccessDeniedException", "AlreadyExistsException", "DisabledException", "DryRunOperationException",
    "IncorrectKeyException", "InvalidAliasNameException", "InvalidArnException", "InvalidCiphertextException",
    "InvalidGrantIdException", "InvalidGrantTokenException",
    "InvalidKeyUsageException", "KMSInvalidStateException", "LimitExceededException", "NotFoundException",
    "TagException", "UnsupportedOperationException", "ValidationException",
}  # fmt: skip
# What these ask for one too many of.
QUOTAS = {"CreateAlias", "UpdateAlias", "RotateKeyOnDemand", "TagResource"}


def test_every_answer_is_the_one_that_the_model_predicts_and_a_kill_changes_nothing(tmp_path):
    random = random_of_this_run()
    site = Site(tmp_path)
    gateway = site.start("data")
    # Random numbers of their own, because the order in which threads draw is not known.
    players = [Player(f"client-{number}", Random(random.random()), gateway) for number in range(CLIENTS)]
    begun = time.monotonic()
    try:
        for _ in range(ROUNDS):
            play_until_killed(gateway, players, CALLS // ROUNDS)
            gateway = site.start("data")
            settle(gateway, players)
            for_each(gateway, players, lambda player, kms: player.read_everything(kms, SAMPLE))
        for_each(gateway, players, lambda player, kms: player.read_everything(kms, LAST_SAMPLE))
        assert_aliases(gateway, players)
    except Deviation as deviation:
        raise AssertionError(explained(deviation, site)) from None
    gateway.stop()
    met = sum((player.met for player in players), Counter())
    print(f"{met.total()} calls in {time.monotonic() - begun:.0f} s, of them {refused(met).total()} refused")
    granted = {operation for operation, code in met if code is None}
    assert granted >= ({row.operation for row in ROWS} | WITHOUT_KEY) - NOT_DRAWN, "oracle.py and draws.py lack some"
    assert set(refused(met)) >= REFUSALS
    assert set().union(*(player.quotas for player in players)) >= QUOTAS
    assert met.total() >= CALLS


def refused(met):
    codes = Counter()
    for (_, code), times in met.items():
        if code is not None:
            codes[code] += times
    return codes


class Site:
    """Starts the program, in two regions, on data directories of one test."""

    def __init__(self, directory):
        self._directory, self._policy = directory, allow_everything(directory)

    def start(self, name):
        return Gateway.quickstart(self._directory / name, self._policy, more=["--replica-region", ELSEWHERE])


class Kill:
    """In the list of what a client did: here the program was killed and started again."""

    def __str__(self):
        return "SIGKILL"


KILL = Kill()


@dataclass
class Turn:
    call: Call
    answer: dict | None = None

    def __str__(self):
        return str(self.call)


class Deviation(Exception):
    """An answer that was not predicted."""

    def __init__(self, player, call, expected, actual):
        super().__init__(f"{call}\n    predicted: {expected}\n    answered:  {actual}")
        self.player = player


class Player:
    """One client, with the model of what is its own."""

    def __init__(self, name, random, gateway):
        self.name, self.kms = name, Kms(gateway.key_id)
        self.shared_key_id = gateway.key_id
        self._draws = Draws(name, random, self.kms)
        self.turns, self.met, self.quotas = [], Counter(), set()
        # The call on its way, with what it does if it is carried out.
        self.in_flight = None

    def make(self, kms, call):
        """Makes a call, and compares the answer."""
        try:
            expected, effect = self.kms.predict(call)
        except Refusal as refusal:
            expected, effect = refusal.code, None
            if isinstance(refusal, Quota):
                self.quotas.add(call.operation)
        turn = Turn(call)
        self.turns.append(turn)
        self.in_flight = turn, expected, effect
        try:
            actual = kms.of_region(call.region).call(call.operation, **call.parameters)
        except Refused as refused:
            actual = refused.code
        self.in_flight = None
        if not matches(expected, actual):
            raise Deviation(self, call, expected, actual)
        if effect:
            turn.answer = actual
            effect(actual)
        self.met[call.operation, None if effect else actual] += 1
        return turn

    def play(self, kms, gateway, numbers, last):
        """Draws calls and makes them until the program is gone. The client whose call has the last number kills it."""
        try:
            while True:
                if next(numbers) == last:
                    gateway.process.kill()
                self.make(kms, self._draws.call())
        except Unanswered:
            self.turns.append(KILL)

    def read_everything(self, kms, ciphertexts):
        for call in self._draws.everything(ciphertexts):
            self.make(kms, call)

    def settle(self, kms, strangers):
        """Finds out whether the call in flight was carried out. `strangers` are keys that no answer named, by their
        descriptions."""
        (turn, expected, effect), self.in_flight = self.in_flight, None
        if effect is None:
            return
        if turn.call.operation == "CreateKey":
            key_id = strangers.pop(turn.call.parameters["Description"], None)
            if key_id is not None:
                expected["KeyMetadata"]["KeyId"].value = key_id
                turn.answer = {"KeyMetadata": {"KeyId": key_id}}
                effect(turn.answer)
        elif not all(self._agrees(kms, call) for call in self._draws.everything(0)):
            # Then it is as if it had been answered, or the next look at everything says that it is neither.
            effect({})

    def _agrees(self, kms, call):
        try:
            expected, _ = self.kms.predict(call)
        except Refusal as refusal:
            expected = refusal.code
        try:
            actual = kms.of_region(call.region).call(call.operation, **call.parameters)
        except Refused as refused:
            actual = refused.code
        # A copy learns, so that a value which is to be in two places is the same in both.
        return matches(copy.deepcopy(expected), actual)


def for_each(gateway, players, do):
    """Does so for all clients at once, each with a connection of its own."""
    connections = [Direct(gateway) for _ in players]
    with ThreadPoolExecutor(len(players)) as pool:
        list(pool.map(do, players, connections))
    for kms in connections:
        kms.close()


def play_until_killed(gateway, players, calls):
    numbers = itertools.count(1)
    for_each(gateway, players, lambda player, kms: player.play(kms, gateway, numbers, calls))
    gateway.process.wait(PATIENCE)
    assert b"panic" not in gateway.stderr.text(), gateway.stderr.text()
    # Its last line may be torn.
    gateway.audit_file.unlink()


def settle(gateway, players):
    kms = Direct(gateway)
    known = {key.id.value for player in players for key in player.kms.keys if key.region == REGION}
    unknown = strangers(kms, known | {gateway.key_id})
    for player in players:
        player.settle(kms, unknown)
    assert not unknown, "keys that nobody made"
    kms.close()


def assert_aliases(gateway, players):
    """There are the aliases that were made, and no others."""
    kms = Direct(gateway)
    for region in (REGION, ELSEWHERE):
        listed = kms.of_region(region).listed("ListAliases", "Aliases", Limit=100)
        there = {name for player in players for at, name in player.kms.aliases if at == region}
        assert {alias["AliasName"] for alias in listed} == there | ({gateway.alias} if region == REGION else set())
    kms.close()


def explained(deviation, site):
    """The fewest calls found that end in a deviation, and the deviation."""
    player = deviation.player
    names = itertools.count()

    def replayed(turns):
        return replay(site, f"again-{next(names)}", player, turns)

    for turns in (related(player.turns), player.turns):
        if again := replayed(turns):
            fewer, again = fewest(turns[: again.turns], again, replayed)
            calls = "\n".join(map(str, fewer))
            return f"of {len(player.turns)} calls of {player.name} these are enough:\n{calls}\n{again.deviation}"
    calls = "\n".join(map(str, related(player.turns)))
    return f"{player.name} is not answered so again; what may have to do with it:\n{calls}\n{deviation}"


def related(turns):
    """The turns that name what the last one names, and where that comes from."""
    *before, last = turns
    kept, wanted = [last], named(last)
    for turn in reversed(before):
        names = set() if turn is KILL else named(turn)
        if turn is KILL or names & wanted:
            kept.append(turn)
        if names & wanted and made_by(turn) & wanted:
            wanted |= names
    return kept[::-1]


def made_by(turn):
    """The alias or the ciphertext that is what it is by this turn."""
    return {turn.call.parameters.get("AliasName"), (turn.answer or {}).get("CiphertextBlob")} - {None}


def named(turn):
    """The keys by their ids, the aliases and the ciphertexts of a call and its answer."""
    parameters = turn.call.parameters
    members = [parameters[name] for name in NAMES if name in parameters] + names_in(turn.answer)
    return {member.rpartition(":")[2].removeprefix("key/") for member in members}


def fewest(turns, again, replayed):
    """Leaves out one part of the turns after another, as long as the rest deviates."""
    until = time.monotonic() + SHRINKING
    size = len(turns) // 2
    while size and time.monotonic() < until:
        start = 0
        while start < len(turns) and time.monotonic() < until:
            fewer = turns[:start] + turns[start + size :]
            found = replayed(fewer)
            if found:
                turns, again = fewer[: found.turns], found
            else:
                start += size
        size //= 2
    return turns, again


@dataclass(frozen=True)
class Again:
    """After how many turns of a replay it deviated, and how."""

    turns: int
    deviation: Deviation


def replay(site, name, player, turns):
    """Takes these turns of a client again on a new store; `None` if all goes as predicted."""
    gateway = site.start(name)
    kms = Direct(gateway)
    again = Player(player.name, Random(0), gateway)
    renamed = {player.shared_key_id: gateway.key_id}
    try:
        for number, turn in enumerate(turns, 1):
            if turn is KILL:
                gateway.process.kill()
                gateway.process.wait()
                kms.close()
                gateway = site.start(name)
                kms = Direct(gateway)
                continue
            answer = again.make(kms, with_names(turn.call, renamed)).answer
            renamed |= dict(zip(names_in(turn.answer), names_in(answer)))
    except Deviation as deviation:
        return Again(number, deviation)
    finally:
        kms.close()
        gateway.process.kill()
        gateway.process.wait()
    return None


def names_in(answer):
    """What later calls may name: a new key's id, a ciphertext, a grant and its token."""
    answer = answer or {}
    members = answer.get("KeyMetadata", {}) | answer
    return [members[name] for name in NAMED_BY_ANSWERS if name in members]


def with_names(call, renamed):
    parameters = json.dumps(call.parameters)
    for old, new in renamed.items():
        if old in parameters:
            parameters = parameters.replace(old, new)
    return Call(call.operation, json.loads(parameters), call.region)
