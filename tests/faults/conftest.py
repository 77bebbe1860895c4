"""Faults that are real: of disks, stores, networks and processes. What the black-box tests have is had from there."""
import importlib.util
import sys
from pathlib import Path

_there = Path(__file__).resolve().parents[1] / "functional/conftest.py"
_spec = importlib.util.spec_from_file_location("functional_conftest", _there)
_functional = importlib.util.module_from_spec(_spec)
sys.modules["functional_conftest"] = _functional
_spec.loader.exec_module(_functional)
globals().update({name: value for name, value in vars(_functional).items() if not name.startswith("__")})
