"""Every error that a well-formed, signed and allowed request can meet, as KMS answers it.

The texts are those recorded from KMS. `None` stands for a text that nobody has recorded, `""` for none at all, a
pattern for a text of which a part is not told (the values of an enum come in any order).
"""

import re
from dataclasses import dataclass

ACCOUNT = "arn:aws:kms:us-east-1:111122223333"
NO_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
NO_MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"
AES_256 = {"KeySpec": "AES_256"}
# What the verifier says of every mismatch, whatever its reason.
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
BLUE = {"EncryptionContext": {"tenant": "blue"}}


@dataclass(frozen=True)
class Refusal:
    name: str
    operation: str
    parameters: dict
    code: str
    text: str | re.Pattern | None

    @property
    def recorded(self):
        """CloudTrail's name for it: its own for this one error."""
        return "AccessDenied" if self.code == "AccessDeniedException" else self.code

    def says(self, text, world):
        """Whether `text` is what KMS says."""
        match self.text:
            case None:
                return True
            case re.Pattern():
                return bool(self.text.fullmatch(text))
            case str() if self.code == "ValidationException" and "; " in self.text:
                return sorted(split(text)) == sorted(split(self.text))
        return text == world.fill(self.text)


def split(text):
    """The items of a validation error, in whatever order, and its beginning."""
    count, items = text.split(": ", 1)
    return [count, *items.split("; ")]


def bound(member, value, constraint):
    """What KMS says of one member that is out of bounds."""
    return f"{value} at '{member}' failed to satisfy constraint: Member must {constraint}"


def one(member, value, constraint):
    return "1 validation error detected: " + bound(member, value, constraint)


def generate(name, parameters, code, text):
    return Refusal(name, "GenerateDataKeyWithoutPlaintext", parameters, code, text)


REFUSALS = [
    # Key identifiers.
    generate(
        "a key that is not there, by its id",
        {"KeyId": NO_KEY} | AES_256,
        "NotFoundException",
        f"Key '{ACCOUNT}:key/{NO_KEY}' does not exist",
    ),
    generate(
        "a key that is not there, by its ARN",
        {"KeyId": f"{ACCOUNT}:key/{NO_KEY}"} | AES_256,
        "NotFoundException",
        f"Key '{ACCOUNT}:key/{NO_KEY}' does not exist",
    ),
    generate(
        "a multi-Region key that is not there",
        {"KeyId": NO_MRK} | AES_256,
        "NotFoundException",
        f"Key '{ACCOUNT}:key/{NO_MRK}' does not exist",
    ),
    generate(
        "what is no key id",
        {"KeyId": "fake-key-id"} | AES_256,
        "NotFoundException",
        "Invalid keyId 'fake-key-id'",
    ),
    generate(
        "a key id without dashes",
        {"KeyId": "1234abcd12ab34cd56ef1234567890ab"} | AES_256,
        "NotFoundException",
        "Invalid keyId '1234abcd12ab34cd56ef1234567890ab'",
    ),
    generate(
        "an ARN of another region",
        {"KeyId": f"arn:aws:kms:us-west-2:111122223333:key/{NO_KEY}"} | AES_256,
        "NotFoundException",
        "Invalid arn us-west-2",
    ),
    generate(
        "an alias that is not there",
        {"KeyId": "alias/does-not-exist"} | AES_256,
        "NotFoundException",
        f"Alias {ACCOUNT}:alias/does-not-exist is not found.",
    ),
    generate(
        "a key of another account",
        {"KeyId": f"arn:aws:kms:us-east-1:444455556666:key/{NO_KEY}"} | AES_256,
        "AccessDeniedException",
        "User: arn:aws:iam::111122223333:user/quickstart is not authorized to perform:"
        " kms:GenerateDataKeyWithoutPlaintext on this resource because the resource does not exist in this Region,"
        " no resource-based policies allow access, or a resource-based policy explicitly denies access",
    ),
    Refusal(
        "an alias where only a key will do",
        "EnableKey",
        {"KeyId": "alias/quickstart"},
        "InvalidArnException",
        "Key Aliases are not supported for this operation.",
    ),
    # Key states.
    generate("a disabled key", {"KeyId": "<disabled>"} | AES_256, "DisabledException", "<disabled> is disabled."),
    generate(
        "a key pending deletion",
        {"KeyId": "<pending>"} | AES_256,
        "KMSInvalidStateException",
        "<pending> is pending deletion.",
    ),
    generate(
        "a disabled key pending deletion",
        {"KeyId": "<disabled-and-pending>"} | AES_256,
        "KMSInvalidStateException",
        "<disabled-and-pending> is pending deletion.",
    ),
    Refusal(
        "a deletion scheduled twice",
        "ScheduleKeyDeletion",
        {"KeyId": "<pending>"},
        "KMSInvalidStateException",
        None,
    ),
    Refusal(
        "a deletion cancelled that was not scheduled",
        "CancelKeyDeletion",
        {"KeyId": "<key>"},
        "KMSInvalidStateException",
        "<key> is not pending deletion.",
    ),
    # Ciphertexts.
    Refusal("a ciphertext of nobody's", "Decrypt", {"CiphertextBlob": b"garbage"}, "InvalidCiphertextException", ""),
    Refusal(
        "a ciphertext without its context", "Decrypt", {"CiphertextBlob": "<blob>"}, "InvalidCiphertextException", ""
    ),
    Refusal(
        "a context of another case",
        "Decrypt",
        {"CiphertextBlob": "<blob>", "EncryptionContext": {"tenant": "Blue"}},
        "InvalidCiphertextException",
        "",
    ),
    Refusal(
        "a letter moved from a context's value to its key",
        "Decrypt",
        {"CiphertextBlob": "<blob>", "EncryptionContext": {"tenantb": "lue"}},
        "InvalidCiphertextException",
        "",
    ),
    Refusal(
        "a ciphertext with a byte more",
        "Decrypt",
        {"CiphertextBlob": "<blob-with-a-byte-more>"} | BLUE,
        "InvalidCiphertextException",
        "",
    ),
    Refusal(
        "a ciphertext cut short",
        "Decrypt",
        {"CiphertextBlob": "<blob-cut-short>"} | BLUE,
        "InvalidCiphertextException",
        "",
    ),
    Refusal(
        "a ciphertext under another key",
        "Decrypt",
        {"CiphertextBlob": "<blob>", "KeyId": "<other>"} | BLUE,
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    ),
    Refusal(
        "a re-encryption from another key",
        "ReEncrypt",
        {
            "CiphertextBlob": "<blob>",
            "SourceKeyId": "<other>",
            "SourceEncryptionContext": {"tenant": "blue"},
            "DestinationKeyId": "<other>",
        },
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    ),
    # The rest of the model's exceptions.
    Refusal(
        "an algorithm of another kind of key",
        "Encrypt",
        {"KeyId": "<key>", "Plaintext": b"attack at dawn, if it is dry", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"},
        "InvalidKeyUsageException",
        "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.",
    ),
    generate(
        "a dry run",
        {"KeyId": "<key>", "DryRun": True} | AES_256,
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun option is set.",
    ),
    Refusal(
        "a dry run of a decryption",
        "Decrypt",
        {"CiphertextBlob": "<blob>", "DryRun": True} | BLUE,
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun option is set.",
    ),
    Refusal(
        "an alias that is there",
        "CreateAlias",
        {"AliasName": "alias/quickstart", "TargetKeyId": "<key>"},
        "AlreadyExistsException",
        None,
    ),
    Refusal(
        "an alias of AWS's own",
        "CreateAlias",
        {"AliasName": "alias/aws/s3", "TargetKeyId": "<key>"},
        "InvalidAliasNameException",
        None,
    ),
    Refusal(
        "a 51st alias",
        "CreateAlias",
        {"AliasName": "alias/one-more", "TargetKeyId": "<crowded>"},
        "LimitExceededException",
        None,
    ),
    Refusal("a marker that was never given", "ListKeys", {"Marker": "somewhere"}, "InvalidMarkerException", None),
    generate(
        "what is no grant token",
        {"KeyId": "<key>", "GrantTokens": ["no token!"]} | AES_256,
        "InvalidGrantTokenException",
        None,
    ),
    Refusal(
        "an operation that is not served",
        "RotateKeyOnDemand",
        {"KeyId": "<key>"},
        "UnsupportedOperationException",
        re.compile("RotateKeyOnDemand is not served .*"),
    ),
    Refusal(
        "a tag twice",
        "CreateKey",
        {"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]},
        "TagException",
        "Duplicate tag keys",
    ),
    Refusal(
        "51 tags",
        "CreateKey",
        {"Tags": [{"TagKey": str(number), "TagValue": ""} for number in range(51)]},
        "TagException",
        "Too many tags",
    ),
    Refusal(
        "a tag of AWS's own",
        "CreateKey",
        {"Tags": [{"TagKey": "AWS:team", "TagValue": "a"}]},
        "TagException",
        "Tags beginning with aws: are reserved",
    ),
    # The service's own validation.
    generate(
        "neither a key spec nor a number of bytes",
        {"KeyId": "<key>"},
        "ValidationException",
        "Please specify either number of bytes or key spec.",
    ),
    generate(
        "both a key spec and a number of bytes",
        {"KeyId": "<key>", "NumberOfBytes": 32} | AES_256,
        "ValidationException",
        "Please specify either number of bytes or key spec.",
    ),
    Refusal("no number of random bytes", "GenerateRandom", {}, "ValidationException", "NumberOfBytes is required."),
    Refusal(
        "an alias without its prefix",
        "CreateAlias",
        {"AliasName": "orders", "TargetKeyId": "<key>"},
        "ValidationException",
        'Alias must start with the prefix "alias/". Please see'
        " https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
    ),
    Refusal(
        "a colon in an alias",
        "CreateAlias",
        {"AliasName": "alias/my:alias", "TargetKeyId": "<key>"},
        "ValidationException",
        None,
    ),
    Refusal(
        "an alias of an alias",
        "CreateAlias",
        {"AliasName": "alias/orders", "TargetKeyId": "alias/quickstart"},
        "ValidationException",
        None,
    ),
    Refusal(
        "a usage that the key spec does not have",
        "CreateKey",
        {"KeySpec": "ECC_NIST_P256", "KeyUsage": "ENCRYPT_DECRYPT"},
        "ValidationException",
        "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec ECC_NIST_P256",
    ),
    Refusal(
        "a key spec without a usage",
        "CreateKey",
        {"KeySpec": "HMAC_256"},
        "ValidationException",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    ),
    Refusal(
        "six days of waiting",
        "ScheduleKeyDeletion",
        {"KeyId": "<key>", "PendingWindowInDays": 6},
        "ValidationException",
        None,
    ),
    Refusal(
        "31 days of waiting",
        "ScheduleKeyDeletion",
        {"KeyId": "<key>", "PendingWindowInDays": 31},
        "ValidationException",
        None,
    ),
    Refusal("a page of 101 aliases", "ListAliases", {"Limit": 101}, "ValidationException", None),
    # The bounds of the model.
    generate("no key id", AES_256, "ValidationException", one("keyId", "Value null", "not be null")),
    generate(
        "a key id of 2,049 characters",
        {"KeyId": 2049 * "k"} | AES_256,
        "ValidationException",
        one("keyId", f"Value '{2049 * 'k'}'", "have length less than or equal to 2048"),
    ),
    generate(
        "an empty key id",
        {"KeyId": ""} | AES_256,
        "ValidationException",
        "2 validation errors detected: "
        + bound("keyId", "Value ''", "have length greater than or equal to 1")
        + "; "
        + bound("keyId", "Value ''", r"satisfy regular expression pattern: ^\p{ASCII}+$"),
    ),
    generate(
        "no bytes",
        {"KeyId": "<key>", "NumberOfBytes": 0},
        "ValidationException",
        one("numberOfBytes", "Value '0'", "have value greater than or equal to 1"),
    ),
    generate(
        "1,025 bytes",
        {"KeyId": "<key>", "NumberOfBytes": 1025},
        "ValidationException",
        one("numberOfBytes", "Value '1025'", "have value less than or equal to 1024"),
    ),
    generate(
        "a key spec that there is not",
        {"KeyId": "<key>", "KeySpec": "AES-256"},
        "ValidationException",
        re.compile(re.escape(one("keySpec", "Value 'AES-256'", "satisfy enum value set: [")) + r"[A-Z0-9_, ]+\]"),
    ),
    generate(
        "eleven grant tokens",
        {"KeyId": "<key>", "GrantTokens": 11 * ["A"]} | AES_256,
        "ValidationException",
        re.compile(one("grantTokens", r"Value '\[.*\]'", "have length less than or equal to 10")),
    ),
    Refusal(
        "an empty plaintext",
        "Encrypt",
        {"KeyId": "<key>", "Plaintext": b""},
        "ValidationException",
        one("plaintext", "Value", "have length greater than or equal to 1"),
    ),
    Refusal(
        "a plaintext of 4,097 bytes",
        "Encrypt",
        {"KeyId": "<key>", "Plaintext": 4097 * b"p"},
        "ValidationException",
        one("plaintext", "Value", "have length less than or equal to 4096"),
    ),
    Refusal(
        "an empty ciphertext",
        "Decrypt",
        {"CiphertextBlob": b""},
        "ValidationException",
        one("ciphertextBlob", "Value", "have length greater than or equal to 1"),
    ),
    Refusal(
        "no ciphertext",
        "Decrypt",
        {"KeyId": "<key>"},
        "ValidationException",
        one("ciphertextBlob", "Value null", "not be null"),
    ),
    Refusal(
        "a tag's key of 129 characters",
        "CreateKey",
        {"Tags": [{"TagKey": 129 * "a", "TagValue": ""}]},
        "ValidationException",
        one("tags.1.member.tagKey", f"Value '{129 * 'a'}'", "have length less than or equal to 128"),
    ),
    Refusal(
        "a tag's value of 257 characters",
        "CreateKey",
        {"Tags": [{"TagKey": "a", "TagValue": 257 * "v"}]},
        "ValidationException",
        one("tags.1.member.tagValue", f"Value '{257 * 'v'}'", "have length less than or equal to 256"),
    ),
    Refusal(
        "an alias with a blank in its name",
        "CreateAlias",
        {"AliasName": "alias/a b", "TargetKeyId": "<key>"},
        "ValidationException",
        one("aliasName", "Value 'alias/a b'", "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"),
    ),
    generate(
        "several faults at once",
        {"NumberOfBytes": 1025, "GrantTokens": ["t" for _ in range(11)]},
        "ValidationException",
        "3 validation errors detected: "
        + bound("keyId", "Value null", "not be null")
        + "; "
        + bound("numberOfBytes", "Value '1025'", "have value less than or equal to 1024")
        + "; "
        + bound("grantTokens", f"Value '[{', '.join(11 * ['t'])}]'", "have length less than or equal to 10"),
    ),
    # What is checked before what.
    generate(
        "a bound is checked before the key is looked up",
        {"KeyId": NO_KEY, "NumberOfBytes": 0},
        "ValidationException",
        one("numberOfBytes", "Value '0'", "have value greater than or equal to 1"),
    ),
    generate(
        "the key is looked up before the sizes are compared",
        {"KeyId": NO_KEY},
        "NotFoundException",
        f"Key '{ACCOUNT}:key/{NO_KEY}' does not exist",
    ),
    generate(
        "the sizes are compared before the key's state is looked at",
        {"KeyId": "<disabled>"},
        "ValidationException",
        "Please specify either number of bytes or key spec.",
    ),
    Refusal(
        "the key's state is looked at before the algorithm",
        "Encrypt",
        {
            "KeyId": "<disabled>",
            "Plaintext": b"attack at noon, if it is dry",
            "EncryptionAlgorithm": "RSAES_OAEP_SHA_1",
        },
        "DisabledException",
        "<disabled> is disabled.",
    ),
    generate(
        "a dry run comes last",
        {"KeyId": "<disabled>", "DryRun": True} | AES_256,
        "DisabledException",
        "<disabled> is disabled.",
    ),
]

# One refusal of each code, for clients that take their time.
ONE_OF_EACH_CODE = list({refusal.code: refusal for refusal in reversed(REFUSALS)}.values())[::-1]
