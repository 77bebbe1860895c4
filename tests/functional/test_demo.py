"""The demo is the first thing that a newcomer sees: it must work, and leave nothing behind when asked to."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.mark.parametrize("options", [[], ["--s3"]], ids=["directory", "s3"])
def test_the_demo_succeeds_and_cleans_up(program, options):
    done = subprocess.run([sys.executable, ROOT / "tools/demo/demo.py", "--program", program, *options], capture_output=True, text=True,
                          timeout=600, env={**os.environ, "BACKSTAY_DEMO_EXIT": "1"})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert done.stdout.count("right:") >= 6 and "WRONG" not in done.stdout
    home = re.search(r"token in\s+(\S+)/state/admin-token", done.stdout)[1]
    assert not Path(home).exists()
    assert "pw-" not in done.stdout and '"***"' in done.stdout
