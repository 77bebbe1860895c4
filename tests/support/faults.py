"""Faults of one machine: system calls that fail, and disks that are full."""
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from .waiting import wait_for


@contextlib.contextmanager
def failing_calls(pid: int, calls: str, error: str, log: Path):
    """Every one of these system calls of the process fails with the error; its children are left alone."""
    tracer = subprocess.Popen(["strace", "-qq", "-f", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}",
                               "-e", "signal=none", "-o", str(log)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def attached():
        if tracer.poll() is not None:
            raise RuntimeError(f"strace ended: {tracer.stderr.read().decode()}")
        return all("TracerPid:\t0\n" not in status for status in statuses(pid))
    try:
        wait_for("strace has the process", attached, 20)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)


def statuses(pid: int) -> list:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/task/{task}/status").read_text())
    return found


@contextlib.contextmanager
def small_disk(place: Path, mebibytes: int):
    """A file system of its own at `place`, in a file. Needs root and loop devices."""
    image = place.with_name(place.name + ".img")
    with open(image, "wb") as file:
        file.truncate(mebibytes << 20)
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        image.unlink(missing_ok=True)


def fill(place: Path, leave: int = 0) -> Path:
    """A file that takes all space that is left, but for `leave` bytes; removing it gives it back."""
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 20)):
            pass
    with open(ballast, "ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(max(file.tell() - leave, 0))
        os.fsync(file.fileno())
    return ballast


def open_operations(api) -> list:
    return [operation for operation in api.get("/api/operations?limit=100") if operation["state"] in ("queued", "running")]


def settle(api, seconds: float = 120) -> None:
    """Until no work is left; what cannot go on would be."""
    try:
        wait_for("all work has come to an end", lambda: not open_operations(api), seconds, interval=0.3)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{json.dumps(open_operations(api), indent=1)}") from None


def repository_of(server, team: int, store: dict) -> callable:
    """Runs `backstay repository …` on the store that is named by config and secrets, with the team's recovery key."""
    kit = server.api().post(f"/api/teams/{team}/recovery-kit")["text"]
    key = server.home / "recovery-key"
    key.write_text(kit[kit.index("bsk1-"):].split()[0] + "\n")
    key.chmod(0o600)
    config, secrets = store["config"], store["secrets"]
    place = ["--store", config["destinationPath"]] + (["--endpoint-url", config["endpointUrl"]] if "endpointUrl" in config else [])

    def run(*arguments, code: int = 0):
        done = subprocess.run([str(server.program), "repository", *map(str, arguments), *place, "--key-file", str(key), "-o", "json"],
                              capture_output=True, text=True, timeout=300,
                              env={**os.environ, "AWS_ACCESS_KEY_ID": secrets.get("accessKey", ""),
                                   "AWS_SECRET_ACCESS_KEY": secrets.get("secretKey", "")})
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}
    return run
