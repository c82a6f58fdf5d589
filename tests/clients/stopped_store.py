"""A stopped gateway's key store, edited by whoever has its root key: the dates in it can be set back, so that a test
meets what takes months otherwise. Written from what `src/backend/local` documents, without the program's own code."""

import base64
import hashlib
import hmac
import json
import sqlite3
import struct
from functools import reduce

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = 2
HOURS = 3600 * 10**6


def prefixed(*fields):
    return b"".join(struct.pack(">I", len(field)) + field for field in fields)


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def kbkdf(secret, label, context):
    """SP 800-108r1 section 4.1, counter mode with HMAC-SHA-256, of 256 bits."""
    return mac(secret, struct.pack(">I", 1) + label.encode() + b"\0" + context + struct.pack(">I", 256))


class StoppedStore:
    """The store in a data directory that no program has open."""

    def __init__(self, data_dir):
        line = (data_dir / "root.key").read_text().splitlines()[-1]
        self._root_key = base64.b64decode(line.removeprefix("kmsgate-root-key-v1:"))
        self._database = data_dir / "keys.sqlite"
        with sqlite3.connect(self._database) as connection:
            [(self.id, self._revision)] = connection.execute("SELECT store, revision FROM header")
        connection.close()

    def edit(self, key_arn, change):
        """Lets `change` change a key's row, and authenticates all rows anew."""
        region, key_id = key_arn.split(":")[3], key_arn.rpartition("/")[2]
        with sqlite3.connect(self._database) as connection:
            name = f"{region}/{key_id}"
            [(body,)] = connection.execute("SELECT body FROM entry WHERE kind = 'key' AND id = ?", [name])
            row = json.loads(body)
            change(row)
            body = json.dumps(row).encode()
            connection.execute("UPDATE entry SET body = ? WHERE kind = 'key' AND id = ?", [body, name])
            rows = list(connection.execute("SELECT kind, id, body FROM entry"))
            connection.execute("UPDATE header SET mac = ?", [self._mac(rows)])
        connection.close()

    def _mac(self, rows):
        set_key = kbkdf(self._root_key, "kmsgate/v1/store-set", self.id)
        tags = [mac(set_key, prefixed(kind.encode(), name.encode(), body)) for kind, name, body in rows]
        total = reduce(lambda a, b: bytes(x ^ y for x, y in zip(a, b)), tags, bytes(32))
        header = bytes([FORMAT]) + self.id + struct.pack(">QQ", self._revision, len(rows)) + total
        return mac(kbkdf(self._root_key, "kmsgate/v1/store-header", self.id), header)

    def older_token(self, token, key_arn, hours):
        """An import token of that key as if it had been made so many hours earlier."""
        key = AESGCM(kbkdf(self._root_key, "kmsgate/v1/import-token-key", self.id))

        def additional_data(facts):
            return prefixed(b"kmsgate/v1/import-token", facts, self.id, key_arn.encode())

        facts, iv, sealed = token[:11], token[11:23], token[23:]
        private_key = key.decrypt(iv, sealed, additional_data(facts))
        [issued] = struct.unpack(">q", facts[3:])
        facts = facts[:3] + struct.pack(">q", issued - hours * HOURS)
        iv = bytes(byte ^ 1 for byte in iv)
        return facts + iv + key.encrypt(iv, private_key, additional_data(facts))
