"""The program that PostgreSQL starts for each segment of a recovery."""
import struct
from pathlib import Path

LOADER, DYNAMIC = 3, 2


def segment_types(program: Path) -> set:
    """Of the ELF file's program headers."""
    content = program.read_bytes()
    assert content[:5] == b"\x7fELF\x02", "a 64-bit program"
    (offset,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    return {struct.unpack_from("<I", content, offset + number * size)[0] for number in range(count)}


def test_it_is_static_and_small(program):
    helper = program.parent / "backstay-restore-wal"
    assert not segment_types(helper) & {LOADER, DYNAMIC}, "it is loaded without a dynamic linker"
    assert helper.stat().st_size < 2 * 1024 * 1024
    assert b"OpenSSL" not in helper.read_bytes() and b"libcurl" not in helper.read_bytes()
