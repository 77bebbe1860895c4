#!/usr/bin/env python3
"""Runs clang-tidy on the sources that changed, within a time budget, and says what it did not get to.

"Changed" is against the merge base with origin/main; where that is HEAD itself, or there is none, the last commit's files
and what is not committed yet.
"""
import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git(*arguments: str) -> str | None:
    done = subprocess.run(["git", "-c", f"safe.directory={ROOT}", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def base_commit() -> str | None:
    head = git("rev-parse", "HEAD")
    base = git("merge-base", "HEAD", "origin/main")
    if base and base != head:
        return base
    return git("rev-parse", "--verify", "--quiet", "HEAD~1")


def all_sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.cpp"))


def changed_sources() -> list[Path]:
    base = base_commit()
    names = git("diff", "--name-only", "--diff-filter=d", base, "--", "src") if base else None
    if names is None:
        print("tidy: no commit to compare with; looking at the whole tree")
        return all_sources()
    print(f"tidy: changed since {git('log', '-1', '--format=%h %s', base)}")
    changed = {ROOT / name for name in names.splitlines()}
    # A changed header is checked through the source beside it.
    changed |= {path.with_suffix(".cpp") for path in changed if path.suffix == ".h"}
    return sorted(path for path in changed if path.suffix == ".cpp" and path.is_file())


class Run:
    def __init__(self, build: Path, seconds: int):
        self.build, self.deadline = build, time.monotonic() + seconds
        self.left_out: list[Path] = []
        self.failed: list[Path] = []

    def check(self, path: Path) -> None:
        left = self.deadline - time.monotonic()
        if left < 5:
            self.left_out.append(path)
            return
        command = ["clang-tidy-19", "--quiet", "-p", str(self.build), "--extra-arg=-Wno-unused-command-line-argument",
                   str(path)]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            self.left_out.append(path)
            return
        if done.returncode != 0:
            self.failed.append(path)
            print(f"--- {path.relative_to(ROOT)}\n{done.stdout}{done.stderr if not done.stdout else ''}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="build directory with compile_commands.json")
    parser.add_argument("--all", action="store_true", help="the whole tree")
    parser.add_argument("--seconds", type=int, help="the budget: BACKSTAY_TIDY_SECONDS, else 240, for the whole tree 7200")
    arguments = parser.parse_args()
    usual = 7200 if arguments.all else 240
    arguments.seconds = arguments.seconds or int(os.environ.get("BACKSTAY_TIDY_SECONDS", usual))
    sources = all_sources() if arguments.all else changed_sources()
    run = Run(arguments.build.resolve(), arguments.seconds)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(run.check, sources))
    checked = len(sources) - len(run.left_out)
    print(f"tidy: {checked} of {len(sources)} files checked, {len(run.failed)} with findings")
    if run.left_out:
        print(f"tidy: not checked within {arguments.seconds} s (run ./dev tidy with BACKSTAY_TIDY_SECONDS set higher):")
        for path in sorted(run.left_out):
            print(f"  {path.relative_to(ROOT)}")
    # Of the whole tree all is wanted.
    return 1 if run.failed or (arguments.all and run.left_out) else 0


if __name__ == "__main__":
    sys.exit(main())
