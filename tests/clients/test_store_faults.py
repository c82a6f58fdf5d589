"""A store that cannot be written, is locked, or is not what it was: changes are refused, or the start is, and what is
served is what was stored."""

import os
import resource
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing

import pytest
import strace
from direct import Direct, Refused, random_of_this_run
from gateway import NotStarted
from model import strangers
from store import Store, kill

FLIPS = 200
CUTS = 40
# Without the capabilities by which root may write where a file's mode does not let it.
OBEYING_MODES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def random():
    return random_of_this_run()


@pytest.fixture
def store(tmp_path, random):
    """A store that a gateway has closed: its changes are in the one file."""
    store = Store(tmp_path, random)
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 15)
    kms.close()
    gateway.stop()
    assert not store.log.exists()
    return store


@pytest.fixture
def crashed(store):
    """The same, with as many changes again in the write-ahead log, as a kill leaves it."""
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 15)
    kms.close()
    kill(gateway)
    assert store.log.stat().st_size > 0
    return store


@pytest.fixture
def as_owner():
    """What makes a program obey the modes of its own files, also as root."""
    if os.geteuid() != 0:
        return []
    probe = subprocess.run([*OBEYING_MODES, "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"root cannot give up its capabilities here: {probe.stderr.strip()}")
    return OBEYING_MODES


@pytest.mark.parametrize("read_only", [["data/keys.sqlite"], ["data"], ["data/keys.sqlite", "data"]])
def test_a_store_that_may_not_be_written_is_refused_at_start(store, as_owner, read_only):
    paths = [store.directory / name for name in read_only]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & 0o555)
    try:
        store.refuses_to_start("see that the file and its directory can be written", under=as_owner)
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)
    starts_as_answered(store)


@pytest.mark.parametrize(
    "calls, error", [("pwrite64", "EROFS"), ("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fsync,fdatasync", "EIO")]
)
def test_changes_are_refused_while_the_disk_refuses_them_and_everything_else_goes_on(store, calls, error):
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 3)
    with strace.failing(gateway.process.pid, calls, error, store.log):
        store.assert_refused(kms)
        store.assert_as_answered(gateway)
    store.assert_as_answered(gateway)
    store.change(kms, 10)
    store.assert_as_answered(gateway)
    kms.close()
    kill(gateway)
    starts_as_answered(store)


def test_a_change_that_could_not_be_synced_is_there_whole_or_not_at_all_after_a_kill(store):
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 3)
    with strace.failing(gateway.process.pid, "fsync,fdatasync", "EIO", store.log):
        with pytest.raises(Refused):
            store.client.change(kms)
    kms.close()
    kill(gateway)
    gateway = store.start()
    kms = Direct(gateway)
    store.client.settle(kms, strangers(kms, {gateway.key_id, *store.client.keys}))
    kms.close()
    store.assert_as_answered(gateway)
    gateway.stop()


def test_a_store_that_cannot_grow_takes_changes_again_once_it_can(store):
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 40)
    limit = store.log.stat().st_size
    # So that it is the store alone that is full.
    assert gateway.audit_file.stat().st_size < limit / 2
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    store.assert_refused(kms)
    store.assert_as_answered(gateway)
    for key_id, view in store.client.keys.items():
        if view["KeyState"] == "Enabled":
            kms.call("GenerateDataKeyWithoutPlaintext", KeyId=key_id, KeySpec="AES_256")
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.change(kms, 10)
    store.assert_as_answered(gateway)
    kms.close()
    kill(gateway)
    starts_as_answered(store)


@pytest.mark.parametrize("statements", [["BEGIN", "SELECT * FROM sqlite_schema"], ["BEGIN IMMEDIATE"]])
def test_a_store_that_another_program_has_locked_is_refused_until_it_lets_go(store, statements):
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement).fetchall()
        # Its files are not read meanwhile: that would take this process's lock away.
        with pytest.raises(AssertionError, match="keys.sqlite: is in use by another process\n.*hint: "):
            store.start()
    starts_as_answered(store)


def test_a_store_that_is_served_is_locked_to_other_programs(store):
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 3)
    with closing(sqlite3.connect(store.file, timeout=0)) as other:
        for statement in ["SELECT count(*) FROM sqlite_schema", "DROP TABLE header", "PRAGMA wal_checkpoint"]:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute(statement)
    store.change(kms, 3)
    kms.close()
    kill(gateway)
    starts_as_answered(store)


@pytest.mark.parametrize(
    "version, says", [(99, "has format 99"), (2**31 - 1, "has format 2147483647"), (0, "hint: "), (-1, "hint: ")]
)
def test_a_store_of_a_newer_or_an_unknown_format_is_refused(store, version, says):
    own = set_user_version(store, version)
    store.refuses_to_start(says)
    set_user_version(store, own)
    starts_as_answered(store)


def set_user_version(store, version):
    with closing(sqlite3.connect(store.file)) as database:
        [old] = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version}")
    return old


def test_a_flipped_bit_of_the_file_is_refused_or_changes_nothing(store, random):
    outcomes = Counter()
    for flip in flips(store.file, random):
        damaged = store.copy("damaged")
        damaged.file.write_bytes(flip(store.file))
        outcomes[refused_or_as_answered_and_written_on(damaged, flip)] += 1
    print(outcomes)
    assert outcomes["refused"] > 0 and outcomes["whole"] > 0


def test_a_file_cut_short_is_refused(store, random):
    size = store.file.stat().st_size
    for length in [0, size - 1, *random.sample(range(size), CUTS)]:
        damaged = store.copy("damaged")
        os.truncate(damaged.file, length)
        damaged.refuses_to_start()


def test_damage_to_the_file_under_a_write_ahead_log_is_refused_or_changes_nothing(crashed, random):
    for flip in flips(crashed.file, random, FLIPS // 4):
        damaged = crashed.copy("damaged")
        damaged.file.write_bytes(flip(crashed.file))
        refused_or_as_answered_and_written_on(damaged, flip)
    size = crashed.file.stat().st_size
    for length in [2, size - 1, *random.sample(range(2, size), CUTS // 4)]:
        damaged = crashed.copy("damaged")
        os.truncate(damaged.file, length)
        refused_or_as_answered_and_written_on(damaged, f"cut to {length}")


def test_a_damaged_write_ahead_log_is_refused_or_changes_nothing(crashed, random):
    """SQLite takes a frame whose checksum is wrong, and all frames behind it, for a write that was never finished; the
    mark beside the store says that it was."""
    outcomes = Counter()
    for what, bytes_ in damaged_logs(crashed, random):
        damaged = crashed.copy("damaged")
        damaged.log.write_bytes(bytes_)
        outcomes[refused_or_as_answered_and_written_on(damaged, what)] += 1
    print(outcomes)
    assert outcomes["refused"] > 0


def test_a_damaged_log_without_its_mark_leaves_the_state_after_one_of_the_changes(crashed, random):
    """What is served then is an earlier state, and that whole: no key is another, and no change is there in half."""
    outcomes = Counter()
    for what, bytes_ in damaged_logs(crashed, random):
        damaged = crashed.copy("damaged")
        damaged.log.write_bytes(bytes_)
        damaged.mark.unlink()
        gateway = damaged.starts()
        if gateway is None:
            outcomes["refused"] += 1
            continue
        served = damaged.served(gateway)
        assert served in damaged.states, what
        outcomes["whole" if served == damaged.answered else "earlier"] += 1
        kill(gateway)
    print(outcomes)


# A file of one byte is empty for SQLite, too.
@pytest.mark.parametrize("length", [0, 1])
def test_an_empty_file_is_refused_and_its_write_ahead_log_is_left(crashed, length):
    os.truncate(crashed.file, length)
    crashed.refuses_to_start()


def test_a_file_that_says_it_may_only_be_read_is_refused(store):
    # Byte 18 is the version that may write: with one that is not known, SQLite reads the file alone.
    store.file.write_bytes(Flip(18, 2)(store.file))
    store.refuses_to_start()


def test_a_store_set_back_is_refused_until_its_mark_is_removed(store, random):
    earlier = store.copy("earlier")
    gateway = store.start()
    kms = Direct(gateway)
    store.change(kms, 3)
    kms.close()
    gateway.stop()
    store.file.write_bytes(earlier.file.read_bytes())
    store.refuses_to_start("changes are lost", f"remove {store.mark}")
    store.mark.unlink()
    # The newest checkpoint of the audit trail knows better, too.
    with pytest.raises(NotStarted, match="was set back: put back the newer store, or move the audit file"):
        store.start()
    (store.data_dir / "audit.jsonl").rename(store.data_dir / "before.jsonl")
    gateway = store.start()
    earlier.assert_as_answered(gateway)
    gateway.stop()


def starts_as_answered(store):
    gateway = store.start()
    store.assert_as_answered(gateway)
    gateway.stop()


class Flip:
    """One bit of a file."""

    def __init__(self, offset, bit):
        self.offset, self.bit = offset, bit

    def __repr__(self):
        return f"bit {self.bit} of byte {self.offset}"

    def __call__(self, file):
        """The file's bytes with this bit the other way round."""
        flipped = bytearray(file.read_bytes())
        flipped[self.offset] ^= 1 << self.bit
        return flipped


def flips(file, random, count=FLIPS):
    size = file.stat().st_size
    return [Flip(random.randrange(size), random.randrange(8)) for _ in range(count)]


def damaged_logs(store, random):
    """What was done to the log, and the bytes that are left."""
    whole = store.log.read_bytes()
    for flip in flips(store.log, random):
        yield flip, flip(store.log)
    for length in [0, len(whole) - 1, *random.sample(range(len(whole)), CUTS)]:
        yield f"cut to {length}", whole[:length]


def refused_or_as_answered_and_written_on(store, damage):
    """What is served is whole, also after the changes that come next, and another start."""
    gateway = store.starts()
    if gateway is None:
        return "refused"
    assert store.served(gateway) == store.answered, damage
    kms = Direct(gateway)
    store.change(kms, 5)
    kms.close()
    kill(gateway)
    gateway = store.start()
    assert store.served(gateway) == store.answered, damage
    kill(gateway)
    return "whole"
