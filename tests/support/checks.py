"""Values held against JSON schemas."""
import json
import re
from typing import Any

import jsonschema

FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time")
def _is_time(value: Any) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", value))


@FORMATS.checks("uuid")
def _is_uuid(value: Any) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value))


class ContractError(AssertionError):
    """The server and a description of it disagree."""


def validate(what: str, against: str, schema: dict, components: dict, value: Any) -> None:
    """`components` is what the schema's references point into."""
    validator = jsonschema.Draft202012Validator({**components, "allOf": [schema]}, format_checker=FORMATS)
    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    if problems:
        raise ContractError(f"{what} does not match {against}:\n  " + "\n  ".join(problems[:10])
                            + "\n" + json.dumps(value, default=str)[:2000])
