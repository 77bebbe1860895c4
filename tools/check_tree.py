#!/usr/bin/env python3
"""Checks of the tree that need no compiler: sizes, banned calls, the documents that must keep up with the code."""
import re
import subprocess
import sys
from pathlib import Path

import gen_events

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 800
TEXT_SUFFIXES = {".h", ".cpp", ".py", ".md", ".txt", ".toml", ".cmake", ".json", ".sql", ".sh"}

# pattern, what to use instead, folders of src/ that are its home. Line comments are not looked at.
BANNED_IN_CODE = [
    (r"std::(basic_)?[io]?fstream\b", "os::FileSystem", {"os"}),
    (r"(?<![\w:.>])(std::|::)?system\s*\(", "os::ProcessRunner", set()),
    (r"(?<![\w:.>])popen\s*\(", "os::ProcessRunner", set()),
    (r"system_clock::now\b", "core::Clock", {"core"}),
    (r"std::random_device\b", "core::Random", {"core"}),
    (r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(", "core::Clock::wait or a condition", set()),
    (r"\.detach\(\)", "std::jthread that somebody joins", set()),
    (r"\bstd::thread\b(?!::)", "std::jthread", set()),
    (r"\b(TODO|FIXME|XXX)\b", "the thing itself, or nothing", set()),
]
ALLOWED_IN_TESTS = {"os::FileSystem", "core::Random"}
BANNED_IN_HEADERS = [(r"^\s*using namespace\b", "qualified names", set())]
# Anywhere: what ties the tree to one machine.
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|work|Users)/[a-z]")
# Black-box tests wait in one place only, with a deadline.
SLEEP_HOME = Path("tests/support/waiting.py")


def tracked_text_files() -> list[Path]:
    skipped = {"build", ".git", "node_modules", "__pycache__", ".cache"}
    files = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if not skipped & set(parts) and path.is_file() and (path.suffix in TEXT_SUFFIXES or path.name in ("dev", "run")):
            files.append(path)
    return files


def strip_comment(line: str) -> str:
    return re.sub(r"//.*$", "", line)


def check_source(path: Path, folder: str) -> list[str]:
    problems = []
    where = path.relative_to(ROOT)
    is_test = path.name.endswith("_test.cpp") or "testing" in path.parts
    lines = path.read_text().splitlines()
    if len(lines) > MAX_FILE_LINES:
        problems.append(f"{where}: {len(lines)} lines, at most {MAX_FILE_LINES}; split it by concern")
    if path.suffix == ".h" and "#pragma once" not in lines:
        problems.append(f"{where}: no #pragma once")
    rules = BANNED_IN_CODE + (BANNED_IN_HEADERS if path.suffix == ".h" else [])
    for number, line in enumerate(lines, 1):
        code = line if "TODO" in line or "FIXME" in line else strip_comment(line)
        for pattern, instead, homes in rules:
            allowed = folder in homes or (is_test and instead in ALLOWED_IN_TESTS)
            if not allowed and re.search(pattern, code):
                problems.append(f"{where}:{number}: {code.strip()[:70]!r} is banned here; use {instead}")
    return problems


def check_text(path: Path) -> list[str]:
    problems = []
    where = path.relative_to(ROOT)
    text = path.read_text()
    if where != Path("tools/check_tree.py"):
        for match in MACHINE_PATH.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            problems.append(f"{where}:{number}: {match[0]!r}... is a path of one machine")
    if where.parts[0] == "tests" and path.suffix == ".py" and where != SLEEP_HOME and "time.sleep" in text:
        problems.append(f"{where}: time.sleep; wait with {SLEEP_HOME} instead")
    if text and not text.endswith("\n"):
        problems.append(f"{where}: the last line has no end")
    return problems


def check_documents() -> list[str]:
    problems = []
    architecture = (ROOT / "docs/architecture.md").read_text() if (ROOT / "docs/architecture.md").is_file() else ""
    cmake = (ROOT / "CMakeLists.txt").read_text()
    modules = re.search(r"foreach\(module ([^)]*)\)", cmake).group(1).split()
    for folder in sorted(path.name for path in (ROOT / "src").iterdir() if path.is_dir()):
        if f"`src/{folder}`" not in architecture:
            problems.append(f"docs/architecture.md: does not mention `src/{folder}`")
        if folder not in modules and f"backstay_{folder}()" not in cmake:
            problems.append(f"CMakeLists.txt: does not build src/{folder}")
    for catalogue in ("errors", "events"):
        command = [f"tools/gen_{catalogue}.py", "md", f"data/{catalogue}.toml"]
        made = subprocess.run([sys.executable, *command, "/dev/stdout"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        page = ROOT / f"docs/{catalogue}.md"
        if not page.is_file() or page.read_text() != made:
            problems.append(f"docs/{catalogue}.md is stale: {' '.join(command)} docs/{catalogue}.md")
    return problems


def check_events(sources: list[Path]) -> list[str]:
    """Each event of the catalogue is recorded somewhere, and none is made up beside it."""
    problems = []
    texts = {path: path.read_text() for path in sources if not path.stem.endswith("_test") and "testing" not in path.parts}
    used = {name for text in texts.values() for name in re.findall(r"events::(k[A-Z]\w*)", text)}
    for name in gen_events.load(ROOT / "data/events.toml"):
        if gen_events.constant(name) not in used:
            problems.append(f"data/events.toml: nothing records '{name}'")
    for path, text in texts.items():
        if re.search(r"\bEventKind\s*[({]\s*\"", text):
            problems.append(f"{path.relative_to(ROOT)}: an event that is not in data/events.toml")
    return problems


def main() -> int:
    problems = []
    sources = sorted(path for path in (ROOT / "src").rglob("*") if path.suffix in (".h", ".cpp"))
    for path in sources:
        problems += check_source(path, path.relative_to(ROOT / "src").parts[0])
    texts = tracked_text_files()
    for path in texts:
        problems += check_text(path)
    problems += check_documents()
    problems += check_events(sources)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"tree: {len(sources)} sources, {len(texts)} texts, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
