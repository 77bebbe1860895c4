#!/usr/bin/env python3
"""Generates from data/errors.toml: the X-macro list that core/error.h includes, or the documentation page.

usage: gen_errors.py inc|md ERRORS.toml OUTPUT
"""
import json
import sys
import tomllib


def c_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)


def camel(name: str) -> str:
    return "k" + "".join(part.capitalize() for part in name.split("_"))


def render_inc(errors: dict) -> str:
    lines = []
    for name, e in errors.items():
        retryable = "true" if e["retryable"] else "false"
        lines.append(f'BACKSTAY_ERROR({camel(name)}, "{name}", {e["status"]}, {retryable}, {c_string(e["hint"])})')
    return "\n".join(lines) + "\n"


def render_md(errors: dict) -> str:
    rows = ["# Error codes", "", "Generated from `data/errors.toml` by `tools/gen_errors.py`.", "",
            "| code | HTTP | retryable | meaning | what to do |", "|---|---|---|---|---|"]
    for name, e in errors.items():
        rows.append(f'| `{name}` | {e["status"]} | {"yes" if e["retryable"] else "no"} | {e["meaning"]} | {e["hint"]} |')
    return "\n".join(rows) + "\n"


def main() -> int:
    kind, source, output = sys.argv[1:4]
    with open(source, "rb") as f:
        errors = tomllib.load(f)
    for name, e in errors.items():
        missing = {"status", "retryable", "meaning", "hint"} - e.keys()
        if missing:
            sys.exit(f"{source}: [{name}] lacks {', '.join(sorted(missing))}")
    text = render_inc(errors) if kind == "inc" else render_md(errors)
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
