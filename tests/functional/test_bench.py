"""The benchmark runs and writes its rows; its figures are another matter."""
import json
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.nightly
def test_the_benchmark_writes_its_rows(program, tmp_path):
    rows_file = tmp_path / "rows.json"
    subprocess.run([sys.executable, ROOT / "bench/bench.py", "--program", program, "--json", rows_file, "--mib", "64", "--runs", "1",
                    "--wal-mib", "64"], check=True, timeout=1200)
    rows = json.loads(rows_file.read_text())
    assert {row["name"].split(" ")[0] for row in rows} >= {"full", "restore", "stored", "drain"}
    for row in rows:
        assert set(row) == {"name", "ours", "peer", "ratio", "target", "reached", "unit"}
        assert row["ours"] > 0, row
