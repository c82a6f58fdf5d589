"""Golden vectors of the local backend, made without its code: from the drawings in src/backend/local alone.

    pip install cryptography
    python3 tests/vectors/local_backend.py > tests/vectors/local_backend.json

The unit tests beside the code read the JSON. tests/run does not run this script: run it when a format gets a
new version, and then keep the old version's vectors too, because what was sealed must stay readable.
"""

import base64
import functools
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT_KEY = bytes(range(0x00, 0x20))
SECRET = bytes(range(0x20, 0x40))
MATERIAL_ID = hashlib.sha256(b"a key material id").digest()
STORE_ID = bytes(range(0x40, 0x50))
N = bytes(range(0x50, 0x60))
IV = bytes(range(0x60, 0x6C))


def number(length: int) -> bytes:
    return struct.pack(">I", length)


def prefixed(*fields: bytes) -> bytes:
    return b"".join(number(len(field)) + field for field in fields)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def kbkdf(secret: bytes, label: str, context: bytes, length: int) -> bytes:
    """SP 800-108r1 section 4.1, r = 32."""
    info = label.encode() + b"\0" + context + number(length * 8)
    blocks = (mac(secret, number(i) + info) for i in range(1, -(-length // 32) + 1))
    return b"".join(blocks)[:length]


def canonical(context: dict[str, str]) -> bytes:
    pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    return number(len(pairs)) + b"".join(prefixed(key, value) for key, value in pairs)


def kdf_vector(label: str, context: bytes, length: int) -> dict:
    output = kbkdf(SECRET, label, context, length)
    return {"label": label, "context": context.hex(), "output": output.hex()}


def blob_vector(context: dict[str, str], plaintext: bytes) -> dict:
    keys = kbkdf(SECRET, "kmsgate/v1/message", N + MATERIAL_ID, 64)
    key, commitment = keys[:32], keys[32:]
    arn = KEY_ARN.encode()
    key_tag = mac(kbkdf(ROOT_KEY, "kmsgate/v1/key-tag", STORE_ID, 32), arn + MATERIAL_ID)[:16]
    header = b"KGW1" + b"\x01\x01" + struct.pack(">H", len(arn)) + arn + MATERIAL_ID + key_tag + N + IV + commitment
    aad = header + b"kmsgate/v1/encryption-context" + canonical(context)
    return {
        "context": context,
        "plaintext": plaintext.hex(),
        "commitment": commitment.hex(),
        "additional_data": aad.hex(),
        "blob": (header + AESGCM(key).encrypt(IV, plaintext, aad)).hex(),
    }


def wrap_vector() -> dict:
    return wrapped_under(kbkdf(ROOT_KEY, "kmsgate/v1/wrapping", b"", 32), STORE_ID)


def wrapped_under(key: bytes, store: bytes) -> dict:
    origin, created = "AWS_KMS", 1_440_938_160_123_456
    aad = prefixed(
        b"kmsgate/v1/key-material",
        b"\x01\x01",
        store,
        KEY_ARN.encode(),
        MATERIAL_ID,
        origin.encode(),
        struct.pack(">q", created),
    )
    wrapped = b"\x01\x01" + IV + AESGCM(key).encrypt(IV, SECRET, aad)
    return {"origin": origin, "created_micros": created, "wrapped": wrapped.hex()}


def imported_material_id() -> str:
    *_, account, key = KEY_ARN.split(":")
    context = account + key.removeprefix("key/")
    return kbkdf(SECRET, "kmsgate/v1/imported-material-id", context.encode(), 32).hex()


def import_token_vector() -> dict:
    wrapping_algorithm, issued = "RSA_AES_KEY_WRAP_SHA_256", 1_440_938_160_123_456
    private_key = bytes(range(0x80, 0xC0))
    key = kbkdf(ROOT_KEY, "kmsgate/v1/import-token-key", STORE_ID, 32)
    facts = b"\x01\x01\x04" + struct.pack(">q", issued)
    aad = prefixed(b"kmsgate/v1/import-token", facts, STORE_ID, KEY_ARN.encode())
    return {
        "wrapping_algorithm": wrapping_algorithm,
        "issued_micros": issued,
        "private_key": private_key.hex(),
        "token": (facts + IV + AESGCM(key).encrypt(IV, private_key, aad)).hex(),
    }


def grant_token_vector() -> dict:
    """Operations are bits of the model's order: Decrypt 0, CreateGrant 9, DescribeKey 11."""
    issued, created = 1_440_938_160_123_456, 1_440_938_100_000_001
    grant_id = hashlib.sha256(b"a grant id").digest()
    name, account = "orders", "111122223333"
    grantee, retiring = f"arn:aws:iam::{account}:role/orders", f"arn:aws:iam::{account}:user/clerk"
    pairs = {"tenant": "gr\u00fcn", "Order": ""}
    key = kbkdf(ROOT_KEY, "kmsgate/v1/grant-token-key", STORE_ID, 32)
    head = b"\x01\x01" + N + struct.pack(">qq", issued, created) + grant_id
    head += struct.pack(">I", 1 << 0 | 1 << 9 | 1 << 11) + bytes([1, len(pairs)])
    texts = [KEY_ARN, name, grantee, retiring, account]
    texts += [text for pair in sorted(pairs.items(), key=lambda pair: pair[0].encode()) for text in pair]
    fields = b"".join(struct.pack(">H", len(text.encode())) + text.encode() for text in texts)
    return {
        "key": key.hex(),
        "nonce": N.hex(),
        "issued_micros": issued,
        "created_micros": created,
        "grant_id": grant_id.hex(),
        "key_arn": KEY_ARN,
        "name": name,
        "grantee": grantee,
        "retiring": retiring,
        "issuing_account": account,
        "operations": ["Decrypt", "CreateGrant", "DescribeKey"],
        "equals": pairs,
        "token": base64.b64encode(head + fields + mac(key, head + fields)).decode(),
    }


def store_vector(format: int, rows: list[tuple[str, str, bytes]]) -> dict:
    revision = 7
    set_key = kbkdf(ROOT_KEY, "kmsgate/v1/store-set", STORE_ID, 32)
    tags = [mac(set_key, prefixed(kind.encode(), name.encode(), body)) for kind, name, body in rows]
    total = functools.reduce(lambda a, b: bytes(x ^ y for x, y in zip(a, b)), tags, bytes(32))
    header_key = kbkdf(ROOT_KEY, "kmsgate/v1/store-header", STORE_ID, 32)
    header = bytes([format]) + STORE_ID + struct.pack(">QQ", revision, len(rows)) + total
    return {
        "format": format,
        "rows": [{"kind": kind, "id": name, "body": body.hex()} for kind, name, body in rows],
        "revision": revision,
        "sum": total.hex(),
        "root_key_check": kbkdf(ROOT_KEY, "kmsgate/v1/root-key-check", STORE_ID, 32).hex(),
        "mac": mac(header_key, header).hex(),
    }


def format_1_rows() -> list[tuple[str, str, bytes]]:
    """One key, its material and its alias, as stores of format 1 had them."""
    wrap, key_id = wrap_vector(), KEY_ARN.rpartition("/")[2]
    key = {
        "arn": KEY_ARN,
        "created_micros": wrap["created_micros"],
        "description": "from format 1",
        "state": "PendingDeletion",
        "deletion_micros": 4_102_444_800_000_000,
        "tags": [["Team", "blue"]],
        "material": MATERIAL_ID.hex(),
    }
    alias = {"target": key_id, "created_micros": wrap["created_micros"], "updated_micros": wrap["created_micros"]}
    return [
        ("alias", "alias/orders", json.dumps(alias).encode()),
        ("key", key_id, json.dumps(key).encode()),
        ("material", MATERIAL_ID.hex(), bytes.fromhex(wrap["wrapped"])),
    ]


def transport_vector() -> dict:
    """A file of keys with one key and its alias."""
    file_id = bytes(range(0x70, 0x80))
    transport_key = bytes(range(0x80, 0xA0))
    wrapping = kbkdf(transport_key, "kmsgate/v1/transport-wrapping", file_id, 32)
    wrap, key_id = wrapped_under(wrapping, file_id), KEY_ARN.rpartition("/")[2]
    key = {
        "arn": KEY_ARN,
        "created_micros": wrap["created_micros"],
        "description": "carried",
        "state": "Disabled",
        "tags": [["Team", "blue"]],
        "materials": [{"id": MATERIAL_ID.hex(), "wrapped": base64.b64encode(bytes.fromhex(wrap["wrapped"])).decode()}],
    }
    alias = {"target": key_id, "created_micros": wrap["created_micros"], "updated_micros": wrap["created_micros"]}
    lines = [
        f"kmsgate-keys-v1 2 {file_id.hex()}",
        f"key eu-central-1/{key_id} {json.dumps(key)}",
        f"alias eu-central-1/alias/orders {json.dumps(alias)}",
    ]
    text = "".join(line + "\n" for line in lines)
    key = kbkdf(transport_key, "kmsgate/v1/transport-file", file_id, 32)
    return {
        "transport_key_line": "kmsgate-transport-key-v1:" + base64.b64encode(transport_key).decode(),
        "file_id": file_id.hex(),
        "file": text + f"mac {mac(key, text.encode()).hex()}\n",
    }


vectors = {
    "key_arn": KEY_ARN,
    "root_key": ROOT_KEY.hex(),
    "root_key_line": "kmsgate-root-key-v1:" + base64.b64encode(ROOT_KEY).decode(),
    "secret": SECRET.hex(),
    "material_id": MATERIAL_ID.hex(),
    "store_id": STORE_ID.hex(),
    "n": N.hex(),
    "iv": IV.hex(),
    "kdf": [
        kdf_vector("kmsgate/v1/wrapping", b"", 32),
        kdf_vector("kmsgate/v1/message", N + MATERIAL_ID, 64),
    ],
    "blobs": [
        blob_vector({}, bytes(range(32))),
        blob_vector({"Projekt": "gr\u00fcn", "\U0001f511": "", "\uff5e": "a", "": "empty"}, b"any plaintext"),
    ],
    "wrap": wrap_vector(),
    "imported_material_id": imported_material_id(),
    "import_token": import_token_vector(),
    "grant_token": grant_token_vector(),
    "store": store_vector(2, [("key", "1234", b'{"a":1}'), ("alias", "alias/sch\u00f6n", b"")]),
    "format_1_store": store_vector(1, format_1_rows()),
    "transport": transport_vector(),
    "seeded_material_id": kbkdf(SECRET, "kmsgate/v1/seeded-material-id", KEY_ARN.rpartition("/")[2].encode(), 32).hex(),
}
print(json.dumps(vectors, indent=2))
