"""The conformance cases of tests/conformance, and what each expects of an answer.

Its README says what the members of a case mean.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from gateway import REGION

DIRECTORY = Path(__file__).parents[1] / "conformance"
SOURCES = {"recorded", "documented", "unverified"}


@dataclass(frozen=True)
class Case:
    topic: str
    name: str
    operation: str
    request: str
    source: str
    reference: str
    code: str | None = None
    text: str | None = None
    status: int = 200
    answer: str | None = None
    members: tuple[str, ...] | None = None
    given: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    region: str = REGION

    @property
    def id(self):
        return f"{self.topic}: {self.name}"

    @property
    def recorded(self):
        return recorded(self.code)

    def prepared(self, world):
        """The world of this case, after what is done before its request."""
        own = world.case()
        for operation, request in self.given:
            world.call(operation, **json.loads(own.fill(request)))
        return own

    def says(self, text, own):
        """Whether the error's `text`, `None` where it has none, is the one expected."""
        if self.text is None:
            return True
        if text is None or self.text == "":
            return text is None and self.text == ""
        expected, told = items(self.text), items(text)
        # KMS tells several faults in an order of its own.
        return len(expected) == len(told) and all(any(own.matches(e, t) for t in told) for e in expected)


def recorded(code):
    """CloudTrail's name for an error: its own for this one."""
    return "AccessDenied" if code == "AccessDeniedException" else code


def items(text):
    """The faults of a validation error, with what is said before them; the whole of any other text."""
    head, told, rest = text.partition(" detected: ")
    return [head, *rest.split("; ")] if told else [text]


def read(file):
    for case in tomllib.loads(file.read_text())["case"]:
        case |= {
            "status": case.get("status", 400 if "code" in case else 200),
            "given": tuple(tuple(step) for step in case.get("given", ())),
            "headers": tuple(case.get("headers", {}).items()),
            "members": tuple(case["members"]) if "members" in case else None,
        }
        yield Case(topic=file.stem.replace("_", " "), **case)


CASES = [case for file in sorted(DIRECTORY.glob("*.toml")) for case in read(file)]

# One refusal of each code, for clients that take their time and send what is a request of the model alone.
PLAIN = [case for case in CASES if case.code and case.topic != "wire" and case.region == REGION]
ONE_OF_EACH_CODE = list({case.code: case for case in reversed(PLAIN)}.values())[::-1]
