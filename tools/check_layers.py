#!/usr/bin/env python3
"""Checks that a folder of src/ includes only what tools/layers.txt allows, and third-party headers only in their home."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

# Header prefix -> folders whose code may include it. `app` wires and may use what its parts use.
HOMES = {
    "boost/beast": {"http"},
    "boost/asio": {"http"},
    "boost/json": {"core"},
    "boost/regex": {"model"},
    "curl/": {"http"},
    "openssl/": {"codec", "http"},
    "libpq-fe.h": {"postgres"},
    "libpq/": {"postgres"},
    "soci/": {"metadata"},
    "sqlite3.h": {"metadata"},
    "zstd": {"codec"},
    "zlib": {"codec"},
    "lz4": {"codec"},
    "pugixml": {"blob"},
    "date/": {"model"},
    "spdlog/": {"core"},
    "prometheus/": {"core"},
    "toml++/": {"app"},
    "CLI/": {"app", "cli"},
}
# Too heavy, or too contagious: a header of ours that includes one of these is private to its folder.
HEAVY = ("boost/beast", "boost/asio", "spdlog/", "libpq-fe.h", "sqlite3.h", "curl/", "soci/", "toml++/")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def read_layers() -> dict[str, set[str]]:
    layers = {}
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        if match := re.match(r"^([a-z]+):(.*)$", line):
            layers[match[1]] = set(match[2].split())
    return layers


def check_table(layers: dict[str, set[str]]) -> list[str]:
    """Folders are listed below everything they include, so that there can be no cycle."""
    problems, seen = [], set()
    for folder, allowed in layers.items():
        problems += [f"tools/layers.txt: '{folder}' may include '{other}', which is not listed above it"
                     for other in sorted(allowed - seen)]
        seen.add(folder)
    present = {path.name for path in SRC.iterdir() if path.is_dir()}
    problems += [f"src/{folder}: not in tools/layers.txt" for folder in sorted(present - set(layers))]
    return problems


def is_test(path: Path) -> bool:
    return path.name.endswith("_test.cpp") or "testing" in path.parts or "simulation" in path.parts


def is_heavy(header: Path) -> bool:
    return any(match[1] == "<" and match[2].startswith(HEAVY) for match in INCLUDE.finditer(header.read_text()))


def check_own_include(path: Path, folder: str, target: str, allowed: set[str]) -> str | None:
    first = target.split("/")[0]
    if "/" not in target or not (SRC / first).is_dir():
        return f'"{target}" is not a path below src/'
    if first != folder and first not in allowed:
        return f"'{folder}' may not include '{first}'"
    if "/testing/" in target and not is_test(path):
        return f'"{target}" is a test double; only tests may include it'
    if target.endswith(".inc"):
        return None  # generated at build time
    if not (SRC / target).is_file():
        return f'"{target}" does not exist'
    if first != folder and is_heavy(SRC / target):
        return f'"{target}" brings a heavy library; it is private to {first}'
    return None


def check_foreign_include(path: Path, folder: str, target: str) -> str | None:
    if is_test(path):
        return None
    for prefix, homes in HOMES.items():
        if target.startswith(prefix) and folder not in homes:
            return f"<{target}> belongs to {', '.join(sorted(homes))}"
    return None


def main() -> int:
    layers = read_layers()
    problems = check_table(layers)
    files = sorted(path for path in SRC.rglob("*") if path.suffix in (".h", ".cpp"))
    for path in files:
        folder = path.relative_to(SRC).parts[0]
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            kind, target = match[1], match[2]
            problem = (check_own_include(path, folder, target, layers.get(folder, set())) if kind == '"'
                       else check_foreign_include(path, folder, target))
            if problem:
                line = text.count("\n", 0, match.start(1)) + 1
                problems.append(f"{path.relative_to(ROOT)}:{line}: {problem}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"layers: {len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
