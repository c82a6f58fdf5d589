"""A gateway in front of an upstream of the tests' own, and what it says of itself at its admin address."""

import collections
import re
import time
import urllib.request
from urllib.parse import urlsplit

from gateway import PATIENCE, Gateway

# AWS's documented example: what the gateway signs with where a test gives it nothing else.
EXAMPLE = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
BACKEND = """
kind = "aws"
endpoint_url = "{url}"
# So that every connection is one that a test has asked for.
warm_connections = 0
# KMS allows fewer calls of these in a second than tests make.
quota.per_second.create_key = 10000
quota.per_second.enable_key = 10000
{more}
"""


class InFront(Gateway):
    """One run of `kmsgate serve` in front of an upstream."""

    @classmethod
    def to(cls, url, directory, more="", environment=None, principals=("caller",), server="", **settings):
        """`more` are lines of `[backend]`, `environment` is where the gateway finds its credentials."""
        environment = EXAMPLE if environment is None else environment
        backend = BACKEND.format(url=url, more=more)
        # One worker, and so one pool of connections.
        server = f"workers = 1\n{server}"
        gateway = cls.serve(directory, principals, environment=environment, backend=backend, server=server, **settings)
        gateway.key = gateway.keys[principals[0]]
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]:
            if name in environment:
                gateway.keep_secret(environment[name])
        return gateway

    def wait_until_ready(self):
        wait_for(lambda: not self.unready(), self.unready)
        return self

    def metric(self, name, **labels):
        """The sum of all series of that name with these labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        found = [value for about, value in self._series(name) if wanted <= about]
        assert found, f"there is no metric {name} of {labels}"
        return sum(found)

    def failures(self):
        """How many requests the upstream did not answer, by kind; only those there were."""
        counted = collections.Counter()
        for about, count in self._series("kmsgate_upstream_failures_total"):
            [kind] = [label[6:-1] for label in about if label.startswith("kind=")]
            counted[kind] += int(count)
        assert counted, "failures are not counted"
        return {kind: count for kind, count in counted.items() if count}

    def _series(self, name):
        """Each series of that name: its labels, as `label="value"`, and its value."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=PATIENCE) as page:
            text = page.read().decode()
        for labels, value in re.findall(rf"^{name}(?:{{(.*)}})? (.*)$", text, re.MULTILINE):
            yield set(re.findall(r'\w+="[^"]*"', labels)), float(value)

    def forwarded_record(self, upstream_request_id):
        """The one record of a request that an upstream has answered."""

        def of_it(record):
            ids = [record["requestID"], record["additionalEventData"]["gateway"].get("upstreamRequestId")]
            return upstream_request_id in ids

        return self.record_with(upstream_request_id, of_it)


def wait_for(event, otherwise=lambda: "it did not come"):
    """Looks again and again until `event` is something."""
    until = time.monotonic() + PATIENCE
    while not (seen := event()):
        assert time.monotonic() < until, otherwise()
        time.sleep(0.02)
    return seen


def port_of(url):
    return urlsplit(url).port
