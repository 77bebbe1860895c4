"""A real S3 store for tests, demo and benchmarks: Ceph RGW over an object store in memory, all below one directory.

    rgw = Rgw(directory).start()
    bucket = rgw.make_bucket("backups")
    ... rgw.url, rgw.tls_url, rgw.ca_file, rgw.access_key, rgw.secret_key ...
    rgw.stop()

As a command it prints one JSON line and stays until SIGTERM:

    python3 tests/support/rgw.py run --directory DIR

Needs the packages ceph-mon, ceph-osd, radosgw, ceph-common and openssl. Every port is a free one of 127.0.0.1."""
import argparse
import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Dict, List, Optional
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.waiting import wait_for  # noqa: E402

START_SECONDS = 60
STOP_SECONDS = 15

CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_v2}/0,v1:127.0.0.1:{mon_v1}/0]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
keyring = {home}/keyring
admin_socket = {home}/run/$name.asok
run_dir = {home}/run
log_file = {home}/log/$name.log
mon_cluster_log_file = {home}/log/cluster.log
pid_file = {home}/run/$name.pid
crash_dir = {home}/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_data_avail_crit = 0
mon_data_avail_warn = 0
auth_allow_insecure_global_id_reclaim = false
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_class_update_on_start = false
[mon.a]
mon_data = {home}/mon
[osd.0]
osd_data = {home}/osd
osd_objectstore = memstore
memstore_device_bytes = 17179869184
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:{http} tcp_nodelay=1 ssl_endpoint=127.0.0.1:{https} ssl_certificate={home}/tls.crt ssl_private_key={home}/tls.key
rgw_data = {home}/rgw
rgw_dns_name = localhost
rgw_run_sync_thread = false
"""

CAPABILITIES = {
    "mon.": ["mon = allow *"],
    "client.admin": ["mon = allow *", "osd = allow *", "mgr = allow *"],
    "osd.0": ["mon = allow profile osd", "mgr = allow profile osd", "osd = allow *"],
    "client.rgw.a": ["mon = allow rw", "osd = allow rwx", "mgr = allow rw"],
}


class RgwError(RuntimeError):
    pass


class Rgw:
    def __init__(self, directory: Path):
        self.home = Path(directory).resolve() / "rgw"
        self.access_key = self.secret_key = ""
        self._daemons: Dict[str, subprocess.Popen] = {}

    # --- what a test uses ---

    def start(self) -> "Rgw":
        try:
            self._prepare()
            self._bring_up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends every daemon. What was stored is in memory only and gone with them, so there is nothing to wind down."""
        for name in ("gateway", "osd", "mon"):
            self._end(name, signal.SIGKILL)

    def stop_gateway(self) -> None:
        """The store goes away: connections are refused."""
        self._end("gateway", signal.SIGTERM)

    def kill_gateway(self) -> None:
        """The same, in the middle of whatever it does."""
        self._end("gateway", signal.SIGKILL)

    def start_gateway(self) -> None:
        """The store comes back on the same port with the same objects."""
        self._launch("gateway", ["radosgw", "-n", "client.rgw.a", "-f"])
        wait_for("the gateway answers", self._answers, START_SECONDS, interval=0.02)

    def make_bucket(self, prefix: str = "bucket", lock: bool = False) -> str:
        """A new bucket with a name of its own; with `lock`, one with versioning and object lock."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.request("PUT", f"/{name}", headers={"x-amz-bucket-object-lock-enabled": "true"} if lock else None)
        return name

    def make_key_pair(self) -> Dict[str, str]:
        """Further keys of the same user, as a service's secrets name them."""
        keys = {"accessKey": secrets.token_hex(10).upper(), "secretKey": secrets.token_hex(20)}
        self._ceph("radosgw-admin", "key", "create", "--uid=backstay", "--key-type=s3", "--access-key", keys["accessKey"],
                   "--secret-key", keys["secretKey"])
        return keys

    def revoke_key_pair(self, keys: Dict[str, str]) -> None:
        self._ceph("radosgw-admin", "key", "rm", "--uid=backstay", "--key-type=s3", "--access-key", keys["accessKey"])

    def keys(self, bucket: str) -> List[str]:
        found: List[str] = []
        more: Dict[str, str] = {}
        while True:
            listing = ElementTree.fromstring(self.request("GET", f"/{bucket}", {"list-type": "2", **more}))
            space = listing.tag[:listing.tag.index("}") + 1]
            found += [key.text for key in listing.iter(f"{space}Key")]
            token = listing.findtext(f"{space}NextContinuationToken")
            if not token:
                return found
            more = {"continuation-token": token}

    def take_all(self, bucket: str) -> Dict[str, bytes]:
        """Empties the bucket and returns what was in it. A repository's description goes first."""
        taken = {}
        for key in sorted(self.keys(bucket), key=lambda key: not key.endswith("backstay.json")):
            taken[key] = self.request("GET", f"/{bucket}/{key}")
            self.request("DELETE", f"/{bucket}/{key}")
        return taken

    def put_all(self, bucket: str, objects: Dict[str, bytes]) -> None:
        """The reverse."""
        for key, content in reversed(objects.items()):
            self.request("PUT", f"/{bucket}/{key}", body=content)

    def request(self, method: str, path: str, query: Optional[Dict[str, str]] = None, body: bytes = b"",
                headers: Optional[Dict[str, str]] = None) -> bytes:
        """A signed request; raises urllib.error.HTTPError for a refusal."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": f"127.0.0.1:{self._ports['http']}", "x-amz-date": now,
                  "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        signed.update({name.lower(): value for name, value in (headers or {}).items()})
        arguments = "&".join(f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(value, safe='')}"
                             for name, value in sorted((query or {}).items()))
        path = urllib.parse.quote(path)
        signed["authorization"] = self._sign(method, path, arguments, signed)
        request = urllib.request.Request(f"{self.url}{path}?{arguments}", data=body or None, method=method,
                                         headers=signed)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return answer.read()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['http']}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self._ports['https']}"

    @property
    def ca_file(self) -> Path:
        return self.home / "tls.crt"

    def pids(self) -> List[int]:
        return [daemon.pid for daemon in self._daemons.values() if daemon.poll() is None]

    def describe(self) -> Dict[str, object]:
        return {"endpoint": self.url, "tlsEndpoint": self.tls_url, "caFile": str(self.ca_file),
                "accessKey": self.access_key, "secretKey": self.secret_key, "pids": self.pids()}

    # --- how it comes up ---

    def _prepare(self) -> None:
        missing = [tool for tool in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool", "openssl")
                   if shutil.which(tool) is None]
        if missing:
            raise RgwError(f"not installed: {', '.join(missing)} (packages ceph-mon ceph-osd radosgw ceph-common openssl)")
        if self.home.exists():
            shutil.rmtree(self.home)
        for name in ("run", "log", "mon", "osd", "rgw"):
            (self.home / name).mkdir(parents=True)
        self.home.chmod(0o700)
        self._ports = dict(zip(("mon_v2", "mon_v1", "http", "https"), free_ports(4)))
        self._fsid = str(uuid.uuid4())
        (self.home / "ceph.conf").write_text(CONFIGURATION.format(home=self.home, fsid=self._fsid, **self._ports))
        (self.home / "keyring").write_text("".join(
            f"[{name}]\n\tkey = {make_key()}\n" + "".join(f"\tcaps {cap.replace(' = ', ' = ' + chr(34), 1)}\"\n" for cap in caps)
            for name, caps in CAPABILITIES.items()))
        self._make_certificate()

    def _make_certificate(self) -> None:
        self._run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                   "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.localhost",
                   "-keyout", str(self.home / "tls.key"), "-out", str(self.home / "tls.crt")])

    def _bring_up(self) -> None:
        addresses = f"[v2:127.0.0.1:{self._ports['mon_v2']},v1:127.0.0.1:{self._ports['mon_v1']}]"
        keyring, monmap = str(self.home / "keyring"), str(self.home / "monmap")
        self._run(["monmaptool", "--create", "--clobber", "--addv", "a", addresses, "--fsid", self._fsid, monmap])
        self._ceph("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self._launch("mon", ["ceph-mon", "-i", "a", "-f"])
        osd = str(uuid.uuid4())
        self._ceph("ceph", "osd", "new", osd, "0")
        self._ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--keyring", keyring)
        self._launch("osd", ["ceph-osd", "-i", "0", "-f"])
        self.start_gateway()
        # It makes the keys itself, so that no process list shows them.
        user = json.loads(self._ceph("radosgw-admin", "user", "create", "--uid=backstay", "--display-name=backstay"))
        self.access_key = user["keys"][0]["access_key"]
        self.secret_key = user["keys"][0]["secret_key"]

    def _ceph(self, program: str, *arguments: str) -> str:
        return self._run([program, "-c", str(self.home / "ceph.conf"), *arguments])

    def _run(self, command: List[str]) -> str:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=START_SECONDS, cwd=self.home)
        if done.returncode != 0:
            raise RgwError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout.decode()

    def _launch(self, name: str, command: List[str]) -> None:
        with open(self.home / "log" / f"{name}.out", "ab") as out:
            self._daemons[name] = subprocess.Popen(
                [command[0], "-c", str(self.home / "ceph.conf"), *command[1:]], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True, cwd=self.home)

    def _end(self, name: str, how: int) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        if daemon.poll() is None:
            daemon.send_signal(how)
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _answers(self) -> bool:
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                log = (self.home / "log" / f"{name}.out").read_text(errors="replace")
                raise RgwError(f"{name} ended with {daemon.returncode}: {log[-2000:]}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.url, timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _sign(self, method: str, path: str, query: str, headers: Dict[str, str]) -> str:
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
        canonical = "\n".join([method, path, query, lines, names, headers["x-amz-content-sha256"]])
        day = headers["x-amz-date"][:8]
        scope = f"{day}/us-east-1/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret_key).encode()
        for part in (day, "us-east-1", "s3", "aws4_request", to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
                f"Signature={key.hex()}")


def make_key() -> str:
    """A cephx secret: type 1, creation time, 16 random bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def free_ports(count: int) -> List[int]:
    with contextlib.ExitStack() as open_sockets:
        ports = []
        for _ in range(count):
            probe = open_sockets.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        return ports


def main() -> int:
    parser = argparse.ArgumentParser(description="a real S3 store in memory, for tests and demonstrations")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start it, print one JSON line, stay until SIGTERM")
    run.add_argument("--directory", type=Path, required=True)
    run.add_argument("--bucket", help="make a bucket whose name starts with this")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    store = Rgw(arguments.directory)
    try:
        store.start()
        description = store.describe()
        if arguments.bucket:
            description["bucket"] = store.make_bucket(arguments.bucket)
        print(json.dumps(description), flush=True)
        while True:
            signal.pause()
    except RgwError as error:
        print(f"rgw: {error}", file=sys.stderr)
        return 1
    finally:
        store.stop()


if __name__ == "__main__":
    sys.exit(main())
