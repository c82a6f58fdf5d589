"""Audit trails as the manual describes their lines, made and signed without any of the gateway's code."""

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ZERO = "0" * 64
BEGIN = datetime(2026, 11, 23, 18, 22, 41, tzinfo=UTC)
ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def sha256(line):
    return hashlib.sha256(line).hexdigest()


class Signer:
    """A key that signs checkpoints."""

    def __init__(self, seed=1):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def pem(self):
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, unsigned):
        return base64.b64encode(self.key.sign(b"kmsgate audit checkpoint v1\n" + unsigned)).decode()


class Trail:
    """A chain in the making: `lines` are its lines, without their line feeds."""

    def __init__(self, signer=None, chain=None, store=None):
        self.signer = signer or Signer()
        self.chain = chain or str(uuid.UUID(int=7))
        self.store = store
        self.time = BEGIN
        self.lines = []
        self.sequence, self.hash, self.checkpoint_before = 0, ZERO, None

    def pass_time(self, seconds):
        self.time += timedelta(seconds=seconds)

    def add(self, record, gateway):
        """A line whose record has these members, and these in `gateway` in front of the chain's."""
        self.sequence += 1
        chained = gateway | {"sequence": self.sequence, "previousHash": self.hash}
        text = json.dumps(record | {"additionalEventData": {"gateway": chained}}, separators=(",", ":"))
        self.append(text.encode())

    def append(self, line):
        self.lines.append(line)
        self.hash = sha256(line)

    def head(self, source, name, identity):
        time = self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventTime": time,
            "eventSource": source,
            "eventName": name,
        }

    def request(self, name="Decrypt", user="app", key=KEY, gateway=None, **members):
        arn = f"arn:aws:iam::{ACCOUNT}:user/{user}"
        identity = {"type": "IAMUser", "arn": arn, "accountId": ACCOUNT, "userName": user}
        resources = [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}] if key else []
        usual = {"requestParameters": {"keyId": key}, "resources": resources, "eventType": "AwsApiCall"}
        record = self.head("kms.amazonaws.com", name, identity) | usual | members
        self.add(record, {"reasons": []} | (gateway or {}) | {"generation": 1, "latencyMicros": 84})

    def event(self, name, gateway):
        """Something that the gateway tells of itself."""
        head = self.head("kmsgate", name, {"accountId": ACCOUNT, "invokedBy": "AWS Internal"})
        self.add(head | {"resources": [], "eventType": "AwsServiceEvent"}, gateway)

    def checkpoint(self, reason="interval", **changes):
        checkpoint = {"reason": reason, "chain": self.chain, "previous": self.checkpoint_before}
        if self.store:
            checkpoint["store"] = self.store
        checkpoint |= {"publicKey": self.signer.public} | changes
        self.event("AuditCheckpoint", {"checkpoint": checkpoint})
        unsigned = self.lines.pop().removesuffix(b"}}}")
        line = unsigned + b',"signature":"' + self.signer.sign(unsigned).encode() + b'"}}}'
        self.append(line)
        self.checkpoint_before = {"sequence": self.sequence, "hash": self.hash}

    def usual(self, stretches=3, requests=3):
        """Stretches of requests, each closed by a checkpoint, behind the one that begins the chain."""
        self.checkpoint("start")
        for stretch in range(stretches):
            for request in range(requests):
                self.pass_time(1)
                self.request(user=f"app-{request}")
            self.checkpoint("stop" if stretch == stretches - 1 else "interval")
        return self


def rechained(lines, start):
    """The lines with every `previousHash` from `start` on made to fit, as one does who has no key."""
    lines = list(lines)
    for index in range(start, len(lines)):
        before = sha256(lines[index - 1]).encode()
        front, mark, behind = lines[index].rpartition(b'"previousHash":"')
        lines[index] = front + mark + before + behind[64:]
    return lines


def renumbered(lines):
    """The lines numbered from 1 and chained anew."""
    numbered = []
    for index, line in enumerate(lines):
        front, mark, behind = line.rpartition(b'"sequence":')
        numbered.append(front + mark + str(index + 1).encode() + behind[behind.index(b",") :])
    return rechained(numbered, 1)


def joined(lines):
    return b"".join(line + b"\n" for line in lines)
