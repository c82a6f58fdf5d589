"""A trace of the running program: no change is answered before the commit that holds it is on disk."""

import os
import signal
import threading
from dataclasses import replace

import pytest
import strace
from direct import Direct
from gateway import PATIENCE, Gateway, allow_everything

CLIENTS = 4
# A key made and a key disabled, by each client.
ROUNDS = 50
ANSWER = "HTTP/1.1 200 OK"


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The calls of a gateway while clients made changes, how many these were, and the data directory that is left."""
    directory = tmp_path_factory.mktemp("traced")
    data_dir, trace = directory / "data", directory / "trace"
    gateway = Gateway.quickstart(data_dir, allow_everything(directory), strace.tracing(trace))
    store, answered = data_dir / "keys.sqlite", []
    before = store.stat().st_size
    writers = [threading.Thread(target=write, args=[gateway, ROUNDS, answered]) for _ in range(CLIENTS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(PATIENCE * 3)
    # How soon the log is carried over into the file depends on how many changes a commit took.
    while store.stat().st_size == before:
        assert len(answered) < 10_000, "the log is never carried over"
        write(gateway, 1, answered)
    write(gateway, 1, answered)
    os.kill(strace.traced_child(gateway.process), signal.SIGTERM)
    assert gateway.process.wait(PATIENCE) == 0, gateway.stderr.text()
    return strace.calls(trace.read_text(errors="replace")), len(answered), data_dir


def write(gateway, rounds, answered):
    kms = Direct(gateway)
    for _ in range(rounds):
        key_id = kms.call("CreateKey")["KeyMetadata"]["KeyId"]
        answered.append(kms.request_id)
        kms.call("DisableKey", KeyId=key_id)
        answered.append(kms.request_id)
    kms.close()


def test_no_change_is_answered_before_its_commit_is_on_disk(traced):
    calls, answered, data_dir = traced
    answers = [call for call in calls if is_answer(call)]
    assert len(answers) == answered >= CLIENTS * ROUNDS * 2
    log = f"{data_dir}/keys.sqlite-wal"
    assert not answered_early(calls, log)
    # The file says that it has a write-ahead log (https://www.sqlite.org/fileformat.html#file_format_version_numbers).
    assert (data_dir / "keys.sqlite").read_bytes()[18:20] == b"\2\2"

    # It would be noticed if the log were not synced, or were only after the answers.
    unsynced = [call for call in calls if not is_sync(call, log)]
    late = [replace(call, ends=call.ends + len(calls)) if is_sync(call, log) else call for call in calls]
    assert answered_early(unsynced, log) == answered_early(late, log) == answers


def test_the_write_ahead_log_is_begun_anew_only_when_the_file_it_was_carried_into_is_on_disk(traced):
    calls, _, data_dir = traced
    file, log = f"{data_dir}/keys.sqlite", f"{data_dir}/keys.sqlite-wal"
    begun_anew, unsynced, synced_log = 0, None, True
    for call in calls:
        if is_write(call, log):
            if call.offset == "0":
                begun_anew += 1
                assert unsynced is None, f"{call} after {unsynced}"
            synced_log = False
        elif is_write(call, file):
            assert synced_log, f"{call} while its log is not on disk"
            unsynced = call
        elif is_sync(call, file):
            unsynced = None
        elif is_sync(call, log):
            synced_log = True
    assert begun_anew >= 2, "at the first change, and after the log was carried over"


def answered_early(calls, log):
    """The answers between which and their request no commit, from its first frame to its sync, was made."""
    early, asked, commits, first = [], {}, [], None
    for call in calls:
        # What is written at offset 0 is the log's header.
        if is_write(call, log) and call.offset != "0":
            first = first or call
        elif is_sync(call, log) and first:
            commits.append((first.begins, call.ends))
            first = None
        elif call.data.startswith("POST /"):
            asked[call.of] = call
        elif is_answer(call):
            request = asked.pop(call.of)
            if not any(request.ends < begins and ends < call.begins for begins, ends in commits):
                early.append(call)
    return early


def is_answer(call):
    return call.of.startswith("TCP") and call.data.startswith(ANSWER)


def is_write(call, file):
    return call.of == file and call.name in ("write", "writev", "pwrite64", "pwritev")


def is_sync(call, file):
    return call.of == file and call.name in ("fsync", "fdatasync")
