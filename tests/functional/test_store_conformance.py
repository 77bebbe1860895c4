"""The store conformance suite against a real S3 store, over plain HTTP and over TLS, path style and virtual host."""
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300


@pytest.fixture(scope="module")
def suite() -> Path:
    path = Path(os.environ.get("BACKSTAY_BLOB_TESTS", ROOT / "build/asan/blob_tests"))
    if not path.is_file():
        pytest.fail(f"{path} is not built; run ./dev test, or name the program in BACKSTAY_BLOB_TESTS")
    return path


def run(suite: Path, rgw, endpoint: str, tmp_path: Path, **more: str) -> dict:
    report = tmp_path / "report.json"
    environment = dict(os.environ, BACKSTAY_TEST_S3_ENDPOINT=endpoint, BACKSTAY_TEST_S3_ACCESS_KEY=rgw.access_key,
                       BACKSTAY_TEST_S3_SECRET_KEY=rgw.secret_key,
                       BACKSTAY_TEST_S3_BUCKET=rgw.make_bucket("conformance"),
                       BACKSTAY_TEST_S3_LOCKED_BUCKET=rgw.make_bucket("locked", lock=True), **more)
    done = subprocess.run([suite, "--gtest_filter=StoreConformance/S3*:S3Live.*", f"--gtest_output=json:{report}"],
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output[-6000:]
    assert rgw.secret_key not in output
    return json.loads(report.read_text())


def passed(report: dict, name: str) -> int:
    """How many tests of a suite really ran and passed."""
    for found in report["testsuites"]:
        if found["name"] == name:
            return sum(1 for test in found["testsuite"] if test["result"] == "COMPLETED" and not test.get("failures"))
    return 0


def test_the_suite_passes_over_http(suite, rgw, tmp_path):
    endpoint = rgw.url.replace("127.0.0.1", "localhost")
    report = run(suite, rgw, endpoint, tmp_path, BACKSTAY_TEST_S3_VIRTUAL_HOST="1")
    assert passed(report, "StoreConformance/S3") >= 26
    assert passed(report, "StoreConformance/S3VirtualHost") >= 26
    assert passed(report, "S3Live") == 4


def test_the_suite_passes_over_tls(suite, rgw, tmp_path):
    report = run(suite, rgw, rgw.tls_url, tmp_path, BACKSTAY_TEST_S3_CA_FILE=str(rgw.ca_file))
    assert passed(report, "StoreConformance/S3") >= 26
    assert passed(report, "S3Live") == 4


def test_without_an_endpoint_nothing_pretends_to_have_run(suite):
    listed = subprocess.run([suite, "--gtest_list_tests"], stdout=subprocess.PIPE, timeout=60, check=True).stdout.decode()
    assert "StoreConformance/Memory" in listed
    assert "S3Live" not in listed and "StoreConformance/S3" not in listed
