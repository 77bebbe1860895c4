"""Stands between a client and an S3 store and does to single requests what networks and stores do at their worst.

    with StoreProxy(rgw) as proxy:
        proxy.fault = lambda request: Cut() if request.method == "GET" and "/packs/" in request.path else None

What is asked and answered is taken whole before it goes on, so that a fault hits exactly what it is meant for."""
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, List, NamedTuple, Optional
from urllib.parse import urlsplit


class Request(NamedTuple):
    method: str
    path: str
    #: Counts the requests of this proxy, from 1.
    number: int


class Cut:
    """The connection breaks in the middle of the answer."""


class Lose:
    """The store does what is asked, and the answer is lost."""


class Corrupt:
    """One bit of the answer's body is another."""


class Stall:
    """Nothing comes any more, until `seconds` have passed or the proxy ends; then the connection breaks."""

    def __init__(self, seconds: float):
        self.seconds = seconds


class Refuse:
    """The answer is an error, without asking the store."""

    def __init__(self, status: int = 503):
        self.status = status


class Repeat:
    """The request reaches the store twice."""


class Shift:
    """The answer's date is another."""

    def __init__(self, seconds: int):
        self.seconds = seconds


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client went away."""


class StoreProxy:
    def __init__(self, store):
        target = urlsplit(store.url)
        self.address = (target.hostname, target.port)
        self.access_key, self.secret_key = store.access_key, store.secret_key
        self.fault: Optional[Callable[[Request], Optional[object]]] = None
        #: What was done to which request.
        self.done: List[tuple] = []
        self._count, self._lock, self._ended = 0, threading.Lock(), threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 120

            def _any(self):
                proxy._handle(self)
            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

            def log_message(self, *_):
                pass

        self._server = _Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "StoreProxy":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self._lock:
            self._count += 1
            request = Request(handler.command, handler.path, self._count)
            fault = self.fault(request) if self.fault else None
            if fault is not None:
                self.done.append((request, fault))
        if isinstance(fault, Refuse):
            return self._answer(handler, fault.status, [], b"")
        if isinstance(fault, Stall):
            self._ended.wait(fault.seconds)
            handler.close_connection = True
            return
        try:
            if isinstance(fault, Repeat):
                self._ask(handler, body)
            status, headers, answer = self._ask(handler, body)
        except (OSError, http.client.HTTPException):
            handler.close_connection = True  # the store is away
            return
        if isinstance(fault, Lose):
            handler.close_connection = True
            return
        if isinstance(fault, Shift):
            headers = [(name, shifted(value, fault.seconds) if name.lower() == "date" else value) for name, value in headers]
        if isinstance(fault, Corrupt) and answer:
            answer = answer[:len(answer) // 2] + bytes([answer[len(answer) // 2] ^ 1]) + answer[len(answer) // 2 + 1:]
        self._answer(handler, status, headers, answer, cut=isinstance(fault, Cut))

    def _ask(self, handler, body: bytes):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    @staticmethod
    def _answer(handler, status: int, headers: list, body: bytes, cut: bool = False) -> None:
        handler.send_response_only(status)
        given = {name.lower(): value for name, value in headers}
        length = given.get("content-length", str(len(body))) if handler.command == "HEAD" else str(len(body))
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                handler.send_header(name, value)
        if status not in (204, 304):
            handler.send_header("Content-Length", length)
        try:
            handler.end_headers()
            handler.wfile.write(body[:len(body) // 2] if cut else body)
        except OSError:
            handler.close_connection = True
        if cut:
            handler.close_connection = True


def shifted(date: str, seconds: int) -> str:
    from datetime import timedelta
    from email.utils import format_datetime, parsedate_to_datetime
    return format_datetime(parsedate_to_datetime(date) + timedelta(seconds=seconds), usegmt=True)
