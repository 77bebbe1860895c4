"""What one run of a command took, and the rows that come of many."""
import functools
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional


@dataclass(frozen=True)
class Took:
    """`cpu`, `peak` (the largest process) and `read` (bytes asked of files) count the processes it started too."""
    wall: float
    cpu: float
    peak: int
    read: int
    output: str

    def __add__(self, other: "Took") -> "Took":
        return Took(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak), self.read + other.read, other.output)


@functools.lru_cache(maxsize=None)
def small_processes() -> ProcessPoolExecutor:
    """What a process holds in memory is the least that the system tells of the peak of those it starts; the bench holds
    much after some rows, these never do."""
    return ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn"))


def run_timed(command: List[str], environment: Dict[str, str], directory: Path) -> Took:
    return small_processes().submit(run_here, command, environment, directory).result()


def run_here(command: List[str], environment: Dict[str, str], directory: Path) -> Took:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        # An end of its own: wait4 below takes the process, and nothing else may.
        child = subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - begin
        read = bytes_read(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text = output.read().decode(errors="replace")
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed ({child.returncode}):\n{text[-1000:]}"
                               f"{errors.read().decode(errors='replace')[-2000:]}")
        return Took(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, read, text)


def bytes_read(pid: int) -> int:
    """Of a process that has ended but was not waited for."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def median(values: List[float]) -> float:
    return statistics.median(values)


def percentile(values: List[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


class Results:
    """Rows are printed as they come and once more at the end."""

    def __init__(self):
        self.rows: List[dict] = []

    def faster(self, name: str, ours: List[float], theirs: List[float], times: float, unit: str = "s") -> None:
        """The target: ours is `times` as fast, by the medians."""
        ours_middle, theirs_middle = median(ours), median(theirs)
        self._add(name, ours_middle, theirs_middle, unit, f"{times:g} times faster", theirs_middle >= times * ours_middle,
                  f"{theirs_middle / ours_middle:.2f} times", ours, theirs)

    def speed(self, name: str, ours: List[float], theirs: List[float], times: float, unit: str) -> None:
        """The same where more is better."""
        ours_middle, theirs_middle = median(ours), median(theirs)
        self._add(name, ours_middle, theirs_middle, unit, f"{times:g} times as much", ours_middle >= times * theirs_middle,
                  f"{ours_middle / theirs_middle:.2f} times", ours, theirs)

    def at_most(self, name: str, ours: float, limit: float, unit: str, theirs: Optional[float] = None) -> None:
        self._add(name, ours, theirs, unit, f"at most {limit:.4g} {unit}", ours <= limit)

    def at_least(self, name: str, ours: float, limit: float, unit: str) -> None:
        self._add(name, ours, None, unit, f"at least {limit:.4g} {unit}", ours >= limit)

    def share(self, name: str, ours: float, theirs: float, limit: float, unit: str) -> None:
        """The target: ours is at most that part of theirs."""
        self._add(name, ours, theirs, unit, f"at most {limit:g} of it", ours <= limit * theirs, f"{ours / theirs:.2f} of it")

    def shown(self, name: str, ours: Optional[float], unit: str, theirs: Optional[float] = None) -> None:
        self._add(name, ours, theirs, unit, None, None)

    def because(self, why: str) -> None:
        """The reason of the last row, if it falls short."""
        if self.rows[-1]["reached"] is False:
            self.rows[-1]["why"] = why
            print(f"    {self.reason(self.rows[-1])}", flush=True)

    @staticmethod
    def reason(row: dict) -> str:
        return f"    because {row['why']}"

    def failed(self, name: str, why: str) -> None:
        self._add(name, None, None, "", "to run", False, why.strip().splitlines()[-1][:160])

    def _add(self, name: str, ours: Optional[float], theirs: Optional[float], unit: str, target: Optional[str], reached: Optional[bool],
             ratio: str = "", ours_all: Optional[List[float]] = None, theirs_all: Optional[List[float]] = None) -> None:
        row = {"name": name, "ours": ours, "peer": theirs, "unit": unit, "target": target, "reached": reached, "ratio": ratio,
               "ours_all": ours_all or [], "peer_all": theirs_all or []}
        self.rows.append(row)
        print(f"    {self.line(row)}", flush=True)

    @staticmethod
    def line(row: dict) -> str:
        def figure(value: Optional[float]) -> str:
            return "-" if value is None else f"{value:.3f}" if abs(value) < 1000 else f"{value:.0f}"

        verdict = "" if row["target"] is None else f"{'reached' if row['reached'] else 'NOT REACHED'} ({row['target']})"
        return f"{row['name']:<58} {figure(row['ours']):>9} {figure(row['peer']):>9} {row['unit']:<6} {row['ratio']:<12} {verdict}".rstrip()

    def print(self) -> None:
        print(f"\n    {'what':<58} {'ours':>9} {'peer':>9}")
        for row in self.rows:
            print(f"    {self.line(row)}")
            if "why" in row:
                print(f"    {self.reason(row)}")
