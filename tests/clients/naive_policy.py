"""A second opinion on policies: what the documentation of AWS says, written down once more and as plainly as can be.

It is read from the top to the bottom, remembers nothing, and takes only documents without faults. It knows nothing of
the program that it is compared with: test_policy_cases.py and test_policy_agreement.py do that.
"""

import base64
import binascii
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

# In this order the layer is named that denies, and the one whose Allow is missing.
LAYERS = ["guardrail", "key", "boundary", "session", "identity"]
# A text is a list of its characters, with these between them where a pattern has its wildcards.
ANY_RUN, ANY_ONE = object(), object()


@dataclass(frozen=True)
class Reason:
    """Why: of these statements of the layer, each with the place of its document, any may be named."""

    layer: str
    effect: str
    statements: frozenset = frozenset()

    def is_given_by(self, reason):
        """Whether the program gives this reason."""
        place = (reason.get("policy"), reason.get("statement"))
        named = place in self.statements if self.statements else place == (None, None)
        return named and (reason["layer"], reason["effect"]) == (self.layer, self.effect)


@dataclass(frozen=True)
class Verdict:
    """`reasons` is `None` where it is not said which they are."""

    result: str
    reasons: list | None

    def is_explained_by(self, reasons):
        """Whether the program gives these reasons."""
        if self.reasons is None:
            return True
        return len(reasons) == len(self.reasons) and all(map(Reason.is_given_by, self.reasons, reasons))


@dataclass(frozen=True)
class Caller:
    arn: str
    account: str
    # As the documentation names it: root, user, role, session, federated.
    kind: str
    # The role of a session.
    role: str | None
    name: str


@dataclass(frozen=True)
class Request:
    caller: Caller
    action: str
    resource: str
    # The values of each condition key, by its name in lower case.
    context: dict


def decide(case):
    policies, request = case.get("policies", {}), request_of(case["request"])
    caller = request.caller

    for layer in LAYERS:
        if denies := applying(policies, layer, "Deny", request):
            return Verdict("ExplicitlyDenied", [reason(layer, "Deny", denies)])

    allows = {layer: applying(policies, layer, "Allow", request) for layer in LAYERS}

    def lacks(layer):
        return bool(documents(policies, layer)) and not allows[layer]

    def lacking(layer):
        return Verdict("ImplicitlyDenied", [Reason(layer, "None")])

    if lacks("guardrail"):
        return lacking("guardrail")

    # Without a key policy it is as if there were one that leaves all to the account. RetireGrant cannot be allowed by
    # a key policy.
    by_key_policy = "key" in policies and request.action.lower() != "kms:retiregrant"
    if by_key_policy and lacks("key"):
        return lacking("key")
    by_key = [reason("key", "Allow", allows["key"])] if by_key_policy else []

    # A root user has no identity policies and needs none.
    if caller.kind == "root":
        return Verdict("Allowed", by_key or None)

    # Within its account a key policy may name the caller, and that is enough.
    own_account = account_of(request.resource) in ("", caller.account)
    direct, limited = set(), set()
    if by_key_policy and own_account:
        for place, ways in allows["key"].items():
            if ways & {"user", "session", "federated"} or caller.kind == "user" and "everyone" in ways:
                direct.add(place)
            elif ways & {"role", "everyone"}:
                limited.add(place)
    if direct:
        # Neither a boundary nor a session policy limits what these allow.
        outside = lacks("boundary") or lacks("session")
        return Verdict("Allowed", [reason("key", "Allow", direct if outside else direct | limited)])

    if lacks("boundary"):
        return lacking("boundary")
    if lacks("session"):
        return lacking("session")
    if limited:
        return Verdict("Allowed", [reason("key", "Allow", limited)])
    if not allows["identity"]:
        return lacking("identity")
    return Verdict("Allowed", [*by_key, reason("identity", "Allow", allows["identity"])])


def reason(layer, effect, statements):
    return Reason(layer, effect, frozenset(statements))


def documents(policies, layer):
    """The documents of a layer; of a key and of a session there is one."""
    return as_list(policies.get(layer, []))


def as_list(value):
    return value if isinstance(value, list) else [value]


# The request.


def request_of(request):
    caller = caller_of(request["principal"])
    context = implied(caller, request["resource"])
    for name, value in request.get("context", {}).items():
        context[name.lower()] = as_list(value)
    return Request(caller, request["action"], request["resource"], context)


def caller_of(arn):
    _, _, _, _, account, path = arn.split(":")
    kind, *names = path.split("/")
    if kind == "assumed-role":
        return Caller(arn, account, "session", f"arn:aws:iam::{account}:role/{names[0]}", names[-1])
    if kind == "federated-user":
        return Caller(arn, account, "federated", None, names[-1])
    return Caller(arn, account, kind, None, names[-1] if names else "")


def implied(caller, resource):
    """What is known of every request."""
    types = {"root": "Account", "user": "User", "role": "AssumedRole"}
    types |= {"session": "AssumedRole", "federated": "FederatedUser"}
    context = {
        "aws:principalarn": [caller.role or caller.arn],
        "aws:principalaccount": [caller.account],
        "aws:principaltype": [types[caller.kind]],
        "kms:calleraccount": [caller.account],
    }
    if caller.kind == "user":
        context["aws:username"] = [caller.name]
    if account_of(resource):
        context["aws:resourceaccount"] = [account_of(resource)]
    return context


def account_of(resource):
    return resource.split(":", 5)[4] if resource != "*" else ""


# Statements.


def applying(policies, layer, effect, request):
    """The statements of this effect that apply to the request: by their places, how they name its caller."""
    found, bounded = {}, bool(documents(policies, "boundary"))
    for policy, document in enumerate(documents(policies, layer)):
        # The version that is meant if none is given has no variables.
        variables = document.get("Version") == "2012-10-17"
        for number, statement in enumerate(as_list(document["Statement"])):
            of_key = layer == "key"
            ways = ways_to_name(statement, request.caller, bounded) if of_key else {"attached"}
            if statement["Effect"] == effect and ways and applies(statement, request, variables):
                found[policy, statement.get("Sid", number)] = frozenset(ways)
    return found


def ways_to_name(statement, caller, bounded):
    """As what the caller is meant by a statement of a key policy; nothing if it is not meant."""
    if "Principal" in statement:
        return ways_in(statement["Principal"], caller)
    listed = ways_in(statement["NotPrincipal"], caller)
    if "everyone" in listed:
        return set()
    if statement["Effect"] == "Allow":
        # What is to allow all but some leaves out whoever is listed by any name.
        return set() if listed else {"everyone"}
    # Whoever has a boundary is denied, whomever the statement lists.
    if bounded:
        return {"everyone"}
    # To be excepted, a session of a role has to be listed by itself, its role and its account; another by itself.
    names = {"account"} if caller.kind == "root" else {caller.kind}
    if caller.role:
        names |= {"role", "account"}
    return set() if names <= listed else {"everyone"}


def ways_in(principals, caller):
    if principals == "*":
        return {"everyone"}
    ways = set()
    # Services and other providers of identities do not call here.
    for name in as_list(principals.get("AWS", [])):
        if name == "*":
            ways.add("everyone")
        if name in (caller.account, f"arn:aws:iam::{caller.account}:root"):
            ways.add("account")
        if name == caller.arn:
            ways.add(caller.kind)
        if name == caller.role:
            ways.add("role")
    return ways


def applies(statement, request, variables):
    return (
        action_is_meant(statement, request.action)
        and resource_is_meant(statement, request, variables)
        and all(
            holds(operator, key, as_list(values), request.context, variables)
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def action_is_meant(statement, action):
    if "NotAction" in statement:
        return not any(action_matches(pattern, action) for pattern in as_list(statement["NotAction"]))
    return any(action_matches(pattern, action) for pattern in as_list(statement["Action"]))


def action_matches(pattern, action):
    if pattern == "*":
        return True
    service, _, name = pattern.lower().partition(":")
    of_service, _, called = action.lower().partition(":")
    return service == of_service and matches(with_wildcards(name), called)


def resource_is_meant(statement, request, variables):
    """A statement of a key policy that names no resource has no effect."""

    def among(patterns):
        return any(resource_matches(pattern, request, variables) for pattern in as_list(patterns))

    if "NotResource" in statement:
        return not among(statement["NotResource"])
    return "Resource" in statement and among(statement["Resource"])


def resource_matches(pattern, request, variables):
    if pattern == "*":
        return True
    parts, named = pattern.split(":", 5), request.resource.split(":", 5)
    if len(parts) != 6 or len(named) != 6:
        return False
    # arn, partition and service as they are; then region and account; and in the rest there may be variables.
    last = expanded(parts[5], request.context, wildcards=True) if variables else with_wildcards(parts[5])
    return (
        parts[:3] == named[:3]
        and matches(with_wildcards(parts[3]), named[3])
        and matches(with_wildcards(parts[4]), named[4])
        and last is not None
        and matches(last, named[5])
    )


# Texts, wildcards and variables.


def matches(pattern, text):
    """Follows where in the text the pattern as far as it is read may end."""
    ends = {0}
    for one in pattern:
        if one is ANY_RUN:
            ends = {later for end in ends for later in range(end, len(text) + 1)}
        else:
            ends = {end + 1 for end in ends if end < len(text) and (one is ANY_ONE or one == text[end])}
    return len(text) in ends


def with_wildcards(text):
    return [{"*": ANY_RUN, "?": ANY_ONE}.get(character, character) for character in text]


def expanded(text, context, wildcards):
    """The pattern after its variables got their values, which are only text; `None` if there is no value for one."""
    before, variable, rest = text.partition("${")
    pattern = with_wildcards(before) if wildcards else list(before)
    if not variable:
        return pattern
    name, _, after = rest.partition("}")
    value, after = value_of(name, context), expanded(after, context, wildcards)
    return None if value is None or after is None else [*pattern, *value, *after]


def value_of(variable, context):
    if variable in ("*", "?", "$"):
        return variable
    name, comma, default = variable.partition(",")
    values = context.get(name.strip().lower(), [])
    if len(values) == 1:
        return values[0]
    return default.strip().removeprefix("'").removesuffix("'") if comma and not values else None


# Conditions.


def holds(operator, key, values, context, variables):
    """Whether the values that were sent stand to the values of the policy as the operator says."""
    sent = context.get(key.lower(), [])
    values = [text_of(value) for value in values]
    quantifier, _, operator = operator.rpartition(":")
    if operator == "Null":
        return any(value.lower() == ("false" if sent else "true") for value in values)
    if operator.endswith("IfExists") and not sent:
        return True
    operator = operator.removesuffix("IfExists")
    negated = "Not" in operator
    basic = BASIC[operator.replace("Not", "")]

    def passes(one):
        return any(basic(one, value, context, variables) for value in values) != negated

    if quantifier == "ForAllValues":
        return sent == [""] or all(passes(one) for one in sent)
    if quantifier == "ForAnyValue" or sent:
        return any(passes(one) for one in sent)
    return negated


def text_of(scalar):
    """As it stands in JSON, without quotes."""
    return {True: "true", False: "false"}[scalar] if isinstance(scalar, bool) else str(scalar)


def string_equals(sent, value, context, variables):
    pattern = expanded(value, context, wildcards=False) if variables else list(value)
    return pattern == list(sent)


def string_equals_ignore_case(sent, value, context, variables):
    pattern = expanded(value, context, wildcards=False) if variables else list(value)
    return pattern is not None and "".join(pattern).lower() == sent.lower()


def string_like(sent, value, context, variables):
    pattern = expanded(value, context, wildcards=True) if variables else with_wildcards(value)
    return pattern is not None and matches(pattern, sent)


def arn_like(sent, value, context, variables):
    pattern = expanded(value, context, wildcards=True) if variables else with_wildcards(value)
    if pattern is None:
        return False
    parts = [[]]
    for one in pattern:
        if one == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(one)
    texts = sent.split(":", 5)
    return len(parts) == len(texts) == 6 and all(matches(part, text) for part, text in zip(parts, texts))


def numeric(compare):
    return lambda sent, value, *_: compared(number(sent), number(value), compare)


def date(compare):
    return lambda sent, value, *_: compared(moment(sent), moment(value), compare)


def compared(sent, value, compare):
    """What is no number or no date has no relation to anything."""
    return sent is not None and value is not None and compare(sent, value)


def number(text):
    whole, dot, decimals = text.removeprefix("-").partition(".")
    digits = [whole, decimals] if dot else [whole]
    return Decimal(text) if all(part.isascii() and part.isdigit() for part in digits) else None


def moment(text):
    """In seconds since 1970, which is also the other way to write it."""
    if text.isascii() and text.isdigit():
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400 + since.seconds + Decimal(since.microseconds) / 1_000_000


def boolean(sent, value, *_):
    return sent.lower() == value.lower() and sent.lower() in ("true", "false")


def binary_equals(sent, value, *_):
    """Bytes are written in base64."""
    try:
        return base64.b64decode(value, validate=True) == base64.b64decode(sent, validate=True)
    except binascii.Error:
        return False


def ip_address(sent, value, *_):
    try:
        return ipaddress.ip_address(sent) in ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False


BASIC = {
    "StringEquals": string_equals,
    "StringEqualsIgnoreCase": string_equals_ignore_case,
    "StringLike": string_like,
    "NumericEquals": numeric(lambda sent, value: sent == value),
    "NumericLessThan": numeric(lambda sent, value: sent < value),
    "NumericLessThanEquals": numeric(lambda sent, value: sent <= value),
    "NumericGreaterThan": numeric(lambda sent, value: sent > value),
    "NumericGreaterThanEquals": numeric(lambda sent, value: sent >= value),
    "DateEquals": date(lambda sent, value: sent == value),
    "DateLessThan": date(lambda sent, value: sent < value),
    "DateLessThanEquals": date(lambda sent, value: sent <= value),
    "DateGreaterThan": date(lambda sent, value: sent > value),
    "DateGreaterThanEquals": date(lambda sent, value: sent >= value),
    "Bool": boolean,
    "BinaryEquals": binary_equals,
    "IpAddress": ip_address,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
}
