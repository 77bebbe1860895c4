"""Holds answers against the published contract, which is written down apart from what Backstay says of itself: a mistake
that is in the server and in its description alike is found here."""
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any, Optional

from .checks import ContractError, validate

FILE = Path(__file__).resolve().parents[1] / "functional/published/contract.json"


def load() -> dict:
    """The contract, without the constraints that are named as loosened."""
    document = json.loads(FILE.read_text())
    for entry in document["loosened"]:
        *way, last = entry["at"]
        place = document
        for key in way:
            place = place[key]
        del place[last]
    return document


class Published:
    def __init__(self):
        self.document = load()
        self.components = {"definitions": self.document["definitions"]}
        self.operations = []  # (method, expression, operation), those without parameters first
        for name, operation in self.document["operations"].items():
            method, template = name.split(" ")
            # A client appends the path to its base address, which is with Codesphere the instance's /api.
            expression = re.compile("(/api)?" + re.sub(r"\{[^}]+\}", "[^/]+", template))
            self.operations.append((method, expression, operation))
        self.operations.sort(key=lambda entry: entry[1].pattern.count("[^/]+"))

    def operation(self, method: str, path: str) -> Optional[dict]:
        for known, expression, operation in self.operations:
            if known == method and expression.fullmatch(path):
                return operation
        return None

    def check(self, method: str, target: str, status: int, kind: str, answer: Any) -> None:
        parts = urllib.parse.urlsplit(target)
        operation = self.operation(method, parts.path)
        if operation is None or "dryRun=true" in parts.query:  # what would be done is told in a form of its own
            return
        what = f"{method} {target} -> {status}"
        if 200 <= status < 300 and status not in operation["statuses"]:
            raise ContractError(f"{what}: clients of the published contract take 200 only")
        if status == 200 and "answer" in operation:
            if not kind.startswith("application/json"):
                raise ContractError(f"{what}: the type '{kind}' is not the published one")
            validate(what + ": answer", "the published contract", operation["answer"], self.components, answer)
