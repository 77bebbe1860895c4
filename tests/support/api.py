"""A plain client of the house API, on the standard library."""
import http.client
import json
import ssl
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from .waiting import wait_for


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict = field(default_factory=dict)


class ApiError(Exception):
    def __init__(self, method: str, path: str, answer: Answer):
        super().__init__(f"{method} {path}: {answer.status}: {json.dumps(answer.body)}")
        self.answer = answer


class Api:
    """`trace` is called with (method, path, body) before each request; for the demo."""

    # Called with (api, method, path, body, answer) after each request; tests hold it against the API's description.
    watch: Optional[Callable] = None

    def __init__(self, url: str, token: Optional[str], trace: Optional[Callable] = None, ca_file: Optional[str] = None):
        self.url, self.token, self.trace, self.ca_file = url.rstrip("/"), token, trace, ca_file

    def raw(self, method: str, path: str, body: Any = None, headers: Optional[dict] = None, timeout: float = 60) -> Answer:
        """One request; `body` may be bytes as they are, or anything that becomes JSON."""
        answer = self.exchange(method, path, body, headers, timeout)
        if Api.watch:
            Api.watch(self, method, path, body, answer)
        return answer

    def exchange(self, method: str, path: str, body: Any = None, headers: Optional[dict] = None, timeout: float = 60) -> Answer:
        """The same, unwatched."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file)
            connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        sent = {"Accept": "application/json"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
        sent.update(headers or {})
        try:
            connection.request(method, parts.path + path, body=body, headers=sent)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        kind = response.headers.get("Content-Type", "")
        parsed = json.loads(content) if content and "json" in kind else content.decode(errors="replace") or None
        return Answer(response.status, parsed, dict(response.headers))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        if self.trace:
            self.trace(method, path, body)
        answer = self.raw(method, path, body)
        if not 200 <= answer.status < 300:
            raise ApiError(method, path, answer)
        return answer.body

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)

    # What is asked for again and again.

    def service(self, service_id: str) -> dict:
        """The resource, read from the list (GET of one service answers its details too)."""
        quiet = Api(self.url, self.token, None, self.ca_file)
        for service in quiet.get("/managed-services?includeDeleted=true"):
            if service["id"] == service_id:
                return service
        raise KeyError(service_id)

    def details(self, service_id: str) -> dict:
        return Api(self.url, self.token, None, self.ca_file).get(f"/managed-services/{service_id}/details")

    def events_text(self, service_id: str) -> str:
        return "\n".join(f"  {e['timestamp']} {e['eventName']}: {e['body']}" for e in self.service(service_id)["recentEvents"])

    def wait_for_state(self, service_id: str, state: str, seconds: float = 120) -> dict:
        """Until the service is in the state; the timeout's message shows its events."""
        def probe():
            service = self.service(service_id)
            return service if service["status"]["state"] == state else None
        try:
            return wait_for(f"service {service_id} {state}", probe, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\nstate: {self.service(service_id)['status']}\n{self.events_text(service_id)}") from None

    def operation(self, operation_id: str) -> dict:
        return Api(self.url, self.token, None, self.ca_file).get(f"/api/operations/{operation_id}")

    def wait_for_operation(self, operation_id: str, seconds: float = 120) -> dict:
        """Until it has ended, however."""
        def probe():
            operation = self.operation(operation_id)
            return operation if operation["state"] in ("succeeded", "failed", "cancelled") else None
        return wait_for(f"operation {operation_id}", probe, seconds)

    def backups(self, service_id: str) -> list:
        return Api(self.url, self.token, None, self.ca_file).get(f"/api/backups?serviceId={service_id}")

    def wait_for_backup(self, service_id: str, backup_id: Optional[str] = None, seconds: float = 120) -> dict:
        """Until the backup (or any of the service) was read back from the store."""
        def probe():
            for backup in self.backups(service_id):
                if backup_id in (None, backup["id"]) and backup.get("confirmedAt"):
                    return backup
            return None
        try:
            return wait_for(f"a confirmed backup of {service_id}", probe, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.backups(service_id)}\n{self.events_text(service_id)}") from None
