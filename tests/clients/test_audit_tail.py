"""`kmsgate audit tail` on trails that are written, renamed and compressed while it runs."""

import gzip
import json
import os
import pty
import queue
import subprocess
import threading

import pytest
from audit_chain import Trail, joined
from gateway import PATIENCE, PROGRAM

HOSTILE = "\x1b[2J\x9b1m\u202egolf"


def tail(*arguments):
    done = subprocess.run([PROGRAM, "audit", "tail", *map(str, arguments)], capture_output=True, timeout=PATIENCE)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


class Follow:
    """A tail that runs."""

    def __init__(self, *arguments):
        command = [PROGRAM, "audit", "tail", "--follow", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.shown = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.shown.put(line.removesuffix(b"\n"))

    def take(self, count):
        return [self.shown.get(timeout=PATIENCE) for _ in range(count)]

    def stop(self):
        self.process.terminate()
        said = self.process.stderr.read().decode()
        self.process.wait(PATIENCE)
        return said


@pytest.fixture
def follow():
    running = []

    def follow(*arguments):
        running.append(Follow(*arguments))
        return running[-1]

    yield follow
    for one in running:
        one.stop()


@pytest.fixture
def trail(tmp_path):
    """A trail with its file, whose lines are written when they are made."""

    class Written(Trail):
        file = tmp_path / "audit.jsonl"
        first = 1

        def append(self, line):
            super().append(line)
            # A checkpoint is appended once without its signature.
            if b"AuditCheckpoint" not in line or b'"signature"' in line:
                with self.file.open("ab") as file:
                    file.write(line + b"\n")

        def rotate(self, packed=False):
            self.checkpoint("rotation")
            name = self.file.with_name(f"audit-{self.first:020}.jsonl")
            self.file.rename(name)
            if packed:
                name.with_suffix(".jsonl.gz").write_bytes(gzip.compress(name.read_bytes()))
                name.unlink()
            self.first = self.sequence + 1

    return Written()


def test_the_newest_records_are_shown_one_a_line_and_no_checkpoint(trail):
    trail.usual(3, 5)
    trail.request("Encrypt", user="other", errorCode="AccessDenied")
    code, lines, said = tail(trail.file, "-n", 3)
    assert (code, said) == (0, "")
    key = "key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert lines[2].split() == ["18:22:56", "Encrypt", key, "user/other", "refused", "AccessDenied", "84", "µs"]
    assert [line.split()[3] for line in lines[:2]] == ["user/app-3", "user/app-4"]
    assert len(tail(trail.file, "-n", 100)[1]) == 16
    assert len(tail(trail.file, "-n", 100, "--checkpoints")[1]) == 20
    assert tail(trail.file, "-n", 0)[1] == []


def test_filters_are_true_all_of_them(trail):
    for index in range(300):
        code = {"errorCode": "AccessDenied"} if index % 3 == 0 else {}
        context = {"encryptionContext": {"tenant": f"t{index % 5}"}}
        trail.request("Encrypt" if index % 2 else "Decrypt", f"app-{index % 7}", requestParameters=context, **code)
    filters = ["--outcome", "refused", "--operation", "Enc*", "--context", "tenant=t2", "--principal", "user/app-?"]
    code, lines, _ = tail(trail.file, "--json", "-n", 4, *filters)
    chosen = [i for i in range(300) if i % 3 == 0 and i % 2 and i % 5 == 2][-4:]
    assert (code, lines) == (0, [trail.lines[index].decode() for index in chosen])
    assert tail(trail.file, *filters, "--key", "alias/none")[1] == []


def test_a_compressed_file_and_standard_input_are_shown_too(trail, tmp_path):
    trail.usual()
    expected = tail(trail.file, "-n", 4)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(joined(trail.lines)))
    assert tail(packed, "-n", 4) == expected
    done = subprocess.run(
        [PROGRAM, "audit", "tail", "-", "-n", "4"], input=joined(trail.lines), capture_output=True, timeout=PATIENCE
    )
    assert done.stdout.decode().splitlines() == expected[1]
    assert tail(packed, "--follow")[0] == 64


def test_what_is_not_there_ends_with_64(tmp_path):
    for arguments in [[tmp_path / "none"], [tmp_path], [], ["--config", tmp_path / "none"]]:
        code, lines, said = tail(*arguments)
        assert (code, lines) == (64, [])
        assert said


def test_the_configuration_says_which_file_it_is(allow_all, kms):
    kms.list_aliases(Limit=7)
    code, lines, said = tail("--config", allow_all.audit_file.with_name("kmsgate.toml"), "-n", 1)
    assert (code, said) == (0, "")
    user = allow_all.key.principal.rpartition(":")[2]
    assert lines[0].split()[1:5] == ["ListAliases", "-", user, "allowed"]


def test_nothing_in_a_record_steers_a_terminal(trail):
    trail.request(user=HOSTILE, key=None, requestParameters={"keyId": HOSTILE})
    with trail.file.open("ab") as file:
        file.write(HOSTILE.encode() + b"\xff\n")
    # As Python would not write it, and JSON may.
    raw = json.dumps(json.loads(trail.lines[0]), ensure_ascii=False).encode()
    with trail.file.open("ab") as file:
        file.write(raw + b"\n")
    for json_too in [[], ["--json"]]:
        master, slave = pty.openpty()
        command = [PROGRAM, "audit", "tail", trail.file, *json_too]
        assert subprocess.run(command, stdout=slave, timeout=PATIENCE).returncode == 0
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass
        os.close(master)
        text = shown.decode().replace("\r\n", "\n")
        assert text.count("\n") == 3 and "golf" in text
        assert all(letter == "\n" or letter.isprintable() for letter in text)
    # What is no terminal gets what was written.
    done = subprocess.run([PROGRAM, "audit", "tail", trail.file, "--json"], capture_output=True, timeout=PATIENCE)
    assert done.stdout == trail.file.read_bytes()


def test_what_is_written_is_shown_across_files_once_each(trail, follow):
    trail.checkpoint("start")
    trail.request()
    running = follow(trail.file, "--checkpoints", "-n", 100)
    assert running.take(2) == trail.lines
    for stretch in range(12):
        for _ in range(5):
            trail.request(user=f"app-{stretch}")
        trail.rotate(packed=stretch % 3 == 1)
    trail.request()
    assert running.take(len(trail.lines) - 2) == trail.lines[2:]
    assert running.stop() == ""
    assert running.shown.empty()


def test_a_file_that_is_not_there_yet_is_waited_for(trail, follow):
    running = follow(trail.file)
    trail.request()
    assert running.take(1) == trail.lines


def test_whoever_stops_reading_stops_it(trail, follow):
    trail.request()
    running = follow(trail.file)
    running.take(1)
    reader, writer = os.pipe()
    process = subprocess.Popen([PROGRAM, "audit", "tail", "-f", trail.file], stdout=writer)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    trail.request()
    assert process.wait(PATIENCE) == 0
