"""Holds what a server does against the description that it serves, each call, status and body, and against the contract
that was published."""
import json
import re
import tomllib
import urllib.parse
from pathlib import Path
from typing import Any, Optional

from .checks import ContractError, validate
from .published import Published

# Limits of the transport and faults of the server: any call may answer them.
ANYWHERE = {408, 413, 431, 500, 501, 502, 503, 504, 507}
ITSELF = "its description"
EVENTS = tomllib.loads((Path(__file__).resolve().parents[2] / "data/events.toml").read_text())
SEVERITIES = {"info": 9, "warning": 13, "error": 17}


def closed(schema: Any) -> Any:
    """What a schema names is all there is, unless it says otherwise: a field that nobody described is a mistake."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if result.get("type") == "object" and "properties" in result and "additionalProperties" not in result:
        result["additionalProperties"] = False
    return result


class Contract:
    def __init__(self, document: dict):
        self.document = document
        self.operations = []  # (method, expression, operation), those without parameters first
        for template, item in document["paths"].items():
            for server in item.get("servers", document["servers"]):
                prefix = urllib.parse.urlsplit(server["url"]).path.rstrip("/")
                expression = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", re.escape(prefix + template).replace(r"\{", "{").replace(r"\}", "}")) + "/?")
                for method, operation in item.items():
                    if method != "servers":
                        self.operations.append((method.upper(), expression, operation))
        self.operations.sort(key=lambda entry: entry[1].pattern.count("[^/]+"))
        components = document["components"]
        self.answer_schemas = {"components": closed(components)}
        self.request_schemas = {"components": components}

    def operation(self, method: str, path: str) -> Optional[dict]:
        for known, expression, operation in self.operations:
            if known == method and expression.fullmatch(path):
                return operation
        return None

    def check(self, method: str, target: str, body: Any, status: int, kind: str, answer: Any) -> None:
        """`body` and `answer` are the parsed JSON, or bytes and text that are none; `kind` is the answer's type."""
        parts = urllib.parse.urlsplit(target)
        what = f"{method} {target} -> {status}"
        operation = self.operation(method, parts.path)
        if operation is None:
            if status not in (400, 401, 404, 405, *ANYWHERE):
                raise ContractError(f"{what}: the call is not described")
            return
        self._check_answer(what, operation, status, kind, answer)
        if 200 <= status < 300:
            self._check_query(what, operation, parts.query)
            self._check_body(what, operation, body)

    def _check_answer(self, what: str, operation: dict, status: int, kind: str, answer: Any) -> None:
        answers = operation["responses"]
        if str(status) not in answers and status not in ANYWHERE:
            raise ContractError(f"{what}: the status is not described: {answer}")
        content = answers.get(str(status), answers["default"]).get("content")
        if content is None:
            if answer:
                raise ContractError(f"{what}: a body where none is described: {answer}")
            return
        media = content.get(kind.split(";")[0])
        if media is None:
            raise ContractError(f"{what}: the type '{kind}' is not described")
        validate(what + ": answer", ITSELF, closed(media["schema"]), self.answer_schemas, answer)

    def _check_query(self, what: str, operation: dict, query: str) -> None:
        known = {p["name"]: p["schema"] for p in operation.get("parameters", []) if p["in"] == "query"}
        for name, text in urllib.parse.parse_qsl(query, keep_blank_values=True):
            if name not in known:
                continue  # ignored on the published paths, refused elsewhere
            wanted = known[name]["type"]
            value = int(text) if wanted == "integer" and re.fullmatch(r"-?\d+", text) else text
            value = {"true": True, "false": False}.get(text, text) if wanted == "boolean" else value
            validate(f"{what}: accepted ?{name}", ITSELF, known[name], self.request_schemas, value)

    def _check_body(self, what: str, operation: dict, body: Any) -> None:
        described = operation.get("requestBody", {})
        content = described.get("content")
        if content is not None and "*/*" in content and isinstance(body, bytes):
            return  # a file of whatever type
        if content is not None and (body is not None or described.get("required")):
            validate(what + ": accepted body", ITSELF, content["application/json"]["schema"], self.request_schemas, body)


def check_events(answer: Any) -> None:
    """Every event in an answer is one of the catalogue, with its severity and no other attributes."""
    if isinstance(answer, list):
        for item in answer:
            check_events(item)
    elif isinstance(answer, dict) and isinstance(answer.get("eventName"), str) and "severityNumber" in answer:
        known = EVENTS.get(answer["eventName"])
        if known is None or SEVERITIES[known["severity"]] != answer["severityNumber"]:
            raise ContractError(f"not in the event catalogue: {answer}")
        if unknown := set(answer["attributes"]) - {"service.name", *known.get("attributes", [])}:
            raise ContractError(f"attributes that the event catalogue does not have, {unknown}: {answer}")
    elif isinstance(answer, dict):
        check_events(list(answer.values()))


_contracts: dict = {}  # by the server's URL
_published = Published()


def watch(api: Any, method: str, path: str, body: Any, answer: Any) -> None:
    """For Api.watch: raises ContractError where a server does not do what it says of itself."""
    if api.url not in _contracts:
        _contracts[api.url] = Contract(api.exchange("GET", "/api/openapi.json").body)
    if isinstance(body, bytes):
        try:
            body = json.loads(body)
        except ValueError:
            pass  # no JSON: the server has to refuse it, which an object schema says too
    target = urllib.parse.urlsplit(api.url).path + path
    kind = answer.headers.get("Content-Type", "")
    _contracts[api.url].check(method, target, body, answer.status, kind, answer.body)
    _published.check(method, target, answer.status, kind, answer.body)
    check_events(answer.body)
