#!/usr/bin/env python3
"""Looks at what the compiled objects really call: a banned call hides from grep behind a macro or an inline function.

usage: check_symbols.py BUILD_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

# Undefined symbol (demangled) -> folders that are its home. Headers of libraries bring some: those have a reason here.
BANNED = [
    (r"^std::basic_[io]?fstream<", {"os", "app", "cli"}),  # app, cli: CLI11 could read option files
    (r"^std::chrono::_V2::system_clock::now\(\)", {"core", "http"}),  # http: Asio's and Beast's own timers
    (r"^std::random_device::", {"core"}),
    (r"^(system|popen|tmpnam|mktemp|gets|usleep|nanosleep|sleep)$", set()),
]


def undefined_symbols(objects: list[Path]) -> dict[Path, set[str]]:
    found: dict[Path, set[str]] = {path: set() for path in objects}
    output = subprocess.run(["nm", "-A", "-C", "-u", *map(str, objects)], capture_output=True, text=True, check=True)
    for line in output.stdout.splitlines():
        file, _, rest = line.partition(":")
        symbol = re.sub(r"^\s*[Uwv]\s+", "", rest)
        found[Path(file)].add(re.sub(r"@.*$", "", symbol))
    return found


def main() -> int:
    build = Path(sys.argv[1])
    objects = sorted(path for path in build.glob("CMakeFiles/backstay_*.dir/src/**/*.o")
                     if "_testing.dir" not in str(path))
    if not objects:
        print(f"{build} holds no objects; build it first", file=sys.stderr)
        return 2
    problems = []
    for path, symbols in undefined_symbols(objects).items():
        folder = re.search(r"/src/([a-z]+)/", str(path))[1]
        for pattern, homes in BANNED:
            problems += [f"src/{folder}: {path.name} calls {symbol}"
                         for symbol in sorted(symbols) if folder not in homes and re.search(pattern, symbol)]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"symbols: {len(objects)} objects, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
