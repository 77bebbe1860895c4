#!/usr/bin/env python3
"""Runs every fuzzer of fuzz/ for some seconds, several at a time, beginning with what fuzz/corpus/<name> holds.

What is new goes to build/fuzz/<name> and is gone on from the next time; with --keep, what of it reaches code that nothing in
fuzz/corpus/<name> reaches is put there, to be committed. An input that breaks a parser is written to build/fuzz/<name>, too,
and named: it belongs into fuzz/corpus/<name>, together with what mends the parser.
"""
import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build/fuzz"
# For one input. What takes longer is found, too, unless it does not take that long once more: then the machine stood still.
INPUT_SECONDS = 10
MEMORY_MIB = 1024
# Of an input that is kept for good.
KEPT_BYTES = 4096


def targets() -> list[str]:
    return sorted(path.stem for path in (ROOT / "fuzz").glob("*.cpp"))


def call(program: Path, seconds: float, *arguments) -> tuple[int, str]:
    command = [program, f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MIB}", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=seconds * 2 + 120, env={**os.environ, "TZ": "UTC"})
        return done.returncode, done.stderr
    except subprocess.TimeoutExpired as error:
        return 1, f"{error}"


def run(build: Path, name: str, seconds: int) -> tuple[str, int, str]:
    program, found, broken = build / f"fuzz_{name}", KEPT / name / "found", KEPT / name / "broken"
    for directory in (found, broken):
        directory.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    while True:
        left = max(1, round(end - time.monotonic()))
        code, log = call(program, left, f"-max_total_time={left}", f"-artifact_prefix={broken}/", "-print_final_stats=1",
                         "-verbosity=1", found, ROOT / "fuzz/corpus" / name)
        slow = re.search(r"Test unit written to (\S*/timeout-\w+)", log)
        if not slow or call(program, INPUT_SECONDS, slow[1])[0]:
            return name, code, log
        Path(slow[1]).unlink()


def keep(build: Path, name: str) -> None:
    """Edges alone count: how often each is passed would keep four times as much."""
    corpus = ROOT / "fuzz/corpus" / name
    before = set(corpus.iterdir())
    subprocess.run([build / f"fuzz_{name}", "-merge=1", "-use_counters=0", f"-max_len={KEPT_BYTES}", corpus, KEPT / name / "found"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=600)
    print(f"{name:<14} {len(set(corpus.iterdir()) - before)} inputs more", flush=True)


def report(name: str, code: int, log: str) -> None:
    runs = re.search(r"number_of_executed_units: (\d+)", log)
    covered = re.findall(r" cov: (\d+) ", log)
    seed = re.search(r"Seed: (\d+)", log)
    said = "broken" if code else "ok"
    print(f"{name:<14} {said:<7} {runs[1] if runs else '?':>9} runs, {covered[-1] if covered else '?':>5} edges, "
          f"seed {seed[1] if seed else '?'}", flush=True)
    if code:
        print(log[-6000:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True, help="the tree with the fuzzers")
    parser.add_argument("--seconds", type=int, default=5, help="for each fuzzer")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", action="store_true", help="put what is new in code that it reaches into fuzz/corpus")
    parser.add_argument("names", nargs="*", help="those only")
    options = parser.parse_args()
    wanted = options.names or targets()
    missing = [name for name in wanted if not (options.build / f"fuzz_{name}").is_file()]
    if missing:
        sys.exit(f"not built: {', '.join(missing)} (cmake --build {options.build} --target fuzzers)")
    begin = time.monotonic()
    failed = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, code, log in pool.map(lambda name: run(options.build, name, options.seconds), wanted):
            report(name, code, log)
            if code:
                failed.append(name)
    print(f"{len(wanted)} fuzzers in {time.monotonic() - begin:.0f} s")
    if options.keep:
        for name in wanted:
            if name not in failed:
                keep(options.build, name)
    if failed:
        print(f"broken: {', '.join(failed)}; the inputs are in build/fuzz/<name>/broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
