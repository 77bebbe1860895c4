"""A backend of the adapter contract that misbehaves on command. A double for faults only: the contract itself is proven
with a real backend (test_backstay_as_backend.py). It is stricter than real ones: what a caller may not send is noted in
`complaints`, which a test expects to be empty."""
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Optional

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
SECTIONS = {"plan", "config", "secrets", "pause", "version"}


class FakeBackend:
    KEY = "the-backend's-key"

    def __init__(self):
        self.services: dict = {}
        self.backups: dict = {}
        self.calls: list = []
        self.complaints: list = []
        self.ready = True
        self.error: Optional[str] = None
        # (method, path) -> None to go on, or a function that writes whatever it likes to the handler.
        self.fault: Callable = lambda method, path: None
        self.ignores_changes = False
        self.deaf_deletes = 0
        self.lock = threading.Lock()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def log_message(self, *_):
                pass

            def handle_any(self):
                try:
                    backend.serve(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/api/v1/fake"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def count(self, method: str, suffix: str = "") -> int:
        with self.lock:
            return sum(1 for made, path, _ in self.calls if made == method and path.endswith(suffix))

    def bodies(self, method: str) -> list:
        with self.lock:
            return [body for made, _, body in self.calls if made == method]

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    # One request.

    def serve(self, handler) -> None:
        parts = urllib.parse.urlsplit(handler.path)
        path = parts.path.removeprefix("/api/v1/fake")
        length = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(length) if length else b""
        body = json.loads(text) if text else None
        with self.lock:
            self.calls.append((handler.command, path, body))
        written = self.fault(handler.command, path)
        if written is not None:
            written(handler)
            return
        if handler.headers.get("Authorization") != f"Bearer {self.KEY}":
            return self.answer(handler, 401, {"error": "unauthorized"})
        if body is not None and handler.headers.get("Content-Type") != "application/json":
            self.complain(f"{handler.command} {path} is not application/json")
        with self.lock:
            status, answer = self.act(handler.command, path, urllib.parse.parse_qs(parts.query), body)
        self.answer(handler, status, answer)

    @staticmethod
    def answer(handler, status: int, body) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        handler.send_response(status)
        if body is not None:
            handler.send_header("Content-Type", "application/json")
        if status != 204:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def act(self, method: str, path: str, query: dict, body):
        if path.startswith("/backups/"):
            return self.act_on_backup(method, path.removeprefix("/backups/"), body)
        if path == "" and method == "GET":
            if "id" not in query:
                return 200, sorted(self.services)
            return 200, {name: self.report(self.services[name]) for name in query["id"] if name in self.services}
        if path == "" and method == "POST":
            self.check(body, {"id", "teamId", "plan", "config", "secrets"}, {"recoverFrom", "version"})
            self.services.setdefault(body["id"], {**body, "pause": False})
            return 201, None
        name = path.removeprefix("/")
        if name not in self.services:
            return 404, {"error": f"unknown service {name}"}
        if method == "PATCH":
            self.check(body, {"id", "teamId"}, SECTIONS)
            if body["id"] != name:
                self.complain("the body's id is not the path's")
            if not SECTIONS & body.keys():
                self.complain("a PATCH changes nothing")
            if not self.ignores_changes:
                self.services[name].update({key: value for key, value in body.items() if key in SECTIONS})
            return 204, None
        if method == "DELETE":
            if self.deaf_deletes > 0:
                self.deaf_deletes -= 1
                return 202, None
            del self.services[name]
            return 204, None
        return 404, {"error": "no such call"}

    def act_on_backup(self, method: str, path: str, body):
        name = path.removesuffix("/status")
        self.check(body, {"msId", "teamId", "config", "secrets"}, {"retentionDays"}, key="msId")
        if body["msId"] not in self.services:
            return 404, {"error": "unknown service"}
        if method == "PUT":
            self.backups.setdefault(name, {"exists": False})
            return 202, None
        if name not in self.backups:
            return 404, {"error": "unknown backup"}
        if method == "POST" and path.endswith("/status"):
            return 200, self.backups[name]
        if method == "DELETE":
            del self.backups[name]
            return 202, None
        return 404, {"error": "no such call"}

    def report(self, service: dict) -> dict:
        report = {"plan": {"parameters": service["plan"]["parameters"]}, "config": service["config"],
                  "details": {"hostname": "fake.example", "ready": self.ready}, "pause": service["pause"]}
        if "version" in service:
            report["version"] = service["version"]
        if self.error:
            report["error"] = self.error
        return report

    def check(self, body, required: set, optional: set, key: str = "id") -> None:
        if not isinstance(body, dict):
            return self.complain(f"the body is {body!r}")
        for name in required - body.keys():
            self.complain(f"{name} is missing")
        for name in body.keys() - required - optional:
            self.complain(f"{name} is not of the contract")
        if not UUID.match(str(body.get(key))):
            self.complain(f"{key} is no UUID: {body.get(key)!r}")
        if not isinstance(body.get("teamId"), int) or body["teamId"] <= 0:
            self.complain(f"teamId is {body.get('teamId')!r}")


# Faults.

def status(code: int, body=None, headers: Optional[dict] = None):
    def write(handler):
        content = json.dumps(body if body is not None else {"error": f"as told: {code}"}).encode()
        handler.send_response(code)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
    return write


def raw(content: bytes):
    def write(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
    return write


def endless(handler):
    """A body that never ends, as fast as it is taken."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.close_connection = True
    handler.wfile.write(b'{"x": "')
    while True:
        handler.wfile.write(b"x" * 65536)


def hang_up(handler):
    handler.close_connection = True
    handler.connection.close()
