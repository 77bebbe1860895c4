"""The API, also with a state of 10,000 services."""
import http.client
import time
import urllib.parse

from bench.measure import percentile
from support.scale import SERVICES, filled_server
from support.scale import measure as measure_server
from support.server import Server

REQUESTS = 500


def latencies(bench) -> None:
    server = Server(bench.program, bench.home / "server")
    server.home.mkdir(mode=0o711)
    try:
        server.start()
        parts = urllib.parse.urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        headers = {"Authorization": f"Bearer {server.token_file.read_text().strip()}"}
        for name, path in (("list services", "/managed-services"), ("catalogue", "/managed-services/providers")):
            times = []
            for _ in range(REQUESTS):
                begin = time.monotonic()
                connection.request("GET", path, headers=headers)
                connection.getresponse().read()
                times.append((time.monotonic() - begin) * 1000)
            bench.results.at_most(f"API: {name}, median", percentile(times, 50), 5, "ms")
            bench.results.at_most(f"API: {name}, 99 %", percentile(times, 99), 25, "ms")
        connection.close()
    finally:
        server.destroy()


def scale(bench) -> None:
    """10,000 services and 100,000 backups in the state."""
    for kind in ("sqlite", "postgresql"):
        with filled_server(bench.program, kind) as server:
            figures = measure_server(server)
        bench.results.at_most(f"{SERVICES} services, {kind}: page, 99 %", figures.page_99 * 1000, 50, "ms")
        bench.results.at_most(f"{SERVICES} services, {kind}: page of events, 99 %", figures.event_page_99 * 1000, 50, "ms")
        bench.results.at_most(f"{SERVICES} services, {kind}: tick, 99 %", figures.tick_99 * 1000, 100, "ms")
        bench.results.at_most(f"{SERVICES} services, {kind}: start", figures.start, 2, "s")
        bench.results.at_most(f"{SERVICES} services, {kind}: memory", figures.memory_mib, 256, "MiB")
