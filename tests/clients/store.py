"""A key store with known contents, started again and again: whole, damaged, or under a fault."""

import copy
import shutil

import pytest
from direct import Direct, Refused
from gateway import PATIENCE, Gateway, NotStarted, allow_everything
from model import ELSEWHERE, Client, seen, shown


class Store:
    """A data directory, and what was answered about it: the newest state, and every state before it."""

    def __init__(self, directory, random):
        self.directory = directory
        self.data_dir, self._policy = directory / "data", allow_everything(directory)
        self.client = Client("owner", random)
        self.states = []

    @property
    def file(self):
        return self.data_dir / "keys.sqlite"

    @property
    def log(self):
        return self.data_dir / "keys.sqlite-wal"

    @property
    def mark(self):
        return self.data_dir / "keys.sqlite-revision"

    def start(self, under=()):
        return Gateway.quickstart(self.data_dir, self._policy, under, ["--replica-region", ELSEWHERE])

    def change(self, kms, times):
        for _ in range(times):
            self.client.change(kms)
            self.states.append(self.answered)

    @property
    def answered(self):
        """What is to be seen of all that is there."""
        return {name: shown(view) for name, view in self.client.there.items()}

    def copy(self, name):
        """The same store in a directory of its own, which takes the place of one of that name."""
        other = copy.copy(self)
        other.data_dir = self.directory / name
        other.client, other.states = copy.deepcopy(self.client), list(self.states)
        shutil.rmtree(other.data_dir, ignore_errors=True)
        shutil.copytree(self.data_dir, other.data_dir)
        return other

    def refuses_to_start(self, *says, under=()):
        """The program ends, names the store's file, says why and what to do, and changes nothing."""
        before = self._files()
        with pytest.raises(NotStarted) as refused:
            self.start(under)
        assert refused.value.code == 1
        for text in [str(self.file), "hint: ", *says]:
            assert text in refused.value.said
        self._assert_files(before)

    def starts(self):
        """A gateway, or `None` if the store is refused as `refuses_to_start` has it."""
        before = self._files()
        try:
            return self.start()
        except NotStarted as refused:
            assert refused.code == 1, refused
            assert str(self.file) in refused.said and "hint: " in refused.said, refused
            assert "panic" not in refused.said, refused
            self._assert_files(before)
            return None

    def _assert_files(self, before):
        after = self._files()
        sizes = [{file.name: len(text) for file, text in files.items()} for files in (before, after)]
        assert after == before, f"a start that was refused has changed the files: sizes {sizes[0]} to {sizes[1]}"

    def _files(self):
        """What the files hold; an empty log, which SQLite makes when it opens one, is as good as none."""
        files = {file: file.read_bytes() for file in [self.file, self.log] if file.exists()}
        return {file: text for file, text in files.items() if text or file == self.file}

    def assert_as_answered(self, gateway):
        """Everything is there, nothing else is, and what was sealed opens."""
        assert self.served(gateway) == self.answered

    def served(self, gateway):
        """Every key and alias as it is now. What each key opens is what was sealed under it, whatever is there."""
        kms = Direct(gateway)
        names = [key["KeyId"] for key in kms.listed("ListKeys", "Keys")]
        names += [alias["AliasName"] for alias in kms.listed("ListAliases", "Aliases")]
        found = {name: seen(kms, name) for name in names if name not in (gateway.key_id, gateway.alias)}
        witness = copy.deepcopy(self.client)
        witness.there = found
        for key_id in witness.keys:
            witness.assert_ciphertext(kms, key_id)
        kms.close()
        return found

    def assert_refused(self, kms, times=3):
        """No change is made, and each is answered as a fault of the service's own."""
        for _ in range(times):
            with pytest.raises(Refused) as refused:
                self.client.change(kms)
            assert (refused.value.status, refused.value.code) == (500, "KMSInternalException")
            self.client.in_flight = None


def kill(gateway):
    gateway.process.kill()
    gateway.process.wait(PATIENCE)
