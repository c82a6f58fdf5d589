"""The program is killed again and again while four clients make changes: what they were told is what is there."""

import json
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

from direct import Direct, Unanswered, random_of_this_run
from gateway import FREE_PORTS, PATIENCE, PROGRAM, Gateway, allow_everything
from model import ELSEWHERE, Client, strangers

KILLS = 300
CLIENTS = 4
# The longest that a life lasts once the clients write, in seconds: some ten changes of each.
LIFE = 0.1
# So often a start is killed too, within the seconds that it takes.
STARTS_BETWEEN = 8
START = 0.01
# How many of the keys and aliases that a life did not change are looked at after it; all of them are at the end.
SAMPLE = 5


def test_what_was_answered_before_any_of_300_kills_is_there_and_nothing_is_half_done(tmp_path):
    random = random_of_this_run()
    site = Site(tmp_path)
    # Random numbers of their own, because the order in which threads draw is not known.
    clients = [Client(f"client-{number}", Random(random.random())) for number in range(CLIENTS)]
    outcomes = Counter()
    for life in range(KILLS):
        if life % STARTS_BETWEEN == 1:
            site.kill_a_start(random.uniform(0, START))
        gateway = site.start()
        outcomes.update(compare(gateway, clients, changed_and_some_more))
        site.kill_while_written(gateway, clients, random.uniform(0, LIFE))
        site.assert_recorded(clients)

    gateway = site.start()
    outcomes.update(compare(gateway, clients, lambda client: list(client.there)))
    assert_lists(gateway, clients)
    for_each(gateway, clients, lambda client, kms: client.use_every_key(kms))
    gateway.stop()
    # Else the kills met no change under way, or never between a commit and its answer.
    assert outcomes[True] > 0 and outcomes[False] > 0, outcomes
    print(f"changes that got no answer: {outcomes[True]} made, {outcomes[False]} not made")


class Site:
    """One data directory, and the program started on it."""

    def __init__(self, directory):
        self._data_dir, self._policy = directory / "data", allow_everything(directory)
        self._regions = ["--replica-region", ELSEWHERE]
        self._audit = self._data_dir / "audit.jsonl"

    def start(self):
        return Gateway.quickstart(self._data_dir, self._policy, more=self._regions)

    def kill_a_start(self, seconds):
        options = [*FREE_PORTS, "--data-dir", self._data_dir, "--policy", self._policy, *self._regions]
        command = [PROGRAM, "quickstart", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait(PATIENCE)

    def kill_while_written(self, gateway, clients, seconds):
        """Lets every client write over a connection of its own, and kills the program after that time."""
        writers = [Writer(client, gateway) for client in clients]
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        gateway.process.kill()
        gateway.process.wait(PATIENCE)
        for writer in writers:
            writer.end()
        assert b"panic" not in gateway.stderr.text(), gateway.stderr.text()

    def assert_recorded(self, clients):
        """No change was answered without its audit record. The file begins anew then, so that it is soon read."""
        granted = {record.get("requestID") for record in self._records() if record.get("errorCode") is None}
        self._audit.unlink()
        for client in clients:
            assert set(client.answered) <= granted
            client.answered.clear()

    def _records(self):
        for line in self._audit.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                # A kill may tear a line, but none of a request that was answered.
                continue


class Writer(threading.Thread):
    """Makes a client's changes until the program is gone."""

    def __init__(self, client, gateway):
        super().__init__(daemon=True)
        self._client, self._kms, self._fault = client, Direct(gateway), None

    def run(self):
        try:
            while True:
                self._client.change(self._kms)
        except Unanswered:
            pass
        except BaseException as fault:
            self._fault = fault

    def end(self):
        self.join(PATIENCE)
        self._kms.close()
        if self._fault:
            raise self._fault


def compare(gateway, clients, names):
    """Compares what `names` says of each client, and every key's being there; how changes in flight have ended."""
    kms = Direct(gateway)
    unknown = strangers(kms, {gateway.key_id}.union(*(client.keys for client in clients)))
    outcomes = [client.settle(kms, unknown) for client in clients]
    assert not unknown, "keys that nobody made"
    kms.close()
    for_each(gateway, clients, lambda client, kms: client.compare(kms, names(client)))
    return outcomes


def for_each(gateway, clients, do):
    """Does so for all clients at once, each with a connection of its own."""
    connections = [Direct(gateway) for _ in clients]
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(do, clients, connections))
    for kms in connections:
        kms.close()


def changed_and_some_more(client):
    return [*client.changed, *client.random.sample(list(client.there), min(SAMPLE, len(client.there)))]


def assert_lists(gateway, clients):
    """The list of aliases has exactly those that were made, each with its key."""
    kms = Direct(gateway)
    listed = {alias["AliasName"]: alias["TargetKeyId"] for alias in kms.listed("ListAliases", "Aliases", Limit=100)}
    there = {name: view for client in clients for name, view in client.there.items()}
    aliases = {name: view["Target"] for name, view in there.items() if name.startswith("alias/")}
    assert listed == aliases | {gateway.alias: gateway.key_id}
    kms.close()
