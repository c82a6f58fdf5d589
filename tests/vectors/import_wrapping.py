"""Golden vectors of imported key material: wrapped by another library than ours, as clients of KMS wrap it.

    pip install cryptography
    python3 tests/vectors/import_wrapping.py > tests/vectors/import_wrapping.json

The unit tests beside the code read the JSON. tests/run does not run this script: RSAES-OAEP is randomized, and every
run makes new keys and new ciphertexts.
"""

import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MATERIAL = bytes(range(0x20, 0x40))
EPHEMERAL = bytes(range(0x60, 0x80))
SHA_1, SHA_256 = hashes.SHA1, hashes.SHA256
NAMES = {SHA_1: "SHA_1", SHA_256: "SHA_256"}


def oaep(key, digest, plaintext, mask_digest=None, label=None):
    mask = padding.MGF1((mask_digest or digest)())
    return key.public_key().encrypt(plaintext, padding.OAEP(mask, digest(), label))


def key_wrap(key, digest, material, ephemeral=EPHEMERAL, wrap=aes_key_wrap_with_padding):
    return oaep(key, digest, ephemeral) + wrap(ephemeral, material)


def wrapped(key):
    for digest, name in NAMES.items():
        yield f"RSAES_OAEP_{name}", oaep(key, digest, MATERIAL)
        yield f"RSA_AES_KEY_WRAP_{name}", key_wrap(key, digest, MATERIAL)


def refused(key, other_key):
    for digest, name in NAMES.items():
        other_digest = SHA_256 if digest is SHA_1 else SHA_1
        algorithm = f"RSAES_OAEP_{name}"
        for length in [16, 31, 33, 64]:
            yield f"material of {length} bytes", algorithm, oaep(key, digest, bytes(length))
        yield "no material", algorithm, oaep(key, digest, b"")
        yield "another key", algorithm, oaep(other_key, digest, MATERIAL)
        yield "another digest", algorithm, oaep(key, other_digest, MATERIAL)
        yield "another digest in MGF1", algorithm, oaep(key, digest, MATERIAL, other_digest)
        yield "a label", algorithm, oaep(key, digest, MATERIAL, label=b"kms")
        yield "PKCS #1 v1.5", algorithm, key.public_key().encrypt(MATERIAL, padding.PKCS1v15())
        yield "a wrapped ephemeral key too", algorithm, key_wrap(key, digest, MATERIAL)
        algorithm = f"RSA_AES_KEY_WRAP_{name}"
        for length in [16, 31, 33, 64]:
            yield f"material of {length} bytes", algorithm, key_wrap(key, digest, bytes(length))
        yield "another key", algorithm, key_wrap(other_key, digest, MATERIAL)
        yield "another digest", algorithm, key_wrap(key, other_digest, MATERIAL)
        yield "an AES-128 key", algorithm, key_wrap(key, digest, MATERIAL, EPHEMERAL[:16])
        yield "key wrap without padding", algorithm, key_wrap(key, digest, MATERIAL, wrap=aes_key_wrap)
        other = oaep(key, digest, EPHEMERAL[::-1]) + aes_key_wrap_with_padding(EPHEMERAL, MATERIAL)
        yield "another ephemeral key", algorithm, other
        yield "no ephemeral key", algorithm, oaep(key, digest, MATERIAL)
        yield "no RSA", algorithm, aes_key_wrap_with_padding(EPHEMERAL, MATERIAL)


def vector(bits, other_key):
    key = rsa.generate_private_key(65537, bits)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    # What is refused does not depend on the key's length.
    refusals = refused(key, other_key) if other_key else []
    return {
        "wrapping_key_spec": f"RSA_{bits}",
        "private_key": der.hex(),
        "wrapped": [{"algorithm": name, "bytes": data.hex()} for name, data in wrapped(key)],
        "refused": [{"why": why, "algorithm": name, "bytes": data.hex()} for why, name, data in refusals],
    }


vectors = {
    "material": MATERIAL.hex(),
    "keys": [
        vector(2048, rsa.generate_private_key(65537, 2048)),
        vector(3072, None),
        vector(4096, None),
    ],
}
print(json.dumps(vectors, indent=2))
