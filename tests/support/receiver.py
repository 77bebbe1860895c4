"""A receiver of webhooks, as one reads it in the Standard Webhooks text: it takes what is signed, and answers as told."""
import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Receiver:
    def __init__(self):
        self.status = 200
        self.secret = ""
        self.messages: list = []  # (webhook-id, body), all that came
        self.forged = 0
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 30

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.headers, body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def take(self, headers, body: bytes) -> None:
        with self.lock:
            wanted = signature(self.secret, headers["webhook-id"], headers["webhook-timestamp"], body)
            if wanted not in headers["webhook-signature"].split(" "):
                self.forged += 1
            self.messages.append((headers["webhook-id"], json.loads(body)))

    def types(self) -> list:
        with self.lock:
            return [body["type"] for _, body in self.messages]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
