"""Draws calls for the model-based test: of what is there, in every form of its name, and often enough of what cannot
be done.

A client has keys and aliases of its own. That which it does not find is nobody else's either.
"""

import json
import base64

from gateway import REGION
from oracle import ACCOUNT, ALWAYS_GRANTABLE, ELSEWHERE, GRANT_ORDER, GRANTABLE, GRANTEES, SHARED_ALIAS, Call, Sealed
from states import DEFAULT_POLICY

# A client makes no more than so many; a few keys are drawn often, so that they come to their quotas.
MOST_KEYS = 12
FAVOURITES = 2
# On one page.
MOST_GRANTS = 40
NO_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXTS = [{}, {"tenant": "blue"}, {"tenant": "red"}, {"tenant": "blue", "purpose": ""}]
TAG_KEYS = [f"key-{number}" for number in range(60)]
# By CreateKey: what is made, and what cannot be.
KINDS = [
    *4 * [{}],
    *2 * [{"MultiRegion": True}],
    {"Origin": "EXTERNAL"},
    {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"},
    {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
]
NO_KINDS = [
    {"KeySpec": "HMAC_256"},
    {"KeyUsage": "SIGN_VERIFY"},
    {"KeySpec": "HMAC_256", "KeyUsage": "ENCRYPT_DECRYPT"},
    {"Tags": 2 * [{"TagKey": "team", "TagValue": "blue"}]},
    {"Tags": [{"TagKey": "AWS:team", "TagValue": "blue"}]},
]


class Draws:
    def __init__(self, client, random, kms):
        self._client, self._random, self._kms, self._number = client, random, kms, 0

    def call(self):
        if not self._kms.keys:
            return self.create_key()
        [draw] = self._random.choices(*zip(*WEIGHTS))
        return draw(self)

    def everything(self, ciphertexts):
        """Reads all that is there, and opens so many of the ciphertexts."""
        for key in self._kms.keys:
            of_key = {"KeyId": key.id.value}
            for operation in ("DescribeKey", "ListAliases", "ListResourceTags", "GetKeyRotationStatus"):
                yield Call(operation, of_key, key.region)
            yield Call("ListGrants", of_key | {"Limit": 100}, key.region)
            yield Call("ListKeyRotations", of_key | {"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}, key.region)
        for blob in self._random.sample(list(self._kms.sealed), min(ciphertexts, len(self._kms.sealed))):
            sealed = self._kms.sealed[blob]
            parameters = {"CiphertextBlob": blob, "EncryptionContext": sealed.context}
            yield Call("Decrypt", parameters, sealed.key.region)

    def _seldom(self, probability=0.05):
        return self._random.random() < probability

    def _next(self):
        self._number += 1
        return f"{self._client}/{self._number}"

    def _key(self):
        keys = self._kms.keys
        return self._random.choice(keys[:FAVOURITES] if self._seldom(0.4) else keys)

    def _named(self, key, aliases=True):
        """A key by a name that it has, with its region."""
        names = [key.id.value, key.arn]
        if aliases or self._seldom(0.02):
            of_key = self._kms.of(key)[:2]
            names += [*of_key, *(f"arn:aws:kms:{key.region}:{ACCOUNT}:{name}" for name in of_key)]
        return self._random.choice(names), key.region

    def _found(self, aliases=True):
        """A key by some name, and where to look; now and then it is not there."""
        if self._seldom(0.02):
            absent = [NO_KEY, f"alias/{self._client}/absent", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{NO_KEY}"]
            return self._random.choice(absent), REGION
        key = self._key()
        if self._seldom(0.03):
            return key.id.value, self._random.choice([REGION, ELSEWHERE])
        return self._named(key, aliases)

    def _on_key(self, operation, **more):
        name, region = self._found(aliases=False)
        return Call(operation, {"KeyId": name} | more, region)

    def _alias(self):
        names = list(self._kms.aliases)
        if not names or self._seldom():
            return f"alias/{self._client}/absent", REGION
        region, name = self._random.choice(names)
        return name, region

    def _tags(self):
        keys = self._random.sample(TAG_KEYS, self._random.choice([1, 2, 35]))
        if self._seldom():
            keys.append(self._random.choice([keys[0], "aws:team"]))
        return [{"TagKey": key, "TagValue": self._next()} for key in keys]

    # The use of keys.

    def use(self):
        if self._seldom(0.1):
            name, region = self._random.choice([self._kms.shared_key.id.value, SHARED_ALIAS]), REGION
        else:
            name, region = self._found()
        parameters = {"KeyId": name}
        if context := self._random.choice(CONTEXTS):
            parameters["EncryptionContext"] = context
        if self._seldom():
            parameters["DryRun"] = True
        operation, more = self._random.choice([
            ("Encrypt", {"Plaintext": base64.b64encode(self._random.randbytes(self._random.randint(1, 64))).decode()}),
            ("GenerateDataKey", self._length()),
            ("GenerateDataKeyWithoutPlaintext", self._length()),
        ])
        return Call(operation, parameters | more, region)

    def _length(self):
        if self._seldom(0.03):
            return self._random.choice([{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
        return self._random.choice([{"KeySpec": "AES_256"}, {"KeySpec": "AES_128"}, {"NumberOfBytes": 64}])

    def key_pair(self):
        operation = self._random.choice(["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"])
        name, region = self._found()
        return Call(operation, {"KeyId": name, "KeyPairSpec": "ECC_NIST_P256"}, region)

    def _ciphertext(self):
        """A ciphertext, with what is in it if it is one."""
        if not self._kms.sealed or self._seldom(0.02):
            return base64.b64encode(self._random.randbytes(200)).decode(), None
        blob = self._random.choice(list(self._kms.sealed))
        sealed = self._kms.sealed[blob]
        if self._seldom(0.03) and not sealed.broken:
            altered = bytearray(base64.b64decode(blob))
            altered[-1] ^= 1 << self._random.randrange(8)
            blob = base64.b64encode(altered).decode()
            sealed = Sealed(sealed.key, sealed.material, sealed.context, sealed.plaintext, broken=True)
            self._kms.sealed[blob] = sealed
        return blob, sealed

    def decrypt(self):
        parameters, region = self._source("KeyId", "EncryptionContext")
        if self._seldom():
            parameters["DryRun"] = True
        return Call("Decrypt", parameters, region)

    def _source(self, key_member, context_member):
        blob, sealed = self._ciphertext()
        parameters, region = {"CiphertextBlob": blob}, sealed.key.region if sealed else REGION
        context = sealed.context if sealed else {}
        if self._seldom():
            context = self._random.choice(CONTEXTS)
        if context:
            parameters[context_member] = context
        if sealed and self._seldom(0.3):
            siblings = [key for key in self._kms.keys if key.shared is sealed.key.shared] or [sealed.key]
            parameters[key_member], region = self._named(self._random.choice(siblings))
        elif self._seldom(0.1):
            parameters[key_member], region = self._found()
        elif self._seldom(0.03):
            region = ELSEWHERE
        return parameters, region

    def re_encrypt(self):
        parameters, region = self._source("SourceKeyId", "SourceEncryptionContext")
        here = [key for key in self._kms.keys if key.region == region]
        parameters["DestinationKeyId"] = self._random.choice(here).id.value if here else NO_KEY
        if context := self._random.choice(CONTEXTS):
            parameters["DestinationEncryptionContext"] = context
        return Call("ReEncrypt", parameters, region)

    def random(self):
        return Call("GenerateRandom", {} if self._seldom(0.3) else {"NumberOfBytes": self._random.randint(1, 1024)})

    # Keys and their state.

    def create_key(self):
        kinds = KINDS if len(self._kms.keys) < MOST_KEYS else NO_KINDS
        # The description tells whose key it is whose making was not answered.
        return Call("CreateKey", self._random.choice(kinds) | {"Description": self._next()})

    def read(self):
        operations = ["DescribeKey", "ListAliases", "ListResourceTags", "GetKeyRotationStatus", "ListKeyRotations"]
        operations += ["GetKeyPolicy", "ListKeyPolicies"]
        return self._on_key(self._random.choice(operations))

    def read_by_any_name(self):
        name, region = self._found()
        return Call("DescribeKey", {"KeyId": name}, region)

    def list_keys(self):
        return Call("ListKeys", {"Limit": 1000}, self._random.choice([REGION, ELSEWHERE]))

    def enable(self):
        return self._on_key("EnableKey")

    def disable(self):
        return self._on_key("DisableKey")

    def schedule(self):
        days = self._random.choice([6, 31]) if self._seldom() else self._random.randint(7, 30)
        return self._on_key("ScheduleKeyDeletion", PendingWindowInDays=days)

    def cancel(self):
        pending = [key for key in self._kms.keys if key.state.startswith("Pending")]
        if not pending or self._seldom():
            return self._on_key("CancelKeyDeletion")
        key = self._random.choice(pending)
        return Call("CancelKeyDeletion", {"KeyId": key.id.value}, key.region)

    def describe(self):
        return self._on_key("UpdateKeyDescription", Description=self._next())

    # Aliases.

    def create_alias(self):
        name = f"alias/{self._next()}"
        if self._seldom():
            name, _ = self._alias()
        if self._seldom():
            name = self._random.choice([f"alias/aws/{self._client}", self._client])
        # One key comes to its quota.
        key = self._kms.keys[0]
        target, region = (key.arn, key.region) if self._seldom(0.5) else self._found(aliases=False)
        return Call("CreateAlias", {"AliasName": name, "TargetKeyId": target}, region)

    def update_alias(self):
        name, region = self._alias()
        here = [key for key in self._kms.keys if key.region == region]
        if not here or self._seldom(0.02):
            return Call("UpdateAlias", {"AliasName": name, "TargetKeyId": NO_KEY}, region)
        target, _ = self._named(here[0] if self._seldom(0.5) else self._random.choice(here), aliases=False)
        return Call("UpdateAlias", {"AliasName": name, "TargetKeyId": target}, region)

    def delete_alias(self):
        name, region = self._alias()
        return Call("DeleteAlias", {"AliasName": name}, region)

    # Tags and policies.

    def tag(self):
        return self._on_key("TagResource", Tags=self._tags())

    def untag(self):
        keys = self._random.sample(TAG_KEYS, self._random.randint(1, 10))
        return self._on_key("UntagResource", TagKeys=[*keys, "aws:team"] if self._seldom() else keys)

    def put_policy(self):
        # Neither takes anything away from who asks.
        other = json.loads(DEFAULT_POLICY)
        other["Statement"][0]["Sid"] = "All"
        other = json.dumps(other, indent=1)
        return self._on_key("PutKeyPolicy", Policy=self._random.choice([DEFAULT_POLICY, other]))

    # Grants.

    def create_grant(self):
        key = self._key()
        if len(key.grants) >= MOST_GRANTS:
            return self._end_of_grant(key)
        operations = GRANT_ORDER if self._seldom() else [*GRANTABLE[key.usage, key.symmetric], *ALWAYS_GRANTABLE]
        operations = self._random.sample(operations, self._random.randint(1, 3))
        grantees = [*GRANTEES, "arn:aws:iam::111122223333:group/clerks"] if self._seldom() else GRANTEES
        more = {"GranteePrincipal": self._random.choice(grantees), "Operations": operations}
        if self._seldom(0.3):
            more["RetiringPrincipal"] = self._random.choice(grantees)
        if self._seldom(0.5):
            # So few names that some are asked for again.
            more |= {"Name": self._random.choice(["orders", "bills"]), "Operations": ["DescribeKey"]}
        if (key.symmetric and self._seldom(0.4)) or self._seldom():
            kinds = ["EncryptionContextEquals", "EncryptionContextSubset"]
            kinds = kinds if self._seldom() else [self._random.choice(kinds)]
            more["Constraints"] = {kind: self._random.choice(CONTEXTS) for kind in kinds}
        name, region = self._named(key, aliases=False)
        return Call("CreateGrant", {"KeyId": name} | more | self._dry(), region)

    def end_of_grant(self):
        with_grants = [key for key in self._kms.keys if key.grants]
        return self._end_of_grant(self._random.choice(with_grants) if with_grants else self._key())

    def _end_of_grant(self, key):
        ids = [grant.id.value for grant in key.grants if grant.id.value]
        id = self._random.choice(["0" * 64] if self._seldom() or not ids else ids)
        if self._kms.tokens and self._seldom(0.3):
            token = self._random.choice(list(self._kms.tokens))
            region = self._kms.tokens[token][0].region
            if self._seldom():
                token = self._random.choice([token[:-8], "AAAA"])
            return Call("RetireGrant", {"GrantToken": token} | self._dry(), region)
        name, region = self._named(key, aliases=False)
        operation = self._random.choice(["RetireGrant", "RevokeGrant"])
        return Call(operation, {"KeyId": name, "GrantId": id} | self._dry(), region)

    def list_grants(self):
        return self._on_key("ListGrants", Limit=100)

    def _dry(self):
        return {"DryRun": True} if self._seldom() else {}

    # Rotation, relatives, imports.

    def rotates(self):
        if self._seldom(0.3):
            return self._on_key("DisableKeyRotation")
        return self._on_key("EnableKeyRotation", RotationPeriodInDays=self._random.randint(90, 2560))

    def rotate(self):
        return self._on_key("RotateKeyOnDemand")

    def replicate(self):
        region = "eu-north-1" if self._seldom() else self._random.choice([REGION, ELSEWHERE, ELSEWHERE])
        return self._on_primary("ReplicateKey", ReplicaRegion=region, Description=self._next(), Tags=self._tags())

    def update_primary(self):
        return self._on_primary("UpdatePrimaryRegion", PrimaryRegion=self._random.choice([REGION, ELSEWHERE]))

    def _on_primary(self, operation, **more):
        primaries = [key for key in self._kms.keys if key.multi_region and not key.replica]
        if not primaries or self._seldom(0.2):
            return self._on_key(operation, **more)
        key = self._random.choice(primaries)
        return Call(operation, {"KeyId": key.id.value} | more, key.region)

    def delete_material(self):
        return self._on_key("DeleteImportedKeyMaterial")

    def import_parameters(self):
        how = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        return self._on_key("GetParametersForImport", **how)


# How often each is drawn. Keys are enabled more often than they are disabled, else few could be used.
WEIGHTS = [
    (Draws.use, 20), (Draws.key_pair, 1), (Draws.decrypt, 15), (Draws.re_encrypt, 6), (Draws.random, 1),
    (Draws.create_key, 3), (Draws.read, 9), (Draws.read_by_any_name, 3), (Draws.list_keys, 1),
    (Draws.enable, 10), (Draws.disable, 3), (Draws.schedule, 2), (Draws.cancel, 4), (Draws.describe, 2),
    (Draws.create_alias, 6), (Draws.update_alias, 4), (Draws.delete_alias, 2),
    (Draws.tag, 4), (Draws.untag, 3), (Draws.put_policy, 1),
    (Draws.create_grant, 8), (Draws.end_of_grant, 5), (Draws.list_grants, 1),
    (Draws.rotates, 4), (Draws.rotate, 7), (Draws.replicate, 2), (Draws.update_primary, 2),
    (Draws.delete_material, 1), (Draws.import_parameters, 0.3),
]  # fmt: skip
