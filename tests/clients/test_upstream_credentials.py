"""Where the gateway finds what it signs with, and that it changes it in time; nothing of it is ever shown."""

import gc
import secrets
import time

import pytest
from in_front import EXAMPLE, InFront, wait_for
from hostile import KEY, Upstream, accepts_all_but
from upstream_site import end
from vending import ROLE, ContainerAgent, InstanceMetadata, Sts

DATA_KEY = {"KeyId": KEY, "KeySpec": "AES_256"}
# In seconds: long enough for a slow machine to ask again in the second half of it, and short enough to wait for.
SHORT = 4


class Site:
    """A gateway that finds its credentials somewhere, an upstream that looks at them, and who hands them out."""

    def __init__(self, directory):
        self._directory, self.upstream, self.vendors = directory, Upstream(), []
        self.gateway = self.kms = None

    def start(self, environment, more="", vendor=None, **settings):
        self.vendors += [vendor] if vendor else []
        self.gateway = InFront.to(self.upstream.url, self._directory, more, environment, **settings)
        self.kms = self.gateway.client()
        return self

    def ask(self):
        return self.kms.generate_data_key(**DATA_KEY)

    def refused(self):
        """What the record says of a call that the gateway has refused for want of credentials."""
        with pytest.raises(self.kms.exceptions.KMSInternalException) as raised:
            self.ask()
        assert raised.value.response["Error"]["Message"] == "the gateway had no answer from KMS; try again later"
        record = self.gateway.record(raised.value.response["ResponseMetadata"]["RequestId"])
        assert record["errorCode"] == "KMSInternalException"
        return record["additionalEventData"]["gateway"]["detail"]

    def used(self):
        """The access keys of the requests so far, in their order; each was handed out, used as it should be, and in
        its time."""
        [vendor], keys = self.vendors, []
        for request in self.upstream.requests:
            vended = vendor.vended[request.access_key_id]
            assert request.session_token == vended.token
            assert request.is_signed_by(vended.secret)
            assert request.signed_at < vended.ends
            if vended.id not in keys:
                keys.append(vended.id)
        return keys

    def stop(self):
        for secret in [secret for vendor in self.vendors for secret in vendor.secrets()]:
            self.gateway.keep_secret(secret)
        for vendor in self.vendors:
            vendor.stop()
        self.kms.close()
        # botocore closes a connection when its pool is collected.
        gc.collect()
        end(self.gateway)
        self.upstream.stop()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.stop()


def test_keys_of_the_environment_are_used_as_they_are(site):
    site.start(EXAMPLE).gateway.wait_until_ready()
    site.ask()
    [request] = site.upstream.requests
    assert request.access_key_id == EXAMPLE["AWS_ACCESS_KEY_ID"]
    assert request.session_token is None
    assert request.is_signed_by(EXAMPLE["AWS_SECRET_ACCESS_KEY"])
    assert site.gateway.metric("kmsgate_credentials_expire_seconds", source="default") == float("inf")


def test_a_session_token_of_the_environment_is_sent_and_signed(site):
    token = secrets.token_urlsafe(100)
    site.start(EXAMPLE | {"AWS_SESSION_TOKEN": token}).gateway.wait_until_ready()
    site.ask()
    [request] = site.upstream.requests
    assert request.session_token == token
    assert "x-amz-security-token" in request.headers["authorization"]
    assert request.is_signed_by(EXAMPLE["AWS_SECRET_ACCESS_KEY"])


@pytest.mark.parametrize("kind", ["container", "instance"])
def test_credentials_that_end_within_seconds_are_changed_without_a_failed_request(site, tmp_path, kind):
    vendor = ContainerAgent(tmp_path, SHORT) if kind == "container" else InstanceMetadata(SHORT)
    site.start(vendor.environment, vendor=vendor).gateway.wait_until_ready()
    # None of these may fail.
    wait_for(lambda: site.ask() and len(site.used()) >= 3)
    assert site.used() == list(vendor.vended)[: len(site.used())]
    assert site.gateway.metric("kmsgate_credentials_refreshes_total", outcome="failed") == 0
    assert 0 < site.gateway.metric("kmsgate_credentials_expire_seconds", source="default") <= SHORT + 1


def test_credentials_that_cannot_be_had_at_the_start_are_had_later(site, tmp_path):
    vendor = ContainerAgent(tmp_path, listening=False)
    site.start(vendor.environment, vendor=vendor)
    reason = wait_for(lambda: said(site.gateway, "none can be loaded"))
    assert reason.startswith("upstream 111122223333/us-east-1: there are no AWS credentials (default), and none can be")
    assert site.refused().startswith("the gateway has no AWS credentials: there are no AWS credentials (default)")
    assert site.upstream.connections == 0
    assert site.gateway.metric("kmsgate_credentials_refreshes_total", outcome="failed") >= 1
    assert site.gateway.metric("kmsgate_credentials_expire_seconds") == 0

    vendor.start()
    site.gateway.wait_until_ready()
    site.ask()
    assert len(site.used()) == 1


def said(gateway, text):
    unready = gateway.unready()
    return unready if text in unready else None


def test_credentials_that_cannot_be_changed_serve_until_they_end_and_not_longer(site, tmp_path):
    vendor = ContainerAgent(tmp_path, SHORT)
    site.start(vendor.environment, vendor=vendor).gateway.wait_until_ready()
    vendor.refuses = True
    site.ask()
    # It is said before they end, and they serve meanwhile.
    reason = wait_for(lambda: site.ask() and said(site.gateway, "cannot be replaced"))
    last = vendor.vended[site.used()[-1]]
    assert f"the AWS credentials (default) end at {last.ends_at} and cannot be replaced: " in reason
    while time.time() < last.ends - 1:
        site.ask()
    wait_for(lambda: said(site.gateway, "have ended at"))
    detail = site.refused()
    assert f"the AWS credentials (default) have ended at {last.ends_at}, and none can be loaded: " in detail
    assert site.used()[-1] == last.id

    vendor.refuses = False
    site.gateway.wait_until_ready()
    site.ask()
    assert site.used()[-1] != last.id


def test_credentials_that_kms_has_forgotten_are_asked_for_again_at_once(site, tmp_path):
    """They were to last for an hour."""
    vendor = ContainerAgent(tmp_path)
    site.start(vendor.environment, vendor=vendor).gateway.wait_until_ready()
    site.ask()
    [first] = site.used()
    site.upstream.always(accepts_all_but(first, "ExpiredTokenException"))
    assert site.refused() == "the upstream does not accept the gateway's credentials: ExpiredTokenException"
    assert "AWS does not accept the credentials (default): ExpiredTokenException" in site.gateway.unready()
    site.gateway.wait_until_ready()
    site.ask()
    assert site.used() == list(vendor.vended) == [first, site.used()[-1]]


# Roles.


def test_a_role_of_the_configuration_is_assumed_with_what_the_chain_finds(site):
    sts = Sts(SHORT)
    more = f'role_arn = "{ROLE}"\nrole_session_name = "gate-7"\nrole_external_id = "of-the-other-account"'
    site.start(EXAMPLE | sts.environment, more, sts).gateway.wait_until_ready()
    site.ask()
    [used] = site.used()
    parameters, headers = sts.calls[0]
    assert parameters["Action"] == "AssumeRole"
    assert (parameters["RoleArn"], parameters["RoleSessionName"]) == (ROLE, "gate-7")
    assert parameters["ExternalId"] == "of-the-other-account"
    # By the long-lived key, for STS of the same region.
    assert f"Credential={EXAMPLE['AWS_ACCESS_KEY_ID']}/" in headers["authorization"]
    assert "/us-east-1/sts/aws4_request" in headers["authorization"]
    assert site.gateway.metric("kmsgate_credentials_refreshes_total", source=ROLE, outcome="loaded") >= 1
    # And again, before what it gave ends.
    wait_for(lambda: site.ask() and len(site.used()) >= 2)
    assert all(call["RoleArn"] == ROLE for call, _ in sts.calls)


def test_a_role_of_a_profile_is_assumed_with_the_key_that_it_names(site, tmp_path):
    sts = Sts()
    profiles = tmp_path / "profiles"
    profiles.write_text(
        f"""
        [profile gateway]
        role_arn = {ROLE}
        source_profile = base
        role_session_name = of-the-profile
        [profile base]
        aws_access_key_id = {EXAMPLE["AWS_ACCESS_KEY_ID"]}
        aws_secret_access_key = {EXAMPLE["AWS_SECRET_ACCESS_KEY"]}
        """.replace("        ", "")
    )
    environment = {"AWS_CONFIG_FILE": profiles, "AWS_PROFILE": "gateway"}
    site.start(environment | sts.environment, vendor=sts).gateway.wait_until_ready()
    site.gateway.keep_secret(EXAMPLE["AWS_SECRET_ACCESS_KEY"])
    site.ask()
    assert len(site.used()) == 1
    parameters, headers = sts.calls[0]
    assert (parameters["Action"], parameters["RoleSessionName"]) == ("AssumeRole", "of-the-profile")
    assert f"Credential={EXAMPLE['AWS_ACCESS_KEY_ID']}/" in headers["authorization"]


def test_a_key_that_is_changed_in_its_file_is_used_once_kms_refuses_the_old_one(site, tmp_path):
    profiles = tmp_path / "profiles"
    key = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    profiles.write_text(key.format(EXAMPLE["AWS_ACCESS_KEY_ID"], EXAMPLE["AWS_SECRET_ACCESS_KEY"]))
    site.start({"AWS_SHARED_CREDENTIALS_FILE": profiles}).gateway.wait_until_ready()
    site.gateway.keep_secret(EXAMPLE["AWS_SECRET_ACCESS_KEY"])
    site.ask()
    other = secrets.token_urlsafe(30)
    site.gateway.keep_secret(other)
    profiles.write_text(key.format("AKIAI44QH8DHBEXAMPLE", other))
    site.upstream.always(accepts_all_but(EXAMPLE["AWS_ACCESS_KEY_ID"], "InvalidClientTokenId"))
    assert "InvalidClientTokenId" in site.refused()
    site.gateway.wait_until_ready()
    site.ask()
    request = site.upstream.requests[-1]
    assert request.access_key_id == "AKIAI44QH8DHBEXAMPLE"
    assert request.is_signed_by(other)


def test_a_web_identity_is_read_from_its_file_each_time(site, tmp_path):
    sts, file = Sts(SHORT), tmp_path / "identity"
    identities = [secrets.token_urlsafe(100) for _ in range(2)]
    file.write_text(identities[0])
    environment = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": file,
        "AWS_ROLE_ARN": ROLE,
        "AWS_ROLE_SESSION_NAME": "of-the-pod",
    }
    site.start(environment | sts.environment, vendor=sts).gateway.wait_until_ready()
    for identity in identities:
        site.gateway.keep_secret(identity)
    site.ask()
    # As the kubelet does it.
    new = tmp_path / "new"
    new.write_text(identities[1])
    new.rename(file)
    wait_for(lambda: site.ask() and len(site.used()) >= 2)
    (first, headers), *later = sts.calls
    assert (first["Action"], first["RoleSessionName"]) == ("AssumeRoleWithWebIdentity", "of-the-pod")
    assert first["WebIdentityToken"] == identities[0]
    # Who has no key yet signs nothing.
    assert "authorization" not in headers
    assert later[-1][0]["WebIdentityToken"] == identities[1]


def test_an_sts_that_refuses_is_the_reason_why_the_gateway_is_not_ready(site):
    sts = Sts()
    sts.refuses = True
    site.start(EXAMPLE | sts.environment, f'role_arn = "{ROLE}"', sts)
    reason = wait_for(lambda: said(site.gateway, "none can be loaded"))
    assert f"there are no AWS credentials ({ROLE})" in reason
    assert "AccessDenied" in reason
    sts.refuses = False
    site.gateway.wait_until_ready()
    site.ask()
    assert len(site.used()) == 1


# At its most talkative the HTTP stack tells all that it does. The SDK would too, and the session tokens of instances.


@pytest.mark.parametrize("kind", ["container", "instance", "role", "web identity"])
def test_no_level_of_the_log_shows_a_secret(site, tmp_path, kind):
    identity, more = secrets.token_urlsafe(100), ""
    (tmp_path / "identity").write_text(identity)
    if kind == "container":
        vendor, environment = ContainerAgent(tmp_path), {}
    elif kind == "instance":
        vendor, environment = InstanceMetadata(), {}
    elif kind == "role":
        vendor, environment, more = Sts(), EXAMPLE, f'role_arn = "{ROLE}"'
    else:
        vendor, environment = Sts(), {"AWS_WEB_IDENTITY_TOKEN_FILE": tmp_path / "identity", "AWS_ROLE_ARN": ROLE}
    site.start(environment | vendor.environment, more, vendor, log="trace").gateway.wait_until_ready()
    site.gateway.keep_secret(identity)
    site.ask()
    site.used()
    for request in site.upstream.requests:
        site.gateway.keep_secret(request.signature)
    site.stop()
    log = site.gateway.stderr.text()
    assert b"hyper" in log and b"aws_smithy" not in log
