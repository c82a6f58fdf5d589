"""Two principals behind one quota of KMS's: the noisy one gets what the quiet one leaves."""

import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from in_front import InFront
from gateway import PATIENCE
from hostile import KEY, Upstream
from wire import signed, start

# Of the whole gateway, in requests a second; half of it is each principal's.
BUDGET = 100
SECONDS = 3
# Each of them asks ten times a second, and all of them ten times as often as their principal may.
NOISY = 50
QUIET_PER_SECOND = 0.4 * BUDGET / 2


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def gateway(upstream, tmp_path):
    quota = f"quota.percent = 100\nquota.per_second.symmetric = {BUDGET}"
    gateway = InFront.to(upstream.url, tmp_path, quota, principals=("noisy", "quiet")).wait_until_ready()
    yield gateway
    gateway.stop()


def test_who_asks_for_ten_times_its_share_takes_nothing_from_who_stays_below_its_own(gateway, upstream):
    noisy = [Noisy(gateway) for _ in range(NOISY)]
    quiet = Quiet(gateway)
    began = time.monotonic()
    for caller in noisy:
        caller.start()
    quiet.call_until(began + SECONDS)
    for caller in noisy:
        caller.end()
    passed = time.monotonic() - began

    assert quiet.granted >= 0.95 * quiet.asked, f"{quiet.granted} of {quiet.asked}"
    granted, asked = sum(caller.granted for caller in noisy), sum(caller.asked for caller in noisy)
    left = BUDGET * passed - quiet.granted
    print(f"quiet: {quiet.granted} of {quiet.asked}, noisy: {granted} of {asked}, left: {left:.0f}")
    if asked < 2 * left:
        pytest.skip(f"this machine cannot make the noise: {asked} requests in {passed:.1f} s")
    assert 0.8 * left <= granted <= 1.1 * left
    all_granted, all_asked = granted + quiet.granted, asked + quiet.asked
    assert len(upstream.requests) == all_granted
    assert gateway.metric("kmsgate_share_admitted_total", quota="symmetric") == all_granted
    assert gateway.metric("kmsgate_share_refused_total", quota="symmetric") == all_asked - all_granted


class Noisy(threading.Thread):
    """Asks ten times a second over a connection of its own, always by the same bytes, so that it costs little here."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        body = f'{{"KeyId": "{KEY}", "KeySpec": "AES_256"}}'.encode()
        self._request = signed(gateway, "GenerateDataKeyWithoutPlaintext", body, gateway.keys["noisy"])
        self._connection = HTTPConnection(urlsplit(gateway.endpoint).netloc, timeout=PATIENCE)
        self._ending, self._fault = threading.Event(), None
        self.asked = self.granted = 0

    def run(self):
        try:
            while not self._ending.is_set():
                due = time.monotonic() + 0.1
                self._ask()
                self._ending.wait(max(0, due - time.monotonic()))
        except BaseException as fault:
            self._fault = fault

    def _ask(self):
        start(self._connection, self._request)
        self._connection.send(self._request.body)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200 or b"ThrottlingException" in body, body
        self.asked += 1
        self.granted += answer.status == 200

    def end(self):
        self._ending.set()
        self.join(PATIENCE)
        assert not self.is_alive(), "it is not answered"
        self._connection.close()
        if self._fault:
            raise self._fault


class Quiet:
    """Asks at an even pace, by an SDK that does not try again."""

    def __init__(self, gateway):
        self._kms = gateway.client(gateway.keys["quiet"])
        self.asked = self.granted = 0

    def call_until(self, end):
        due = time.monotonic()
        while due < end:
            time.sleep(max(0, due - time.monotonic()))
            self.asked += 1
            try:
                self._kms.generate_data_key_without_plaintext(KeyId=KEY, KeySpec="AES_256")
                self.granted += 1
            except ClientError as refused:
                assert refused.response["Error"]["Code"] == "ThrottlingException"
            # Who is late does not make up for it.
            due = max(due, time.monotonic() - 1 / QUIET_PER_SECOND) + 1 / QUIET_PER_SECOND
        self._kms.close()
