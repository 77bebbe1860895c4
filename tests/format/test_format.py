"""The sample, written once by version 2, read by a reader that shares no code with Backstay."""
import json
import shutil
from pathlib import Path

import pytest
import read_repository as reader

HERE = Path(__file__).parent
KEY = "bsk1-000g40r4-0m30e209-185gr38e-1w8124gk-2gahc5rr-34d1p70x-3rfy9ah1"


def test_an_independent_reader_finds_everything():
    expected = json.loads((HERE / "sample.json").read_text())
    assert reader.describe(reader.Repository(HERE / "sample", KEY)) == expected


def test_it_would_notice_a_changed_byte(tmp_path):
    shutil.copytree(HERE / "sample", tmp_path / "sample")
    pack = next(p for p in (tmp_path / "sample/packs").rglob("*") if p.is_file())
    data = bytearray(pack.read_bytes())
    data[40] ^= 1
    pack.write_bytes(data)
    with pytest.raises(reader.Damaged):
        reader.describe(reader.Repository(tmp_path / "sample", KEY))
