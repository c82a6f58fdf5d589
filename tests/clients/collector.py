"""A collector of OTLP logs: parses what it is sent with OpenTelemetry's own messages, strictly, and keeps the records."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
# What collectors, and what stands before them, take by default at the least.
REQUEST_BYTES = 4 * 1024 * 1024


@dataclass
class Record:
    """One log record, with the resource that it came from."""

    line: str
    event_name: str
    severity: str
    time: int
    observed: int
    attributes: dict
    resource: dict


@dataclass
class Reply:
    status: int = 200
    rejected: int = 0
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


ACCEPT = Reply()
# Keeps the connection open and says nothing.
HANG = None


class Collector:
    """It listens on the machine itself; with an `ssl.SSLContext` by TLS."""

    def __init__(self, context=None, path="/v1/logs"):
        # All that was sent, and what of it was acknowledged, in the order in which it came.
        self.received, self.records = [], []
        # What it found wrong; a test that expects nothing ends with `check`.
        self.faults = []
        # The headers of each request.
        self.requests = []
        self.path = path
        self._answer = lambda _: ACCEPT
        self._ended = threading.Event()
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector._serve(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if context else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def script(self, answer):
        """Answers so from now on: with a `Reply`, or with what is made of the records of each request."""
        self._answer = answer if callable(answer) else lambda _: answer

    def lines(self):
        """The lines that were acknowledged: what an audit trail can be checked by."""
        with self._lock:
            return [record.line for record in self.records]

    def check(self):
        assert not self.faults, self.faults

    def stop(self):
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        try:
            records = self._read(handler, body)
        except Exception as error:
            self.faults.append(repr(error))
            return send(handler, 400, str(error).encode(), "text/plain")
        reply = self._answer(records)
        with self._lock:
            self.requests.append(dict(handler.headers.items()))
            self.received += records
            if reply and reply.status == 200 and not reply.rejected:
                self.records += records
        if reply is HANG:
            self._ended.wait()
            handler.close_connection = True
            return None
        if reply.status != 200:
            return send(handler, reply.status, reply.text.encode(), "text/plain", reply.headers)
        partial = ExportLogsPartialSuccess(rejected_log_records=reply.rejected, error_message=reply.text)
        told = reply.rejected or reply.text
        response = ExportLogsServiceResponse(partial_success=partial) if told else ExportLogsServiceResponse()
        content_type = handler.headers["Content-Type"]
        encoded = response.SerializeToString()
        if content_type == JSON:
            encoded = json_format.MessageToJson(response).encode()
        return send(handler, 200, encoded, content_type, reply.headers)

    def _read(self, handler, body):
        assert handler.path == self.path, handler.path
        assert len(body) <= REQUEST_BYTES, f"a request of {len(body)} bytes"
        content_type = handler.headers["Content-Type"]
        if content_type == JSON:
            # Refuses fields that it does not know.
            request = json_format.Parse(body, ExportLogsServiceRequest())
        else:
            assert content_type == PROTOBUF, content_type
            request = ExportLogsServiceRequest.FromString(body)
            known = ExportLogsServiceRequest()
            known.CopyFrom(request)
            known.DiscardUnknownFields()
            assert known == request, "fields that OTLP does not have"
        records = list(records_of(request))
        assert records, "a request without records"
        return records


def records_of(request):
    for logs in request.resource_logs:
        resource = attributes_of(logs.resource)
        assert resource["service.name"] == "kmsgate" and resource["service.instance.id"], resource
        assert resource["service.version"], resource
        for scope in logs.scope_logs:
            assert scope.scope.name == "kmsgate", scope.scope
            for log in scope.log_records:
                assert log.body.WhichOneof("value") == "string_value", "a body that is no text"
                assert "\n" not in log.body.string_value, "more than a line"
                assert log.observed_time_unix_nano, "nobody knows when it was observed"
                yield Record(
                    log.body.string_value,
                    log.event_name,
                    log.severity_text,
                    log.time_unix_nano,
                    log.observed_time_unix_nano,
                    attributes_of(log),
                    resource,
                )


def attributes_of(message):
    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in message.attributes}
    assert len(values) == len(message.attributes), "an attribute twice"
    return values


def send(handler, status, body, content_type, headers=()):
    handler.send_response(status)
    for header in {"Content-Type": content_type, "Content-Length": str(len(body)), **dict(headers)}.items():
        handler.send_header(*header)
    handler.end_headers()
    handler.wfile.write(body)
