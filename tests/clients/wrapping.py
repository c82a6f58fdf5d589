"""RSAES-OAEP with SHA-256 (RFC 8017 section 7.1): what a client does to key material before it is imported."""

import hashlib
import os

import rsa

HASH = hashlib.sha256
LENGTH = HASH().digest_size


def wrap(public_key, material):
    """`material` encrypted under a public key, which is a SubjectPublicKeyInfo in DER."""
    key = rsa.PublicKey.load_pkcs1_openssl_der(public_key)
    size = (key.n.bit_length() + 7) // 8
    block = HASH(b"").digest() + bytes(size - len(material) - 2 * LENGTH - 2) + b"\1" + material
    seed = os.urandom(LENGTH)
    masked_block = xor(block, mask(seed, len(block)))
    masked_seed = xor(seed, mask(masked_block, LENGTH))
    encoded = int.from_bytes(b"\0" + masked_seed + masked_block)
    return pow(encoded, key.e, key.n).to_bytes(size)


def mask(seed, length):
    """MGF1."""
    blocks = range(-(-length // LENGTH))
    return b"".join(HASH(seed + number.to_bytes(4)).digest() for number in blocks)[:length]


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
