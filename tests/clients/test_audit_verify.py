"""`kmsgate audit verify` against trails that somebody has laid hands on; they are made in `audit_chain.py`."""

import base64
import gzip
import itertools
import json
import random
import resource
import shutil
import subprocess

import pytest
from audit_chain import Signer, Trail, joined, rechained, renumbered, sha256
from gateway import PATIENCE, PROGRAM

MIB = 1024 * 1024


def verify(*arguments, key=None, stdin=b"", limit=None):
    """The exit code, and what `--json` prints, or what was said on standard error."""
    keys = ["--public-key", key or Signer().public]
    command = [PROGRAM, "audit", "verify", "--json", *keys, *map(str, arguments)]
    bounded = (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) if limit else None
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=10 * PATIENCE, preexec_fn=bounded)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr.decode()


@pytest.fixture
def judged(tmp_path):
    """Writes lines, or content, into one file each and verifies them."""
    numbers = itertools.count()

    def judged(*contents, more=(), **named):
        files = []
        for content in contents:
            files.append(tmp_path / f"{next(numbers)}.jsonl")
            files[-1].write_bytes(content if isinstance(content, bytes) else joined(content))
        return verify(*files, *more, **named)

    return judged


def faults(answer):
    """The line and the number of each fault."""
    code, told = answer
    assert (code, told["ok"]) == (1, False), told
    return [(fault["line"], fault["sequence"]) for fault in told["faults"]]


def notes(answer):
    code, told = answer
    assert (code, told["ok"], told["faults"]) == (0, True, [])
    return {note["kind"]: note["first"]["line"] for note in told["notes"]}


def test_a_trail_as_it_was_written_is_told_with_what_was_shown(judged):
    trail = Trail().usual()
    trail.request()
    trail.request()
    code, told = judged(trail.lines)
    assert code == 0
    newest = {"sequence": 13, "time": "2026-11-23T18:22:50Z", "hash": sha256(trail.lines[12])}
    assert told == {
        "ok": True,
        "files": 1,
        "lines": 15,
        "bytes": len(joined(trail.lines)),
        "chains": [
            {
                "id": trail.chain,
                "first": 1,
                "last": 15,
                "checkpoints": 4,
                "newestCheckpoint": newest,
                "unsignedLines": 2,
            }
        ],
        "faults": [],
        "moreFaults": 0,
        "notes": [],
    }


def test_the_page_for_people_says_the_same(tmp_path):
    trail, file = Trail().usual(), tmp_path / "audit.jsonl"
    file.write_bytes(joined(trail.lines))
    command = [PROGRAM, "audit", "verify", file, "--public-key", trail.signer.public]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ["ok: 13 lines", "in 1 file", "1 to 13", trail.chain, sha256(trail.lines[-1]), "0 lines"]:
        assert part in done.stdout
    trail.lines[5] = trail.lines[5].replace(b"Decrypt", b"Encrypt")
    file.write_bytes(joined(trail.lines))
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, text=True)
    assert done.returncode == 1
    place = f"fault: {file}: line 6 (byte {len(joined(trail.lines[:5]))}, sequence 6): "
    assert done.stdout.startswith(place)
    assert "NOT as it was written" in done.stdout


def test_openssl_reads_the_same_signature(tmp_path):
    """The text that is signed, by an implementation that is neither ours nor Python's."""
    trail = Trail().usual(1, 1)
    line = trail.lines[-1]
    unsigned, _, rest = line.partition(b',"signature":"')
    (tmp_path / "text").write_bytes(b"kmsgate audit checkpoint v1\n" + unsigned)
    (tmp_path / "signature").write_bytes(base64.b64decode(rest[:88]))
    (tmp_path / "key.pem").write_bytes(trail.signer.pem())
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "key.pem", "-rawin"]
    check += ["-in", tmp_path / "text", "-sigfile", tmp_path / "signature"]
    assert subprocess.run(check, capture_output=True, timeout=PATIENCE).returncode == 0
    (tmp_path / "audit.jsonl").write_bytes(joined(trail.lines))
    assert verify(tmp_path / "audit.jsonl", key=str(tmp_path / "key.pem"))[0] == 0


def test_every_byte_that_is_changed_is_found_at_its_line(tmp_path):
    """Each byte of a trail in turn, by one bit, and to a line feed, a quotation mark and a digit."""
    content = joined(Trail().usual(2, 2).lines)
    file = tmp_path / "audit.jsonl"
    rng = random.Random(8)
    line, missed = 1, []
    for position, byte in enumerate(content):
        changed = rng.choice([byte ^ (1 << rng.randrange(8)), ord("\n"), ord('"'), ord("7")])
        if changed == byte:
            changed ^= 1
        file.write_bytes(content[:position] + bytes([changed]) + content[position + 1 :])
        code, told = verify(file)
        # A line feed belongs to neither line: without it two lines are one.
        first = told["faults"][0]["line"] if told["faults"] else None
        if code != 1 or first != line:
            missed.append((position, line, chr(byte), chr(changed), told))
        line += byte == ord("\n")
    assert missed == []


@pytest.mark.parametrize("index", range(13))
def test_a_line_that_is_removed_is_missing_in_front_of_the_next(judged, index):
    lines = Trail().usual().lines
    last = index == 12
    answer = judged(lines[:index] + lines[index + 1 :])
    if last:
        # Nothing in what is left shows it: that is what `--expect-checkpoint` is for.
        assert answer[1]["ok"] and answer[1]["chains"][0]["newestCheckpoint"]["sequence"] == 9
    elif index == 0:
        # So is the beginning.
        assert notes(answer) == {"beginsLater": 1}
    else:
        assert faults(answer) == [(index + 1, index + 2)]


@pytest.mark.parametrize("index", range(13))
def test_a_line_that_is_twice_there_is_found_where_it_should_not_be(judged, index):
    lines = Trail().usual().lines
    for place in [index + 1, 6, 13]:
        if place > index:
            assert faults(judged(lines[:place] + [lines[index]] + lines[place:])) == [(place + 1, index + 1)]


@pytest.mark.parametrize("index", range(12))
def test_lines_that_changed_places_are_found(judged, index):
    lines = Trail().usual().lines
    lines[index], lines[index + 1] = lines[index + 1], lines[index]
    code, told = judged(lines)
    assert code == 1
    assert told["faults"][0]["line"] == index + 1


def test_a_line_that_was_put_in_is_found(judged):
    lines = Trail().usual().lines
    forged = lines[5].replace(b"app-0", b"evil-")
    for line in [forged, b"", b"{}", b"\0" * 100, rechained([lines[4], forged], 1)[1]]:
        found = faults(judged(lines[:5] + [line] + lines[5:]))
        assert 6 in [line for line, _ in found]


def test_a_change_that_is_chained_anew_is_found_at_the_next_checkpoint(judged):
    lines = Trail().usual().lines
    lines[5] = lines[5].replace(b"app-0", b"app-9")
    # Checkpoints are lines 1, 5, 9 and 13.
    assert faults(judged(rechained(lines, 6)))[0] == (9, 9)
    # One who leaves the checkpoint alone is found one line before.
    stopped = rechained(lines[:8], 6) + lines[8:]
    assert faults(judged(stopped)) == [(8, 8)]
    removed = renumbered(lines[:5] + lines[6:])
    assert faults(judged(removed))[0] == (8, 8)


def test_a_chain_without_its_checkpoints_is_not_signed(judged):
    code, told = judged(Trail().usual().lines[5:8])
    assert code == 1
    assert [fault["what"] for fault in told["faults"]] == [
        "no line of the chain is signed: there is no checkpoint in what was given"
    ]


def test_an_end_that_was_cut_off_is_found_by_whoever_kept_a_checkpoint(judged, tmp_path):
    lines = Trail().usual().lines
    kept = sha256(lines[12])
    file = tmp_path / "kept.jsonl"
    file.write_bytes(joined([lines[8], lines[12]]))
    for cut in [lines[:12], lines[:9], joined(lines)[:-100]]:
        assert judged(cut)[0] == 0
        for expected in [kept, file]:
            code, told = judged(cut, more=["--expect-checkpoint", expected])
            assert code == 1
            [fault] = told["faults"]
            assert kept in fault["what"] and "cut off" in fault["what"]
    for expected in [kept, file]:
        assert judged(lines, more=["--expect-checkpoint", expected])[0] == 0
    # A sink that receives all lines will do, and so will its last line without an end.
    file.write_bytes(joined(lines)[:-1])
    assert judged(lines, more=["--expect-checkpoint", file])[0] == 0
    assert judged(lines[4:], more=["--expect-checkpoint", file])[0] == 1


def test_one_who_has_the_key_too_is_found_by_whoever_kept_a_checkpoint(judged):
    lines, forged = Trail().usual().lines, Trail()
    forged.usual(2)
    forged.request(user="evil")
    forged.checkpoint()
    forged.request()
    assert judged(forged.lines)[0] == 0
    code, told = judged(forged.lines, more=["--expect-checkpoint", sha256(lines[12])])
    assert code == 1 and sha256(lines[12]) in told["faults"][0]["what"]


def test_a_checkpoint_signed_with_another_key_is_a_fault(judged, tmp_path):
    trail = Trail().usual()
    other = Signer(2)
    # With its own key named, and with the right one named over its signature.
    for named in [other, trail.signer]:
        forged = Trail()
        forged.usual(1)
        forged.signer = other
        forged.checkpoint(publicKey=named.public)
        forged.signer = trail.signer
        forged.checkpoint()
        assert faults(judged(forged.lines))[0] == (6, 6)
    # Keys change.
    changed = Trail()
    changed.usual(1)
    changed.signer = other
    changed.checkpoint("start")
    assert judged(changed.lines, more=["--public-key", other.public])[0] == 0
    file = tmp_path / "keys"
    file.write_text(f"{trail.signer.public}\n{other.public}\n")
    assert judged(changed.lines, key=str(file))[0] == 0
    file.write_bytes(trail.signer.pem() + other.pem())
    assert judged(changed.lines, key=str(file))[0] == 0


def test_a_checkpoint_that_names_another_before_it_is_a_fault(judged):
    for previous in [None, {"sequence": 4, "hash": "0" * 64}, {"sequence": 5, "hash": "0" * 64}]:
        trail = Trail()
        trail.usual(1)
        trail.checkpoint(previous=previous)
        trail.checkpoint()
        assert faults(judged(trail.lines)) == [(6, 6)]
    trail = Trail()
    trail.usual(1)
    trail.checkpoint(chain="another")
    assert faults(judged(trail.lines)) == [(6, 6)]
    trail = Trail()
    trail.request()
    trail.checkpoint()
    # A chain begins with a checkpoint.
    assert faults(judged(trail.lines)) == [(1, 1), (2, 2)]


def test_what_carries_a_signature_is_a_checkpoint_and_the_other_way_round(judged):
    lines = Trail().usual(1).lines
    unsigned, _, _ = lines[4].partition(b',"signature"')
    assert faults(judged(lines[:4] + [unsigned + b"}}}"])) == [(5, 5)]
    signature = lines[4][len(unsigned) : -3]
    assert faults(judged(lines[:3] + [lines[3][:-3] + signature + b"}}}"] + lines[4:]))[0] == (4, 4)


def test_what_a_client_sends_is_not_taken_for_the_chain(judged):
    trail = Trail()
    trail.checkpoint("start")
    hostile = '"sequence":99,"previousHash":"' + "0" * 64 + '"}}}'
    parameters = {"sequence": 9, "previousHash": "x", "signature": "x", "gateway": {"checkpoint": {}}}
    trail.request(requestParameters=parameters | {"keyId": hostile}, userAgent=hostile + "\n" + hostile)
    trail.request(userIdentity={"type": "Unknown", "accessKeyId": ',"eventTime":"x","eventName":"AuditCheckpoint"'})
    trail.request(gateway={"detail": hostile})
    trail.checkpoint()
    assert notes(judged(trail.lines)) == {}


def test_files_are_put_in_order_and_may_be_compressed(judged):
    lines = Trail().usual().lines
    parts = [joined(lines[:2]), joined(lines[2:7]), joined(lines[7:12]), joined(lines[12:])]
    packed = [gzip.compress(part) for part in parts]
    # Two members of gzip are one content.
    packed[1] = gzip.compress(parts[1][:1000]) + gzip.compress(parts[1][1000:])
    for order in itertools.permutations(range(4)):
        contents = [(packed if index % 2 else parts)[index] for index in order]
        code, told = judged(*contents)
        assert (code, told["files"], told["lines"], told["chains"][0]["last"]) == (0, 4, 13, 13)


def test_a_file_that_is_not_there_is_missed_and_what_remains_is_verified(judged):
    lines = Trail().usual().lines
    answer = judged(lines[10:], lines[:5])
    assert faults(answer) == [(1, 11)]
    assert "lines 6 to 10" in answer[1]["faults"][0]["what"]
    # What is missing at the front is not known.
    assert notes(judged(lines[6:])) == {"beginsLater": 1}
    lines[11] = lines[11].replace(b"Decrypt", b"Encrypt")
    assert faults(judged(lines[10:], lines[:5])) == [(1, 11), (2, 12)]


def test_a_change_is_found_in_its_file(judged, tmp_path):
    lines = Trail().usual().lines
    content = joined(lines)
    offsets = [len(joined(lines[:index])) for index in range(13)]
    # The ends of files are where it is hardest.
    for index in [4, 5, 6, 8, 9]:
        changed = list(lines)
        changed[index] = changed[index].replace(b"kms", b"KMS", 1)
        code, told = judged(changed[9:], changed[:5], changed[5:9])
        start = 0 if index < 5 else 5 if index < 9 else 9
        assert code == 1
        fault = told["faults"][0]
        place = (fault["line"], fault["sequence"], fault["offset"])
        assert place == (index - start + 1, index + 1, offsets[index] - offsets[start])
    assert len(content) == offsets[12] + len(lines[12]) + 1


def test_a_restart_goes_on_with_the_chain_and_a_new_chain_is_told_apart(judged):
    trail = Trail()
    trail.usual(1)
    trail.pass_time(3600)
    trail.checkpoint("start")
    trail.request()
    trail.checkpoint("stop")
    assert notes(judged(trail.lines)) == {}
    # Standard output cannot be gone on from: each start begins a chain.
    other = Trail(chain="other").usual(1)
    answer = judged(trail.lines + other.lines)
    assert notes(answer) == {"anotherChain": 9}
    assert [(chain["id"], chain["first"], chain["last"]) for chain in answer[1]["chains"]] == [
        (trail.chain, 1, 8),
        ("other", 1, 5),
    ]
    # Files of two chains, mixed.
    answer = judged(trail.lines[4:], other.lines[2:], trail.lines[:4], other.lines[:2])
    assert [(chain["first"], chain["last"]) for chain in answer[1]["chains"]] in ([(1, 8), (1, 5)], [(1, 5), (1, 8)])
    assert answer[0] == 0
    # The same chain cannot begin twice.
    assert faults(judged(trail.lines + trail.lines[:1])) == [(9, 1)]


def test_what_is_odd_and_no_fault_is_noted(judged):
    trail = Trail(store={"id": "0" * 32, "revision": 7})
    trail.usual(1)
    trail.pass_time(13)
    trail.checkpoint()
    trail.pass_time(70)
    trail.request()
    trail.pass_time(-70)
    trail.request()
    trail.event("AuditLineRepaired", {"repaired": {"bytes": 3, "text": "AAAA"}})
    trail.store = {"id": "0" * 32, "revision": 6}
    trail.pass_time(-5)
    trail.checkpoint()
    trail.pass_time(13)
    trail.request()
    content = joined(trail.lines)
    assert notes(judged(content)) == {
        "lateCheckpoint": 6,
        "timeWentBack": 8,
        "repaired": 9,
        "storeWentBack": 10,
        "clockWentBack": 10,
    }
    assert "lateCheckpoint" not in notes(judged(content, more=["--interval", "30"]))


def test_a_file_that_is_being_written_may_end_within_a_line(judged):
    lines = Trail().usual().lines
    content = joined(lines)
    for cut in range(1, len(lines[-1]) + 1):
        answer = judged(content[:-cut])
        assert notes(answer) == {"endsWithinLine": 13}
    # What is done with is not being written.
    assert faults(judged(gzip.compress(content[:-20])))[0][0] == 13
    for cut in [1, 9, len(lines[4])]:
        assert faults(judged(joined(lines[:5])[:-cut], lines[5:]))[0] == (5, None)


def test_what_is_no_trail_is_a_fault_and_no_crash(judged, tmp_path):
    lines = Trail().usual().lines
    rng = random.Random(5)
    garbage = [
        rng.randbytes(100_000),
        b"\0" * 100_000,
        b"\n" * 1000,
        b"}}}\n" * 1000,
        b"[" * 100_000,
        b'{"a":' * 1000,
        b'{"eventVersion":"1.11"}',
        b"\xff\xfe\n",
        gzip.compress(b"nothing\n"),
        b"\x1f\x8b",
    ]
    for content in garbage:
        code, told = judged(content)
        assert (code, told["ok"]) == (1, False)
        assert len(told["faults"]) + told["moreFaults"] >= 1
        assert judged(lines, content)[0] == 1
    assert judged(b"")[1]["faults"][0]["what"] == "there is no line in what was given"
    assert notes(judged(lines, b"")) == {"emptyFile": 1}


def test_a_compressed_file_that_is_cut_off_or_damaged_says_so(judged):
    packed = gzip.compress(joined(Trail().usual().lines))
    for cut in [4, 8, 9, 12, 500]:
        code, told = judged(packed[:-cut])
        assert code == 1 and "gzip ends too early" in told["faults"][-1]["what"], cut
    damaged = packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]
    assert "damaged" in judged(damaged)[1]["faults"][-1]["what"]
    assert "damaged" in judged(packed + b"more than the ten bytes of a header")[1]["faults"][-1]["what"]


def test_a_line_without_measure_is_a_fault_and_takes_no_memory(judged, tmp_path):
    lines = Trail().usual().lines
    # Address space is more than memory: the program itself has some.
    bomb = gzip.compress(b" " * (200 * MIB), 1)
    code, told = judged(joined(lines[:2]) + b"x" * (200 * MIB) + b"\n" + joined(lines[2:]), limit=160 * MIB)
    assert (code, [fault["line"] for fault in told["faults"]]) == (1, [3])
    assert told["lines"] == 14
    assert judged(bomb, limit=160 * MIB)[0] == 1


def test_standard_input_and_pipes_are_read_too(tmp_path):
    lines = Trail().usual().lines
    content = joined(lines)
    for stdin in [content, gzip.compress(content)]:
        assert verify("-", stdin=stdin)[0] == 0
    (tmp_path / "rest").write_bytes(joined(lines[5:]))
    code, told = verify("-", tmp_path / "rest", stdin=joined(lines[:5]))
    assert (code, told["lines"]) == (0, 13)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(content))
    script = '"$0" audit verify <(gzip -dc "$1") --public-key "$2"'
    arguments = [PROGRAM, tmp_path / "packed.gz", Signer().public]
    assert subprocess.run([shutil.which("bash"), "-c", script, *arguments], capture_output=True).returncode == 0


def test_what_cannot_be_read_or_is_no_key_ends_with_64(judged, tmp_path):
    lines = Trail().usual().lines
    for files in [[tmp_path / "none"], [tmp_path], []]:
        assert verify(*files)[0] == 64
    for key in ["x", str(tmp_path / "none"), str(tmp_path), Signer().public[:-4]]:
        code, said = judged(lines, key=key)
        assert code == 64 and "--public-key" in said
    wrong = tmp_path / "wrong"
    for content in [b"", b"x\n", joined(lines[1:3])]:
        wrong.write_bytes(content)
        code, said = judged(lines, more=["--expect-checkpoint", wrong])
        assert code == 64 and "--expect-checkpoint" in said
    assert judged(lines, more=["--expect-checkpoint", "0" * 63])[0] == 64
