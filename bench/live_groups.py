"""How much of its packs a backup needs: the groups that its extents lie in, as they are stored."""
import struct
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/format"))

import read_repository as format_reader  # noqa: E402


def live_bytes(backstay, backup: str) -> int:
    """Of a backup in a directory."""
    home = backstay.home
    repository = format_reader.Repository(home / "store", (home / "key").read_text().strip())
    path, = (home / "store/instances").glob(f"*/backups/{backup}/manifest*")
    manifest = repository.read(path.relative_to(home / "store").as_posix(), format_reader.MANIFEST)
    packs = [group_sizes(repository, key) for key in repository.packs(manifest)]
    live = set()
    for _, _, _, _, _, extents in repository.entries(manifest):
        for _, length, pack, group, offset in extents:
            while length > 0:
                stored, raw = packs[pack][group]
                if offset < raw:
                    live.add((pack, group))
                    length -= raw - offset
                offset, group = max(0, offset - raw), group + 1
    return sum(packs[pack][group][0] for pack, group in live)


def group_sizes(repository: format_reader.Repository, key: str) -> list:
    """(stored, raw) of each group of a pack."""
    path = repository.directory / key
    with open(path, "rb") as file:
        file.seek(-32, 2)
        trailer = file.read()
        stored, raw = struct.unpack("<II", trailer[:8])
        file.seek(-32 - stored, 2)
        sealed = file.read(stored)
        file.seek(0)
        header = file.read(32)
    object_key = format_reader.hkdf(repository.data_key, header[16:], f"backstay {format_reader.KINDS[format_reader.PACK]} v1".encode())
    nonce = struct.pack("<I", 0xFFFFFFFF)
    plain = format_reader.open_sealed(object_key, nonce + bytes(8), header + nonce + key.encode() + trailer, sealed)
    footer = format_reader.decompress(raw >> 30, plain, raw & 0x3FFFFFFF)
    count, = struct.unpack_from("<I", footer)
    sizes = (struct.unpack_from("<II", footer, 4 + 8 * number) for number in range(count))
    return [(stored, raw & 0x3FFFFFFF) for stored, raw in sizes]
