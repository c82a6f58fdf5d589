"""Draws policies and requests of few words, so that they often have to do with each other.

All that is drawn is without faults, and its meaning is documented: left out are several values for an operator without
a set operator, `ForAnyValue:...IfExists` for an absent key, `NotPrincipal` with Allow, session policies of a user,
wildcards in what a variable stands for, and limits on a federated user whom a key policy allows as everyone.
"""

import copy
from random import Random

ACCOUNT, ELSEWHERE = "111122223333", "444455556666"
NAMES = [
    *3 * ["user/ann"], *2 * ["user/team/blue"], *2 * ["role/app"], *5 * ["assumed-role/app/s-1"],
    "assumed-role/app/s-2", *2 * ["federated-user/ann"], "root",
]  # fmt: skip
KMS_ACTIONS = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair"]
ACTION_PATTERNS = [
    "*", "kms:*", "kms:*crypt", "kms:De*", "kms:?ecrypt", "kms:GenerateDataKey*", "kms:*Data*Pair", "kms:List*", "s3:*",
    "KMS:decrypt", "kms:Decrypt?", "s3:Get*",
]  # fmt: skip
RESOURCE_PATTERNS = [
    "*", "arn:aws:kms:*:*:*", "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:us-*:*:key/bl*",
    "arn:aws:kms:*:*:key/?lue", "arn:aws:kms:eu-*:*:*", "arn:aws:kms:*:*:KEY/*", "arn:aws:kms:*:444455556666:*",
    "arn:aws:s3:::*", "arn:aws:kms:*:*:alias/${aws:username}", "arn:aws:kms:us-east-1:*:key/${aws:PrincipalTag/team}",
    "arn:aws:kms:us-east-1:*:key/${aws:PrincipalTag/team, 'blue'}",
    "arn:aws:kms:*:*:key/${aws:PrincipalTag/none,'red'}*", "arn:aws:kms:*:*:key/${*}",
]  # fmt: skip
VARIABLES = [
    "${aws:username}", "alias/${aws:username}", "${AWS:UserName}*", "${aws:PrincipalTag/team}",
    "${aws:PrincipalTag/TEAM}", "${aws:PrincipalTag/team, 'blue'}", "${aws:PrincipalTag/none,'red'}",
    "${aws:PrincipalTag/none}", "b${*}", "${$}",
]  # fmt: skip
TEXTS = ["blue", "Blue", "red", "ann", "alias/ann", "alias/blue", "b*", "a?$*", "7", "true"]
MULTIPLE = ["blue", "red", "ann", "Blue", "app"]
NUMBERS = ["5", "10", "10.0", "9.99", "-1", "1800"]
DATES = [
    "2026-01-01", "2026-01-01T00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31T23:59:59.5Z",
    "1767225600", "1767225601", "2025-12-31T20:00:00-05:00",
]  # fmt: skip
ADDRESSES = ["203.0.113.7", "203.0.113.8", "10.1.2.3", "2001:db8::1", "2001:db8:1::1"]
NETWORKS = [
    "203.0.113.7", "203.0.113.0/24", "10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/48", "203.0.113.8/31",
    "2001:db8:0:0::1",
]  # fmt: skip
ARNS = [
    "arn:aws:s3:::blue", "arn:aws:sns:us-east-1:111122223333:blue:red", "arn:aws:iam::111122223333:user/ann", "blue",
]  # fmt: skip
ARN_PATTERNS = [
    "arn:aws:s3:::*", "arn:*:*:*:*:*", "arn:aws:sns:*:111122223333:b*d", "arn:aws:sns:*:blue:red",
    "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::${aws:PrincipalAccount}:*",
    "arn:aws:iam::111122223333:role/a?p", "arn:aws:s3:::${aws:PrincipalTag/team}",
]  # fmt: skip

STRING = [
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
    "StringNotLike",
]  # fmt: skip
NUMERIC = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
ARN = ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"]
# The operators, what is sent with a request, and what stands in a policy.
STRINGS = STRING, TEXTS, [*TEXTS, "*", "b*", "alias/*", "?lias/b*", "*e", "x", 7, True]
# The condition keys: with their kind; several values may be sent of some.
KEYS = {
    "kms:RequestAlias": STRINGS,
    "kms:EncryptionContext:app": STRINGS,
    "aws:PrincipalTag/team": (STRING, ["blue", "red", "ann"], STRINGS[2]),
    "aws:username": (STRING, ["ann", "blue"], STRINGS[2]),
    "aws:PrincipalType": (STRING, [], ["User", "AssumedRole", "FederatedUser", "Account", "*s*"]),
    "kms:CallerAccount": (STRING, [], [ACCOUNT, ELSEWHERE, "1*", "${aws:PrincipalAccount}"]),
    "aws:ResourceAccount": (STRING, [], [ACCOUNT, ELSEWHERE, "4*", "${aws:PrincipalAccount}"]),
    "kms:EncryptionContextKeys": (STRING, MULTIPLE, [*MULTIPLE, "*", "b*", "?ed"]),
    "aws:TagKeys": (STRING, MULTIPLE, [*MULTIPLE, "*", "b*", "?ed"]),
    "aws:MultiFactorAuthAge": ([f"Numeric{name}" for name in NUMERIC], [*NUMBERS, "ten"], [*NUMBERS, 10, 5, 2.5, 1800]),
    "aws:CurrentTime": ([f"Date{name}" for name in NUMERIC], [*DATES, "soon"], [*DATES, 1767225600]),
    "aws:SecureTransport": (["Bool"], ["true", "false"], ["true", "false", True, False]),
    "aws:MultiFactorAuthPresent": (["Bool"], ["true", "false"], ["true", "false", True, False]),
    "aws:SourceIp": (["IpAddress", "NotIpAddress"], [*ADDRESSES, "somewhere"], NETWORKS),
    "aws:SourceArn": (ARN, ARNS, [*ARNS[:-1], *ARN_PATTERNS]),
    "aws:PrincipalArn": (ARN, ARNS[2:3], [*ARN_PATTERNS, "arn:aws:iam::111122223333:role/app", "arn:aws:iam::*:root"]),
    "kms:RetiringPrincipal": (["BinaryEquals"], ["Ymx1ZQ==", "cmVk"], ["Ymx1ZQ==", "cmVk"]),
}
SEVERAL = {"kms:EncryptionContextKeys", "aws:TagKeys"}
OPERATORS = {operator for operators, _, _ in KEYS.values() for operator in operators}


def drawn(seed):
    """The case of this number, always the same."""
    return Draws(Random(seed)).case()


class Draws:
    def __init__(self, random):
        self._random = random
        self._one_of = random.choice
        self._principal = self._action = self._resource = None
        self._context = {}

    def case(self):
        request = self._request()
        policies = {}
        if self._often(0.85):
            policies["identity"] = self._documents("identity")
        if self._often(0.6):
            policies["key"] = self._document("key")
        if self._often(0.35):
            policies["guardrail"] = self._documents("guardrail")
        everyone = ":federated-user/" in self._principal and self._names_everyone(policies.get("key"))
        if self._often(0.3) and not everyone:
            policies["boundary"] = self._documents("boundary")
        if self._often(0.3) and ":user/" not in self._principal and not everyone:
            policies["session"] = self._document("session")
        return {"policies": policies, "request": request}

    def _names_everyone(self, document):
        statements = document["Statement"] if document else []
        statements = statements if isinstance(statements, list) else [statements]
        principals = [statement.get("Principal", {}) for statement in statements]
        return any(one == "*" or "*" in one.get("AWS", []) for one in principals)

    def with_a_statement(self, case, effect):
        """The same case with one more statement of this effect, in a layer that is there (identity may come to be)."""
        case = copy.deepcopy(case)
        self._remember(case["request"])
        policies = case["policies"]
        if effect == "Allow" and "identity" not in policies:
            policies["identity"] = []
        layer = self._one_of(sorted(policies) or ["identity"])
        statement = self._statement(layer, effect)
        if layer in ("key", "session"):
            statements = policies[layer]["Statement"]
            # Its documents may have one statement, without a list.
            statements = statements if isinstance(statements, list) else [statements]
            policies[layer]["Statement"] = self._shuffled([*statements, statement])
        else:
            policies[layer] = self._shuffled(
                [*policies.get(layer, []), {"Version": "2012-10-17", "Statement": statement}]
            )
        return case

    def shuffled(self, case):
        """The same case, with its documents, statements, and lists of values in another order."""
        return {"policies": self._turned(case["policies"]), "request": case["request"]}

    def _turned(self, value):
        if isinstance(value, dict):
            return dict(self._shuffled([(name, self._turned(member)) for name, member in value.items()]))
        return self._shuffled([self._turned(member) for member in value]) if isinstance(value, list) else value

    def _shuffled(self, members):
        return self._random.sample(members, len(members))

    def _often(self, probability):
        return self._random.random() < probability

    def _list_or_one(self, draw):
        values = [draw() for _ in range(self._one_of([1, 1, 1, 2, 3]))]
        return values[0] if len(values) == 1 and self._often(0.6) else values

    # The request.

    def _request(self):
        principal = self._caller()
        action, resource = self._asked()
        context = {}
        for key, (_, values, _) in KEYS.items():
            # What the principal implies is seldom said otherwise.
            implied = key in ("aws:username", "aws:PrincipalArn")
            if values and self._often(0.05 if implied else 0.55):
                context[self._in_some_case(key)] = self._sent(key, values)
        request = {"principal": principal, "action": action, "resource": resource, "context": context}
        self._remember(request)
        return request

    def _remember(self, request):
        self._principal, self._resource = request["principal"], request["resource"]
        self._action = request["action"]
        self._context = {key.lower(): value for key, value in request["context"].items()}

    def _caller(self):
        name = self._one_of(NAMES)
        service = "sts" if name.startswith(("assumed-role", "federated-user")) else "iam"
        return f"arn:aws:{service}::{self._account()}:{name}"

    def _account(self):
        return ELSEWHERE if self._often(0.2) else ACCOUNT

    def _asked(self):
        if self._often(0.85):
            region, key = self._one_of(["us-east-1", "us-east-1", "eu-west-1"]), self._one_of(["blue", "blue", "red"])
            return self._one_of(KMS_ACTIONS), f"arn:aws:kms:{region}:{self._account()}:key/{key}"
        return self._one_of([("kms:ListKeys", "*"), ("s3:GetObject", "arn:aws:s3:::blue/ann")])

    def _sent(self, key, values):
        if key in SEVERAL:
            return self._random.sample(values, self._one_of([0, 1, 1, 2, 3]))
        one = self._one_of(values)
        # What a variable stands for is not a list.
        return [one] if self._often(0.1) and key not in ("aws:username", "aws:PrincipalTag/team") else one

    def _in_some_case(self, key):
        return self._one_of([str.lower, str.upper])(key) if self._often(0.1) else key

    # Documents.

    def _documents(self, layer):
        return [self._document(layer) for _ in range(self._one_of([1, 1, 2]))]

    def _document(self, layer):
        effects = self._random.choices(["Allow", "Deny"], [4, 1], k=self._one_of([1, 2, 3, 4]))
        statements = [self._statement(layer, effect, number) for number, effect in enumerate(effects)]
        # What limits allows most things.
        if layer in ("guardrail", "boundary", "session") and self._often(0.6):
            statements[0] = {"Effect": "Allow", "Action": self._one_of(["*", "kms:*"]), "Resource": "*"}
        document = self._random.choices([{"Version": "2012-10-17"}, {"Version": "2008-10-17"}, {}], [6, 1, 1])[0].copy()
        return document | {"Statement": statements[0] if len(statements) == 1 and self._often(0.5) else statements}

    def _statement(self, layer, effect, number=None):
        statement = {"Effect": effect}
        if number is not None and self._often(0.3):
            statement["Sid"] = f"S{number}"
        if layer == "key":
            statement |= self._principals(effect)
        statement["NotAction" if self._often(0.1) else "Action"] = self._list_or_one(self._action_pattern)
        statement["NotResource" if self._often(0.1) else "Resource"] = self._list_or_one(self._resource_pattern)
        # An Allow that asks for much is of no use, and a Deny that asks for nothing leaves none to the others.
        if self._often(0.4 if effect == "Allow" else 0.75):
            statement["Condition"] = self._condition()
        return statement

    def _action_pattern(self):
        often = [self._action, "*", "kms:*"]
        return self._one_of(often if self._often(0.6) else ACTION_PATTERNS + KMS_ACTIONS)

    def _resource_pattern(self):
        often = ["*", "*", self._resource]
        return self._one_of(often if self._often(0.7) else RESOURCE_PATTERNS)

    def _principals(self, effect):
        name = "NotPrincipal" if effect == "Deny" and self._often(0.3) else "Principal"
        if self._often(0.15):
            return {name: "*"}
        principals = {"AWS": self._list_or_one(self._named)} if self._often(0.95) else {"Service": "ec2.amazonaws.com"}
        return {name: principals}

    def _named(self):
        account = self._principal.split(":")[4]
        if self._often(0.4):
            return self._one_of([account, f"arn:aws:iam::{account}:root"])
        if self._often(0.5):
            return self._principal
        if self._often(0.4):
            return f"arn:aws:iam::{account}:role/app"
        if self._often(0.2):
            return self._one_of(["*", ELSEWHERE, f"arn:aws:iam::{ELSEWHERE}:root"])
        return self._caller()

    # Conditions.

    def _condition(self):
        condition = {}
        for key in self._random.sample(list(KEYS), self._one_of([1, 1, 1, 2])):
            condition.setdefault(self._operator(key), {})[self._in_some_case(key)] = self._values(key)
        # Null has values of its own.
        for operator, tests in condition.items():
            if operator == "Null":
                condition[operator] = {key: self._one_of(["true", "false", True, False]) for key in tests}
        return condition

    def _operator(self, key):
        if self._often(0.1):
            return "Null"
        operator = self._one_of(KEYS[key][0])
        sent = self._context.get(key.lower(), [])
        prefixes = ["ForAnyValue:"]
        if not key.startswith("kms:EncryptionContext:"):
            prefixes.append("ForAllValues:")
        several = isinstance(sent, list) and len(sent) > 1
        prefix = self._one_of(prefixes) if several or self._often(0.6 if key in SEVERAL else 0.15) else ""
        if_exists = self._often(0.2) and (prefix != "ForAnyValue:" or sent)
        return f"{prefix}{operator}{'IfExists' if if_exists else ''}"

    def _values(self, key):
        return self._list_or_one(lambda: self._value(key))

    def _value(self, key):
        operators, _, values = KEYS[key]
        sent = self._context.get(key.lower())
        if sent and self._often(0.5):
            one = self._one_of(sent) if isinstance(sent, list) else sent
            if operators is STRING and self._often(0.2):
                return self._escaped(one)
            if operators is STRING or one in values:
                return one
        return self._one_of(VARIABLES) if operators is STRING and self._often(0.25) else self._one_of(values)

    def _escaped(self, text):
        """What means this text where there are variables."""
        return "".join(f"${{{one}}}" if one in "*?$" else one for one in text)
