"""The one place where tests, demo and benchmarks wait: always for something, never longer than a deadline."""
import time
from typing import Callable, Optional, TypeVar

T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], Optional[T]], seconds: float, interval: float = 0.1) -> T:
    """Calls `probe` until it returns something true, and returns that. Raises TimeoutError that names `what` and the
    probe's last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s (last seen: {answer!r})")
        time.sleep(interval)


def let_time_pass(seconds: float) -> None:
    """Only where the passing of time is itself the point: a point in time that lies a second before another."""
    time.sleep(seconds)
