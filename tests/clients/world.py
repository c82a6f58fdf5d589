"""Keys in every state, and a ciphertext: what refusals are about."""

import re


class World(dict):
    """Values by name; `<name>` in the parameters and texts of a refusal stands for one."""

    def __init__(self, gateway):
        kms = gateway.client()

        def new_key():
            return kms.create_key()["KeyMetadata"]["Arn"]

        self |= {name: new_key() for name in ["other", "disabled", "pending", "disabled-and-pending", "crowded"]}
        self |= {"key": gateway.key_arn, "key-id": gateway.key_id}
        kms.disable_key(KeyId=self["disabled"])
        kms.disable_key(KeyId=self["disabled-and-pending"])
        kms.schedule_key_deletion(KeyId=self["pending"])
        kms.schedule_key_deletion(KeyId=self["disabled-and-pending"])
        for number in range(50):
            kms.create_alias(AliasName=f"alias/crowded-{number}", TargetKeyId=self["crowded"])
        made = kms.generate_data_key_without_plaintext(
            KeyId=gateway.key_id, KeySpec="AES_256", EncryptionContext={"tenant": "blue"}
        )
        self["blob"] = made["CiphertextBlob"]
        self["blob-with-a-byte-more"] = made["CiphertextBlob"] + b"\0"
        self["blob-cut-short"] = made["CiphertextBlob"][:-1]

    def fill(self, value):
        """`value` with each `<name>` replaced, in lists and objects too."""
        match value:
            case dict():
                return {name: self.fill(member) for name, member in value.items()}
            case list():
                return [self.fill(member) for member in value]
            case str() if isinstance(self.get(value[1:-1]), bytes):
                return self[value[1:-1]]
            case str():
                return re.sub("<([a-z-]+)>", lambda name: self[name[1]], value)
        return value
