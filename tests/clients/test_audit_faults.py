"""The place that records are written to fails while clients call: nothing is answered that is not recorded, clients and
operators are told, and service goes on by itself once the fault is gone. And the program is killed again and again."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from direct import Direct, Refused, Unanswered, random_of_this_run
from gateway import PATIENCE, Gateway, allow_everything
from in_front import wait_for

CLIENTS = 4
# So many requests are granted before a fault, and after it.
SOME = 200
# What the clients of a broken gateway wait before they ask again, in seconds.
PAUSE = 0.02
KILLS = 200
# The longest that a life lasts once the clients call, in seconds.
LIFE = 0.1


class Disk:
    """A file system of its own with little room, in a mount namespace of its own."""

    says = "No space left on device"

    def __init__(self, directory):
        self._mounted = directory / "disk"
        self._mounted.mkdir()
        command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=12m tmpfs "$0" && echo && exec cat']
        # Lives until its standard input ends.
        self._keeper = subprocess.Popen(
            [*command, self._mounted], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if self._keeper.stdout.readline() != "\n":
            pytest.skip(f"nothing may be mounted here: {self._keeper.stderr.read().strip()}")
        self._seen = Path(f"/proc/{self._keeper.pid}/root{self._mounted}")
        # Leaves so little that what the gateway reserves of it is used up soon.
        (self._seen / "ballast").write_bytes(bytes(8 << 20))
        self.audit = f'file = "{self._mounted}/audit.jsonl"'
        self.run = {"under": ["nsenter", "--mount", f"--target={self._keeper.pid}", f"--wd={os.getcwd()}"]}

    def watch(self, gateway):
        gateway.audit_file = self._seen / "audit.jsonl"

    def fail(self):
        with (self._seen / "filler").open("wb", buffering=0) as filler:
            with pytest.raises(OSError, match=self.says):
                while True:
                    filler.write(bytes(4096))

    def mend(self):
        (self._seen / "filler").unlink()
        (self._seen / "ballast").unlink()

    def text(self):
        text = (self._seen / "audit.jsonl").read_bytes()
        self._keeper.communicate(timeout=PATIENCE)
        return text


class Directory:
    """A directory that is removed with its file, as by one who cleans up, and made anew."""

    says = "No such file or directory"

    def __init__(self, directory):
        self._directory = directory / "audit"
        self._directory.mkdir()
        self.audit, self.run = 'file = "audit/audit.jsonl"', {}

    def watch(self, gateway):
        self._gateway = gateway
        gateway.audit_file = self._directory / "audit.jsonl"

    def fail(self):
        # For its records. A second name would keep the file from being gone.
        self._removed = self._gateway.audit_file.open("rb")
        shutil.rmtree(self._directory)

    def mend(self):
        self._directory.mkdir()

    def text(self):
        with self._removed:
            return self._removed.read() + self._gateway.audit_file.read_bytes()


class Pipe:
    """Standard output, as a log collector reads it."""

    def __init__(self, directory):
        self.audit, self._file = 'stdout = "records"', directory / "collected.jsonl"
        self._from, self._to = os.pipe()
        self.run = {"stdout": self._to}

    def watch(self, gateway):
        os.close(self._to)
        self._gateway, gateway.audit_file = gateway, self._file
        self._file.touch()
        self._read()

    def _read(self):
        self._ends = False
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self):
        os.set_blocking(self._from, False)
        with self._file.open("ab", buffering=0) as file:
            while not self._ends:
                try:
                    data = os.read(self._from, 1 << 16)
                except BlockingIOError:
                    time.sleep(0.005)
                    continue
                if not data:
                    return
                file.write(data)

    def _pause(self):
        self._ends = True
        self._reader.join(PATIENCE)

    def text(self):
        # It reads until the program has ended.
        self._reader.join(PATIENCE)
        return self._file.read_bytes()


class ClosedPipe(Pipe):
    says = "Broken pipe"

    def fail(self):
        self._pause()
        # What is in the pipe stays there for the next who reads it.
        os.close(self._from)

    def mend(self):
        self._from = os.open(f"/proc/{self._gateway.process.pid}/fd/1", os.O_RDONLY)
        self._read()


class UnreadPipe(Pipe):
    says = "what it is written to does not take it"

    def fail(self):
        self._pause()

    def mend(self):
        self._read()


@pytest.mark.parametrize("make", [Disk, Directory, ClosedPipe, UnreadPipe])
def test_while_nothing_can_be_recorded_all_is_refused_and_then_goes_on_by_itself(tmp_path, make):
    place = make(tmp_path)
    gateway = Gateway.serve(tmp_path, ["app"], audit=place.audit, run=place.run)
    gateway.key = gateway.keys["app"]
    place.watch(gateway)
    load = Load(gateway, again=True)
    wait_for(lambda: len(load.granted) > SOME)
    assert not gateway.unready()

    place.fail()
    wait_for(lambda: load.refused["ServiceUnavailableException"])
    wait_for(lambda: place.says in gateway.unready(), gateway.unready)
    assert_refused(gateway)
    before = len(load.granted)
    time.sleep(10 * PAUSE)
    assert len(load.granted) == before

    place.mend()
    wait_for(lambda: not gateway.unready(), gateway.unready)
    wait_for(lambda: len(load.granted) > before + SOME)
    load.end()
    assert load.refused.keys() == {"ServiceUnavailableException"}
    gateway.stop()
    assert_each_recorded(place.text(), load.granted)


def test_a_directory_that_may_no_longer_be_written_is_no_fault_while_its_file_is_there(tmp_path):
    (tmp_path / "audit").mkdir()
    under = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    gateway = Gateway.serve(tmp_path, ["app"], audit='file = "audit/audit.jsonl"', run={"under": under})
    gateway.key, gateway.audit_file = gateway.keys["app"], tmp_path / "audit/audit.jsonl"
    load = Load(gateway)
    wait_for(lambda: len(load.granted) > SOME)
    (tmp_path / "audit").chmod(0o500)
    gateway.audit_file.chmod(0o400)
    before = len(load.granted)
    wait_for(lambda: len(load.granted) > before + SOME)
    assert not gateway.unready()
    load.end()
    gateway.stop()
    (tmp_path / "audit").chmod(0o700)
    assert not load.refused
    assert_each_recorded(gateway.audit_file.read_bytes(), load.granted)


def test_what_was_answered_before_any_of_200_kills_is_recorded(tmp_path):
    random = random_of_this_run()
    data_dir, policy = tmp_path / "data", allow_everything(tmp_path)
    answered, read = 0, 0
    for life in range(KILLS):
        gateway = Gateway.quickstart(data_dir, policy)
        load = Load(gateway)
        time.sleep(random.uniform(0, LIFE))
        gateway.process.kill()
        gateway.process.wait(PATIENCE)
        load.end()
        with gateway.audit_file.open("rb") as file:
            file.seek(read)
            text = file.read()
        # A kill may tear the last line, and the next start sees to that; none before it is touched again.
        read += text.rfind(b"\n") + 1
        recorded = Counter(record.get("requestID") for record in whole(text))
        lost = [request_id for request_id in load.answered if recorded[request_id] != 1]
        assert not lost, f"of life {life}: {lost}"
        answered += len(load.answered)
    print(f"{answered} requests answered in {KILLS} lives")
    assert answered > 10 * KILLS


class Load:
    """Clients that call on and on: most requests are granted, some refused for what they ask."""

    def __init__(self, gateway, again=False):
        """`again`: goes on after refusals for want of a record; else these are refusals like others."""
        self._gateway, self._again, self._done = gateway, again, threading.Event()
        self.granted, self.answered, self.refused = [], [], Counter()
        self._faults = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        try:
            kms = Direct(self._gateway)
        except ConnectionRefusedError:
            # Killed before it was connected to.
            return
        try:
            while not self._done.is_set():
                self._call(kms)
        except Unanswered:
            pass
        except BaseException as fault:
            self._faults.append(fault)
        finally:
            kms.close()

    def _call(self, kms):
        try:
            kms.call("GenerateRandom", NumberOfBytes=8)
            self.granted.append(kms.request_id)
        except Refused as refused:
            assert self._again, refused
            self.refused[refused.code] += 1
            time.sleep(PAUSE)
            return
        self.answered.append(kms.request_id)
        if len(self.answered) % 10 == 0:
            # A refusal is answered, too.
            with pytest.raises(Refused):
                kms.call("GenerateRandom", NumberOfBytes=0)
            self.answered.append(kms.request_id)

    def end(self):
        self._done.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        if self._faults:
            raise self._faults[0]


def assert_refused(gateway):
    """What boto3 makes of it: an error that it knows to try again."""
    kms = gateway.client()
    with pytest.raises(ClientError) as refused:
        kms.list_keys()
    kms.close()
    response = refused.value.response
    assert response["Error"]["Code"] == "ServiceUnavailableException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503


def assert_each_recorded(text, request_ids):
    assert text.endswith(b"\n")
    records = [json.loads(line) for line in text.splitlines()]
    recorded = Counter(record.get("requestID") for record in records)
    assert request_ids and {recorded[request_id] for request_id in request_ids} == {1}


def whole(text):
    """The records of a file whose last line, or a line of an earlier life, may be torn."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
