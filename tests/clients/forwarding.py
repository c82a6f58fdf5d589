"""A gateway that forwards, and behind it another that has the keys: what is signed anew is verified for real.

To a test that calls it, it is a `Gateway` like any other.
"""

import datetime
import http.client
import ipaddress
import json
import time

from botocore import xform_name
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gateway import PATIENCE, REGION, Gateway, Principal, allow

ACCOUNT = "111122223333"
QUICKSTART = Principal(f"arn:aws:iam::{ACCOUNT}:user/quickstart", ("quickstart",))
# What a quickstart lets its principal do.
USE = ["GenerateDataKeyWithoutPlaintext", "GenerateDataKey", "Encrypt", "Decrypt", "DescribeKey"]
USE = [f"kms:{operation}" for operation in [*USE, "ReEncryptFrom", "ReEncryptTo"]]
KEY_ID = "0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b"
ALIAS = "alias/quickstart"
# The calls of which KMS allows an account less in a second than these tests make.
RARE = [
    *("CancelKeyDeletion", "CreateAlias", "CreateGrant", "CreateKey", "DeleteAlias", "DeleteImportedKeyMaterial"),
    *("DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation", "GetParametersForImport"),
    *("ImportKeyMaterial", "PutKeyPolicy", "ReplicateKey", "RevokeGrant", "RetireGrant", "RotateKeyOnDemand"),
    *("ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription"),
    "UpdatePrimaryRegion",
]
RATES = ", ".join(f"{xform_name(operation)} = 10000" for operation in RARE)


class Forwarding(Gateway):
    """One run of `kmsgate serve` with the backend `aws`."""

    @classmethod
    def quickstart(cls, directory, policy=None, regions=()):
        """With a key, an alias and a principal as `kmsgate quickstart` makes them."""
        key_arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"
        policy = policy or allow(*USE, Resource=key_arn)
        upstream = keeper(directory / "upstream", {KEY_ID: [ALIAS]}, regions)
        gateway = cls.to(upstream, directory / "gateway", [QUICKSTART], {"quickstart": policy}, regions=regions)
        gateway.key_id, gateway.key_arn, gateway.alias = KEY_ID, key_arn, ALIAS
        return gateway

    @classmethod
    def to(cls, upstream, directory, principals, documents=(), *, regions=(), backend="", quota=RATES, **settings):
        """In front of `upstream`, a program with `endpoint`, `ca_file`, `key`, `secrets` and `stop`.

        `backend` are further lines of that section, `quota` those of the upstream's quotas, `regions` those that are
        served too; the rest is as for `Gateway.serve`. `upstream` is stopped with the gateway.
        """
        directory.mkdir(parents=True)
        place = f'endpoint_url = "{upstream.endpoint}"\n'
        if upstream.ca_file:
            place += f'ca_file = "{upstream.ca_file}"\n'
        lines = [f'kind = "aws"\n{place}{backend}', f"[backend.quota]\npercent = 100\nper_second = {{ {quota} }}"]
        lines += [f'[[backend.upstreams]]\nregion = "{region}"\n{place}' for region in regions]
        # The upstream's key is nowhere else.
        environment = {"AWS_ACCESS_KEY_ID": upstream.key.id, "AWS_SECRET_ACCESS_KEY": upstream.key.secret}
        settings["environment"] = environment | settings.get("environment", {})
        settings |= {"regions": served(regions), "backend": "\n".join(lines)}
        gateway = cls.serve(directory, principals, documents, **settings)
        gateway.keep_secret(upstream.key.secret)
        gateway.key, gateway.upstream = next(iter(gateway.keys.values())), upstream
        # What neither may write the other may not write.
        upstream.secrets |= gateway.secrets
        gateway.secrets = upstream.secrets
        # It waits for no credentials before it serves.
        eventually(lambda: gateway.readiness()[0] == 200)
        return gateway

    def readiness(self):
        """Status and text of `/readyz`."""
        probe = http.client.HTTPConnection(self.admin.removeprefix("http://"), timeout=PATIENCE)
        probe.request("GET", "/readyz")
        answer = probe.getresponse()
        text = answer.read().decode()
        probe.close()
        return answer.status, text

    def stop(self):
        super().stop()
        self.upstream.stop()


def keeper(directory, seeds=(), regions=()):
    """The gateway that keeps the keys, over TLS: `seeds` are the aliases of keys by their ids."""
    directory.mkdir(parents=True)
    certificate, key = certificate_of_its_own(directory)
    (directory / "seeds.toml").write_text(
        "\n".join(f'[[keys]]\nid = "{id}"\naliases = {json.dumps(aliases)}\n' for id, aliases in dict(seeds).items())
    )
    gateway = Gateway.serve(
        directory,
        ["gateway"],
        regions=served(regions),
        listen=f'[listen.tls]\ncertificate_file = "{certificate}"\nkey_file = "{key}"',
        backend='kind = "local"\ndata_dir = "store"' + ('\nseeds_file = "seeds.toml"' if seeds else ""),
        # Whom grants and key policies name is for the gateway in front to know.
        policies="accept_unknown_principals = true",
    )
    gateway.endpoint = gateway.endpoint.replace("http:", "https:")
    gateway.ca_file, gateway.key = certificate, gateway.keys["gateway"]
    return gateway


def eventually(happens):
    """What `happens` returns once it is something."""
    end = time.monotonic() + PATIENCE
    while not (happened := happens()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)
    return happened


def served(regions):
    return f"replica_regions = {json.dumps(list(regions))}"


def certificate_of_its_own(directory):
    """The files of a certificate for this machine that is its own authority, and of its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
    certificate = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    files = directory / "tls.crt", directory / "tls.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].touch(mode=0o600)
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files

