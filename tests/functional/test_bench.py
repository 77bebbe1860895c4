"""The benchmark runs and writes its rows; its figures are another matter."""
import json
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.nightly
def test_every_row_of_the_benchmark_runs(program, tmp_path):
    rows_file = tmp_path / "rows.json"
    subprocess.run([sys.executable, ROOT / "bench/bench.py", "--program", program, "--json", rows_file, "--size", "64", "--rounds", "1",
                    "--chain", "3"], check=True, timeout=2400)
    rows = json.loads(rows_file.read_text())
    assert [row["ratio"] for row in rows if row["target"] == "to run"] == [], "rows that failed"
    assert len(rows) > 40
    for row in rows:
        assert set(row) == {"name", "ours", "peer", "ratio", "target", "reached", "unit", "ours_all", "peer_all"}
