#!/usr/bin/env python3
"""Generates from data/events.toml: the X-macro list that control/events.h includes, or the documentation page.

usage: gen_events.py inc|md EVENTS.toml OUTPUT
"""
import json
import re
import sys
import tomllib

SEVERITIES = {"info": ("kSeverityInfo", 9), "warning": ("kSeverityWarning", 13), "error": ("kSeverityError", 17)}


def constant(name: str) -> str:
    return "k" + "".join(part.capitalize() for part in re.split(r"[._]", name))


def load(source: str) -> dict:
    with open(source, "rb") as f:
        events = tomllib.load(f)
    for name, e in events.items():
        missing = {"severity", "meaning"} - e.keys()
        if missing:
            sys.exit(f"{source}: [{name}] lacks {', '.join(sorted(missing))}")
        if not re.fullmatch(r"[a-z]+\.[a-z_]+", name) or e["severity"] not in SEVERITIES:
            sys.exit(f"{source}: [{name}] has a bad name or severity")
    return events


def render_inc(events: dict) -> str:
    lines = [f'BACKSTAY_EVENT({constant(name)}, "{name}", {SEVERITIES[e["severity"]][0]}, {json.dumps(e["meaning"])})'
             for name, e in events.items()]
    return "\n".join(lines) + "\n"


def render_md(events: dict) -> str:
    rows = ["# Events", "", "Generated from `data/events.toml` by `tools/gen_events.py`.", "",
            "An event tells people what happened; its `body` says what it means for the data and what to do next. The",
            "severity is OpenTelemetry's number. An event of a service carries `service.name` besides what stands here.",
            "", "| name | severity | meaning | attributes |", "|---|---|---|---|"]
    for name, e in events.items():
        word = e["severity"]
        attributes = ", ".join(f"`{attribute}`" for attribute in e.get("attributes", []))
        rows.append(f'| `{name}` | {word} ({SEVERITIES[word][1]}) | {e["meaning"]} | {attributes} |')
    return "\n".join(rows) + "\n"


def main() -> int:
    kind, source, output = sys.argv[1:4]
    events = load(source)
    with open(output, "w", encoding="utf-8") as f:
        f.write(render_inc(events) if kind == "inc" else render_md(events))
    return 0


if __name__ == "__main__":
    sys.exit(main())
