"""An upstream that answers what a test tells it to, and keeps what it was sent, to the byte."""

import json
import sys
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gateway import AccessKey

# Of AWS's documentation.
KEY = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)


@dataclass
class Sent:
    """One request."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def operation(self):
        return dict(self.headers)["x-amz-target"].removeprefix("TrentService.")


@dataclass
class Reply:
    body: bytes | dict
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def error(cls, name, message=None, status=400):
        return cls({"__type": name} | ({"message": message} if message else {}), status)

    @property
    def bytes(self):
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Scripted:
    """It listens without TLS, on the machine itself."""

    ca_file, key = None, KEY

    def __init__(self):
        self.secrets = set()
        # Requests that are kept, and what came that was none.
        self.sent, self.faults = [], []
        # Makes a `Reply` of a `Sent`; of `None` the connection is closed without an answer.
        self.answer = None
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sent = Sent(self.requestline, self.headers.items(), body)
                scripted.sent.append(sent)
                reply = scripted.answer(sent)
                if reply is None:
                    self.close_connection = True
                    return
                self.send_response_only(reply.status)
                headers = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Length": str(len(reply.bytes))}
                for header in (headers | reply.headers).items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(reply.bytes)

            def send_error(self, code, *_, **__):
                scripted.faults.append((code, self.raw_requestline))
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                fault = sys.exception()
                # The peer has ended it.
                if not isinstance(fault, OSError):
                    scripted.faults.append(fault)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def script(self, answer):
        """Answers so from now on, and forgets what it was sent."""
        self.answer = answer if callable(answer) else lambda _: answer
        self.sent.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        assert not self.faults, self.faults
