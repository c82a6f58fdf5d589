"""Stand-ins for what hands out AWS credentials: a container's agent, an instance's metadata, and STS.

Each gives new ones at every question and knows which it gave, so that whoever gets a request can tell what it should be
signed with. Like AWS's they can be down.
"""

import json
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

TEXT, JSON = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
XML = {"Content-Type": "text/xml"}
ROLE = "arn:aws:iam::111122223333:role/gateway"


@dataclass(frozen=True)
class Vended:
    id: str
    secret: str
    token: str
    # In seconds since 1970.
    ends: int

    @property
    def ends_at(self):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.ends))


class Vendor:
    """Listens from its start on, again on the same port when it was stopped."""

    def __init__(self, lifetime=3600, listening=True):
        self.lifetime = lifetime
        # All that were given, by the ids of their access keys; in the order in which they were.
        self.vended = {}
        # Whether it gives none, which its clients do not ask for again and again.
        self.refuses = False
        # What was asked: method, path, headers, body.
        self.asked, self.faults = [], []
        self._server = self._made(0)
        self._port = self._server.server_port
        self._listening = False
        if listening:
            self._serve()
        else:
            self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def start(self):
        self._server = self._made(self._port)
        self._serve()

    def stop(self):
        if self._listening:
            self._listening = False
            self._server.shutdown()
            self._server.server_close()
        assert not self.faults, self.faults

    def new(self):
        """New credentials, which last for `lifetime` seconds and up to one more."""
        made = Vended(
            f"ASIA{secrets.token_hex(8).upper()}",
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(200),
            int(time.time()) + self.lifetime + 1,
        )
        self.vended[made.id] = made
        return made

    def secrets(self):
        """All that nobody else may see."""
        return [text for vended in self.vended.values() for text in [vended.secret, vended.token]]

    def answer(self, method, path, headers, body):
        """Status, headers and body."""
        raise NotImplementedError

    def _made(self, port):
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                vendor.asked.append((self.command, self.path, self.headers, body))
                try:
                    status, headers, answer = vendor.answer(self.command, self.path, self.headers, body)
                except Exception as fault:
                    vendor.faults.append(repr(fault))
                    status, headers, answer = 500, TEXT, "see the test"
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.encode())

            do_GET = do_PUT = do_POST = _any

            def log_message(self, *_):
                pass

        return ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def _serve(self):
        self._listening = True
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()


class ContainerAgent(Vendor):
    """As EKS Pod Identity has it: the workload shows a token that it reads from a file."""

    def __init__(self, directory, lifetime=3600, listening=True):
        super().__init__(lifetime, listening)
        self.token = secrets.token_urlsafe(100)
        self._file = directory / "token"
        self._file.write_text(self.token)

    @property
    def environment(self):
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self._file,
        }

    def secrets(self):
        return [*super().secrets(), self.token]

    def answer(self, method, path, headers, body):
        assert (method, path, headers["authorization"]) == ("GET", "/v1/credentials", self.token)
        if self.refuses:
            return 403, JSON, json.dumps({"code": "AccessDenied", "message": "not any more"})
        made = self.new()
        members = {"AccessKeyId": made.id, "SecretAccessKey": made.secret, "Token": made.token}
        return 200, JSON, json.dumps(members | {"Expiration": made.ends_at, "AccountId": "111122223333"})


class InstanceMetadata(Vendor):
    """Version 2 of the service: nothing without a token, which is asked for by PUT."""

    NAMES = "/latest/meta-data/iam/security-credentials/"

    def __init__(self, lifetime=3600, listening=True):
        super().__init__(lifetime, listening)
        self.token = secrets.token_urlsafe(40)

    @property
    def environment(self):
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, "AWS_EC2_METADATA_DISABLED": "false"}

    def secrets(self):
        return [*super().secrets(), self.token]

    def answer(self, method, path, headers, body):
        if (method, path) == ("PUT", "/latest/api/token"):
            lasts = headers["x-aws-ec2-metadata-token-ttl-seconds"]
            assert 0 < int(lasts) <= 21_600
            return 200, TEXT | {"x-aws-ec2-metadata-token-ttl-seconds": lasts}, self.token
        if headers.get("x-aws-ec2-metadata-token") != self.token:
            return 401, TEXT, ""
        if path == self.NAMES:
            return 200, TEXT, "gateway"
        if path != f"{self.NAMES}gateway":
            return 404, TEXT, ""
        made = self.new()
        members = {"AccessKeyId": made.id, "SecretAccessKey": made.secret, "Token": made.token}
        about = {"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": made.ends_at, "Expiration": made.ends_at}
        return 200, JSON, json.dumps(members | about)


class Sts(Vendor):
    """Roles, for whoever asks."""

    @property
    def environment(self):
        return {"AWS_ENDPOINT_URL_STS": self.url}

    @property
    def calls(self):
        """The parameters of each call, and its headers."""
        return [
            ({name: value for name, [value] in parse_qs(body.decode()).items()}, headers)
            for _, _, headers, body in self.asked
        ]

    def answer(self, method, path, headers, body):
        parameters = parse_qs(body.decode())
        [action], [role] = parameters["Action"], parameters["RoleArn"]
        assert (method, path) == ("POST", "/") and role == ROLE
        if self.refuses:
            text = "User x is not authorized to perform: sts:AssumeRole"
            error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>"
            return 403, XML, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"
        made = self.new()
        return (
            200,
            XML,
            f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>
            <AccessKeyId>{made.id}</AccessKeyId><SecretAccessKey>{made.secret}</SecretAccessKey>
            <SessionToken>{made.token}</SessionToken><Expiration>{made.ends_at}</Expiration></Credentials>
            <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/gateway/x</Arn>
            <AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId></AssumedRoleUser></{action}Result></{action}Response>""",
        )
