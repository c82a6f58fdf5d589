"""The trail that the real program keeps, checked by itself and without any of its code."""

import base64
import json
import signal
import subprocess
import threading
from dataclasses import replace
from select import PIPE_BUF

import pytest
import strace
from audit_chain import ZERO, sha256
from botocore.exceptions import ClientError
from collector import ACCEPT, Collector, Reply
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from direct import Direct
from gateway import PATIENCE, PROGRAM, Gateway
from in_front import wait_for
from test_trace import answered_early, is_answer, is_sync

ROTATED_BYTES = 65_536


def ask(gateway, times=1):
    kms = gateway.client()
    for _ in range(times):
        kms.generate_random(NumberOfBytes=8)
    kms.close()


def serve(directory, audit, **run):
    gateway = Gateway.serve(directory, ["app"], audit=audit, **run)
    gateway.key = gateway.keys["app"]
    return gateway


def again(gateway, directory):
    """Another run on the files of one that has ended."""
    command = ["--log", "info", "serve", "--config", directory / "kmsgate.toml"]
    started = Gateway(command, gateway.audit_file)
    ready = json.loads(started.stderr.wait_for(lambda line: line if b'"message":"ready"' in line else None))
    started.endpoint, started.key = "http://" + ready["gateway"], gateway.key
    return started


def audit(*arguments):
    done = subprocess.run([PROGRAM, "audit", *arguments], capture_output=True, timeout=PATIENCE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def public_key(directory, tmp_path):
    code, pem, said = audit("public-key", "--config", directory / "kmsgate.toml")
    assert code == 0, said
    (tmp_path / "audit.pub").write_text(pem)
    return tmp_path / "audit.pub"


def verified(*arguments):
    code, said, _ = audit("verify", "--json", *arguments)
    return code, json.loads(said)


def checked(text):
    """The chain's lines, each found to be bound to the one before and each checkpoint to be signed: by hashlib and
    cryptography alone."""
    before, sequence, records, checkpoints = ZERO, 0, [], 0
    for line in text.splitlines():
        record = json.loads(line)
        gateway = record["additionalEventData"]["gateway"]
        sequence += 1
        assert (gateway["sequence"], gateway["previousHash"]) == (sequence, before)
        if "signature" in gateway:
            checkpoints += 1
            signed, signature = line.rsplit(b',"signature":"', 1)
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(gateway["checkpoint"]["publicKey"]))
            key.verify(base64.b64decode(signature.removesuffix(b'"}}}')), b"kmsgate audit checkpoint v1\n" + signed)
        before = sha256(line)
        records.append(record)
    assert checkpoints
    return records


@pytest.mark.parametrize("durability", ["queued", "written", "synced"])
def test_a_trail_of_several_runs_and_a_kill_is_one_chain(tmp_path, durability):
    gateway = serve(tmp_path, f'file = "audit.jsonl"\ndurability = "{durability}"')
    ask(gateway, 5)
    gateway.stop()
    gateway = again(gateway, tmp_path)
    ask(gateway, 5)
    gateway.kill()
    # A line that the kill has torn.
    with gateway.audit_file.open("ab") as file:
        file.write(b'{"eventVersion":"1.11","userIde')
    gateway = again(gateway, tmp_path)
    ask(gateway, 5)
    gateway.stop()
    text = gateway.audit_file.read_bytes()
    names = [record["eventName"] for record in checked(text)]
    # In "queued" a record may be lost with the process, and nothing else.
    assert names.count("GenerateRandom") == 15 or durability == "queued" and names.count("GenerateRandom") >= 10
    assert names.count("AuditLineRepaired") == 1

    key = public_key(tmp_path, tmp_path)
    code, told = verified(gateway.audit_file, "--public-key", key)
    assert (code, told["lines"], told["faults"]) == (0, len(names), []), told
    assert told["chains"][0]["unsignedLines"] == 0
    changed = text.replace(b'"GenerateRandom"', b'"GenerateRandum"', 1)
    gateway.audit_file.write_bytes(changed)
    code, told = verified(gateway.audit_file, "--public-key", key)
    assert code == 1 and told["faults"], told


def test_a_cut_tail_is_found_by_a_checkpoint_that_standard_output_had(tmp_path):
    gateway = serve(tmp_path, 'file = "audit.jsonl"\nstdout = "checkpoints"')
    ask(gateway, 3)
    gateway.stop()
    kept = tmp_path / "kept.jsonl"
    kept.write_bytes(gateway.stdout.text())
    checkpoints = kept.read_bytes().splitlines()
    text = gateway.audit_file.read_bytes()
    assert [json.loads(line)["eventName"] for line in checkpoints] == ["AuditCheckpoint"] * 2
    assert all(line in text.splitlines() for line in checkpoints)
    key = public_key(tmp_path, tmp_path)
    expected = ["--public-key", key, "--expect-checkpoint", kept]
    assert verified(gateway.audit_file, *expected)[0] == 0
    gateway.audit_file.write_bytes(b"".join(text.splitlines(keepends=True)[:-2]))
    assert verified(gateway.audit_file, "--public-key", key)[0] == 0
    assert verified(gateway.audit_file, *expected)[0] == 1


def test_files_that_were_rotated_and_compressed_are_one_chain(tmp_path):
    gateway = serve(tmp_path, f'file = "audit.jsonl"\nrotation = {{ bytes = {ROTATED_BYTES} }}')
    rotated = lambda: sorted(tmp_path.glob("audit-*.jsonl.gz"))
    follow = subprocess.Popen(
        [PROGRAM, "audit", "tail", gateway.audit_file, "--follow", "--json", "-n", "0", "--operation", "GenerateRandom"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown = []
    reader = threading.Thread(target=lambda: shown.extend(follow.stdout), daemon=True)
    reader.start()
    # Until it follows.
    while not shown:
        ask(gateway)
    while len(rotated()) < 2:
        ask(gateway, 50)
    gateway.stop()
    key = public_key(tmp_path, tmp_path)
    code, told = verified(*rotated(), *tmp_path.glob("audit*.jsonl"), "--public-key", key)
    assert (code, told["faults"], len(told["chains"])) == (0, [], 1), told
    numbers = [json.loads(line)["additionalEventData"]["gateway"]["sequence"] for line in shown]
    wait_for(lambda: len(shown) > len(numbers) or shown)
    count = sum(1 for record in gateway.records() if record["eventName"] == "GenerateRandom")
    wait_for(lambda: len([line for line in shown]) >= count)
    follow.send_signal(signal.SIGINT)
    follow.wait(PATIENCE)
    reader.join(PATIENCE)
    numbers = [json.loads(line)["additionalEventData"]["gateway"]["sequence"] for line in shown]
    assert numbers == sorted(set(numbers))


def test_a_collector_gets_every_line_and_can_be_what_answers_wait_for(tmp_path):
    collector = Collector()
    gateway = serve(tmp_path, f'otlp.endpoint = "{collector.endpoint}"')
    gateway.audit_file = tmp_path / "none.jsonl"
    gateway.audit_file.touch()
    ask(gateway, 3)
    assert sum("GenerateRandom" in line for line in collector.lines()) == 3
    collector.script(lambda _: Reply(503))
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        ask(gateway)
    assert "503" in gateway.unready()
    collector.script(lambda _: ACCEPT)
    wait_for(lambda: not gateway.unready())
    ask(gateway)
    gateway.stop()
    records = checked("\n".join(collector.lines()).encode())
    # That of the refused one was kept, and is sent too.
    assert [record["eventName"] for record in records].count("GenerateRandom") == 5
    collector.check()
    collector.stop()


def test_records_longer_than_a_pipe_takes_at_once_are_whole_and_a_long_user_agent_is_cut(tmp_path):
    gateway = serve(tmp_path, 'stdout = "records"')
    gateway.audit_file = tmp_path / "none.jsonl"
    gateway.audit_file.touch()
    clients = [gateway.client(user_agent="é" * 30_000) for _ in range(4)]
    context = {f"name {number}": "value " * 100 for number in range(12)}
    key = clients[0].create_key()["KeyMetadata"]["KeyId"]

    def make(kms):
        for _ in range(10):
            kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256", EncryptionContext=context)

    threads = [threading.Thread(target=make, args=[kms]) for kms in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    gateway.stop()
    text = gateway.stdout.text()
    records = [record for record in checked(text) if record["eventName"] == "GenerateDataKeyWithoutPlaintext"]
    assert len(records) == 40 and max(map(len, text.splitlines())) > 2 * PIPE_BUF
    for record in records:
        assert record["requestParameters"]["encryptionContext"] == context
        assert len(record["userAgent"].encode()) <= 1024 < len("é" * 30_000)


def test_a_second_gateway_on_the_same_file_does_not_start(tmp_path):
    gateway = serve(tmp_path, 'file = "audit.jsonl"')
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(AssertionError, match="another process writes to it"):
        serve(other, f'file = "{gateway.audit_file}"').stop()
    ask(gateway)
    gateway.stop()
    checked(gateway.audit_file.read_bytes())


def test_with_synced_no_answer_leaves_before_its_record_is_on_the_disk(tmp_path):
    trace = tmp_path / "trace"
    run = {"under": strace.tracing(trace)}
    gateway = serve(tmp_path, 'file = "audit.jsonl"\ndurability = "synced"', run=run)
    clients = [threading.Thread(target=ask_directly, args=[gateway]) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE)
    subprocess.run(["kill", "-TERM", str(strace.traced_child(gateway.process))], check=True)
    assert gateway.process.wait(PATIENCE) == 0, gateway.stderr.text()
    calls = strace.calls(trace.read_text(errors="replace"))
    answers = [call for call in calls if is_answer(call)]
    assert len(answers) >= 4 * 25
    file = str(gateway.audit_file)
    assert not answered_early(calls, file)
    # It would be noticed if the file were not synced, or were only after the answers.
    unsynced = [call for call in calls if not is_sync(call, file)]
    late = [replace(call, ends=call.ends + len(calls)) if is_sync(call, file) else call for call in calls]
    assert answered_early(unsynced, file) == answered_early(late, file) == answers


def ask_directly(gateway):
    kms = Direct(gateway)
    for _ in range(25):
        kms.call("GenerateRandom", NumberOfBytes=8)
    kms.close()
