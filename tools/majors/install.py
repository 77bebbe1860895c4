#!/usr/bin/env python3
"""Puts the PostgreSQL majors that Debian 12 does not have into build/postgresql/<major>, for the tests.

They are what package-lock.json pins, by version and checksum. Nothing is done where they are there already. Scripts of
the packages are not run: the one thing they do, links between libraries, is done here.
"""
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parents[1] / "build" / "postgresql"
STAMP = "package.json"
DOWNLOAD_SECONDS = 300


def wanted() -> dict:
    """major -> what the lock file says of it."""
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    mark = "node_modules/postgresql-"
    return {name.removeprefix(mark): about for name, about in packages.items() if name.startswith(mark)}


def is_there(major: str, about: dict) -> bool:
    stamp = PLACE / major / STAMP
    return stamp.is_file() and json.loads(stamp.read_text()) == about


def make_links(package: Path) -> None:
    for link in json.loads((package / "native/pg-symlinks.json").read_text()):
        source, target = package / link["source"], package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(source, target.parent))


def check_runs(bin_directory: Path, version: str) -> None:
    said = subprocess.run([bin_directory / "postgres", "--version"], capture_output=True, text=True, timeout=30)
    number = ".".join(version.split(".")[:2])
    if said.returncode != 0 or f"(PostgreSQL) {number}" not in said.stdout:
        raise SystemExit(f"the PostgreSQL {version} that was installed does not run here: {said.stdout}{said.stderr}")


def download(into: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, into)
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
                               "--fetch-retries=3", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=10000"],
                              cwd=into, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except FileNotFoundError:
        raise SystemExit("npm is not installed; it fetches the PostgreSQL majors that the tests run on") from None
    except subprocess.TimeoutExpired:
        raise SystemExit(f"npm fetched no PostgreSQL within {DOWNLOAD_SECONDS} s; is there a network?") from None
    if done.returncode != 0:
        raise SystemExit(f"npm could not fetch the PostgreSQL majors that the tests run on:\n{done.stdout}{done.stderr}")


def install(missing: dict) -> None:
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="fetching-") as temporary:
        download(Path(temporary))
        for major, about in missing.items():
            package = Path(temporary) / f"node_modules/postgresql-{major}"
            make_links(package)
            check_runs(package / "native/bin", about["version"])
            (package / "native" / STAMP).write_text(json.dumps(about))
            shutil.rmtree(PLACE / major, ignore_errors=True)
            (package / "native").rename(PLACE / major)


def main() -> None:
    # Tests run the servers as another user.
    os.umask(0o022)
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        majors = wanted()
        missing = {major: about for major, about in majors.items() if not is_there(major, about)}
        if missing:
            install(missing)
    print(", ".join(f"PostgreSQL {about['version']}" for about in majors.values()), "in", PLACE)


if __name__ == "__main__":
    sys.exit(main())
