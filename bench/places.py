"""Where repositories lie: a directory, and a bucket of a real S3 store that is reached over TLS."""
import os
import re
import urllib.parse
from pathlib import Path
from typing import List

from support.rgw import Rgw


class DirectoryPlace:
    name = "directory"

    def cpu_seconds(self) -> float:
        return 0


class S3Place:
    name = "S3"

    def __init__(self, directory: Path):
        directory.mkdir(mode=0o700)
        self.rgw = Rgw(directory).start()
        self.port = urllib.parse.urlsplit(self.rgw.tls_url).port
        self._log = self.rgw.home / "log/client.rgw.a.log"

    def mark(self) -> int:
        """Where the log of requests ends now."""
        return self._log.stat().st_size

    def requests_since(self, mark: int) -> List[str]:
        """"GET /bucket/key" of each request since then."""
        with open(self._log, "rb") as log:
            log.seek(mark)
            text = log.read().decode(errors="replace")
        return re.findall(r'"([A-Z]+ /\S*) HTTP/1\.[01]"', text)

    def cpu_seconds(self) -> float:
        """What the store's processes have taken so far, of the same processors."""
        ticks = 0
        for process in self.rgw.pids():
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.rgw.stop()
