#!/usr/bin/env python3
"""An independent reader of the repository format, written from docs/format/repository.md alone.

Usage: read_repository.py DIRECTORY RECOVERY-KEY
Lists every backup with the SHA-256 of each of its files, and every WAL segment. Standard library only; AES and zstd come
from the system's libcrypto and libzstd.
"""
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

KINDS = {1: "pack", 2: "manifest", 3: "backup record", 4: "instance record", 5: "wal segment", 6: "wal tail",
         7: "wal index", 8: "timeline history", 9: "window end", 10: "condemned", 11: "writer mark", 12: "page changes"}
PACK, MANIFEST, BACKUP_RECORD, INSTANCE_RECORD, WAL_SEGMENT, WAL_TAIL, WAL_INDEX, HISTORY, WINDOW_END = range(1, 10)

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p
zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


class Damaged(Exception):
    pass


def open_sealed(key: bytes, nonce: bytes, associated: bytes, sealed: bytes) -> bytes:
    text, tag = sealed[:-16], sealed[-16:]
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out = ctypes.create_string_buffer(len(text) + 1)
    size = ctypes.c_int()
    try:
        crypto.EVP_DecryptInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key, nonce)
        crypto.EVP_DecryptUpdate(context, None, ctypes.byref(size), associated, len(associated))
        crypto.EVP_DecryptUpdate(context, out, ctypes.byref(size), text, len(text))
        crypto.EVP_CIPHER_CTX_ctrl(context, 0x11, 16, tag)
        if crypto.EVP_DecryptFinal_ex(context, out, ctypes.byref(size)) != 1:
            raise Damaged("does not authenticate")
    finally:
        crypto.EVP_CIPHER_CTX_free(context)
    return out.raw[:len(text)]


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def decompress(method: int, data: bytes, size: int) -> bytes:
    if method == 0:
        return data
    if method != 1:
        raise Damaged("this reader knows zstd only")
    out = ctypes.create_string_buffer(size + 1)
    if zstd.ZSTD_decompress(out, size, data, len(data)) != size:
        raise Damaged("cannot be decompressed")
    return out.raw[:size]


def parse_recovery_key(text: str) -> bytes:
    if not text.startswith("bsk1-"):
        raise ValueError("a recovery key begins with bsk1-")
    value = 0
    for c in text[5:].replace("-", ""):
        value = value << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(c)
    payload = value.to_bytes(35, "big")
    if hashlib.sha256(b"backstay recovery key v1" + payload[:32]).digest()[:3] != payload[32:]:
        raise ValueError("mistyped")
    return payload[:32]


@dataclass
class Container:
    meta: bytes
    groups: list[bytes]
    id: str

    @property
    def content(self) -> bytes:
        return b"".join(self.groups)


class Fields:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise Damaged("cut")
        return self.data[self.at - size:self.at]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def text(self) -> bytes:
        return self.take(self.number())


class Repository:
    def __init__(self, directory: Path, recovery_key: str):
        self.directory = directory
        description = json.loads((directory / "backstay.json").read_text())
        if description["version"] != 2:
            raise Damaged("not version 2")
        wrapped = base64.b64decode(description["dataKey"])
        self.data_key = open_sealed(parse_recovery_key(recovery_key), wrapped[:12], description["repository"].encode(),
                                    wrapped[12:])

    def keys(self, prefix: str) -> list[str]:
        paths = (p for p in (self.directory / prefix).rglob("*") if p.is_file())
        return sorted(p.relative_to(self.directory).as_posix() for p in paths)

    def read(self, key: str, kind: int) -> Container:
        data = (self.directory / key).read_bytes()
        header, trailer = data[:32], data[-32:]
        object_id = header[16:]
        if header != b"BACKSTAY" + bytes([1, kind]) + bytes(6) + object_id:
            raise Damaged(f"{key}: header")
        if trailer[24:] != b"YATSKCAB" or trailer[8:24] != object_id:
            raise Damaged(f"{key}: trailer")
        object_key = hkdf(self.data_key, object_id, f"backstay {KINDS[kind]} v1".encode())
        stored, raw = struct.unpack("<II", trailer[:8])

        def unseal(position: int, sealed: bytes, extra: bytes = b"") -> bytes:
            associated = header + struct.pack("<I", position) + key.encode() + extra
            return open_sealed(object_key, struct.pack("<I", position) + bytes(8), associated, sealed)

        end = len(data) - 32 - stored
        footer = decompress(raw >> 30, unseal(0xFFFFFFFF, data[end:-32], trailer), raw & 0x3FFFFFFF)
        count, = struct.unpack_from("<I", footer)
        at, groups = 32, []
        for number in range(count):
            stored, raw = struct.unpack_from("<II", footer, 4 + 8 * number)
            groups.append(decompress(raw >> 30, unseal(number, data[at:at + stored]), raw & 0x3FFFFFFF))
            at += stored
        if at != end:
            raise Damaged(f"{key}: the groups do not fill it")
        return Container(footer[8 + 8 * count:], groups, object_id.hex())

    def read_json(self, key: str, kind: int) -> dict:
        return json.loads(self.read(key, kind).content)

    def stored_attempts(self, prefix: str) -> list[str]:
        names = {key.rpartition("/")[2] for key in self.keys(prefix)}
        attempts = (name.removeprefix("record.") for name in sorted(names) if name.startswith("record."))
        return [attempt for attempt in attempts if f"condemned.{attempt}" not in names]

    def record_that_counts(self, prefix: str) -> dict:
        """Of several attempts the one that began last."""
        records = [self.read_json(f"{prefix}/record.{a}", BACKUP_RECORD) for a in self.stored_attempts(prefix)]
        return max(records, key=lambda r: (r["timeline"], int(r["startLsn"]), r["startTime"].rstrip("Z"), r["attempt"]))

    def files(self, instance: str, backup: str):
        """Yields (path, type, mode, link target, content) of every entry."""
        prefix = f"instances/{instance}/backups/{backup}"
        record = self.record_that_counts(prefix)
        manifest = self.read(f"{prefix}/manifest.{record['attempt']}", MANIFEST)
        if manifest.id != record["manifestId"]:
            raise Damaged("the manifest does not belong to the record")
        packs = [self.read(key, PACK) for key in self.packs(manifest)]
        for path, kind, mode, target, size, extents in self.entries(manifest):
            yield path, kind, mode, target, self.content(size, extents, packs) if kind == 1 else None

    @staticmethod
    def packs(manifest: Container) -> list[str]:
        meta = Fields(manifest.meta)
        meta.number(), meta.number()
        packs = [meta.take(16).hex() for _ in range(meta.number())]
        return [f"packs/{pack[:2]}/{pack}" for pack in packs]

    @staticmethod
    def entries(manifest: Container):
        """Yields (path, type, mode, link target, size, extents); an extent is (begin, length, pack, group, offset)."""
        for group in manifest.groups:
            fields, path = Fields(group), b""
            while fields.at < len(group):
                path = path[:fields.number()] + fields.text()
                kind, mode, _, _ = fields.take(1)[0], fields.number(), fields.number(), fields.text()
                target = fields.text().decode() if kind == 3 else None
                size, extents, end = fields.number() if kind == 1 else 0, [], 0
                for _ in range(fields.number() if kind == 1 else 0):
                    begin = end + fields.number()
                    length, pack, number, offset = (fields.number() for _ in range(4))
                    extents.append((begin, length, pack, number, offset))
                    end = begin + length
                yield path.decode(), kind, mode, target, size, extents

    @staticmethod
    def content(size: int, extents: list, packs: list[Container]) -> bytes:
        content = bytearray(size)
        for begin, length, pack, group, offset in extents:
            raw = b"".join(packs[pack].groups[group:])[offset:offset + length]
            if len(raw) != length:
                raise Damaged("an extent reaches behind its pack")
            content[begin:begin + length] = raw
        return bytes(content)


def describe(repository: Repository) -> dict:
    """Everything in a form that can be compared."""
    result: dict = {"files": {}, "wal": {}}
    keys = list(repository.keys("instances"))
    seen = set()
    for key in keys:
        parts = key.split("/")
        if parts[2] == "backups":
            prefix = "/".join(parts[:4])
            if prefix in seen or f"{prefix}/condemned" in keys or not repository.stored_attempts(prefix):
                continue
            seen.add(prefix)
            for path, kind, mode, target, content in repository.files(parts[1], parts[3]):
                value = {1: hashlib.sha256(content or b"").hexdigest(), 2: "directory", 3: f"-> {target}"}[kind]
                result["files"][path] = f"{mode:o} {value}"
        elif parts[2] == "wal" and len(parts) == 5 and parts[4] != "window-end":
            container = repository.read(key, WAL_TAIL if ".tail." in key else WAL_SEGMENT)
            mac = bytes.fromhex(json.loads(container.meta)["mac"])
            open_sealed(hkdf(repository.data_key, b"", b"backstay wal content v1"), bytes(12), container.content, mac)
            result["wal"][parts[4]] = hashlib.sha256(container.content).hexdigest()
        elif key.endswith(".history"):
            result["wal"][parts[3]] = repository.read(key, HISTORY).content.decode()
        elif parts[-1] == "window-end":
            result["windowEnd"] = repository.read_json(key, WINDOW_END)
        elif len(parts) == 6 and parts[4] == "index":
            result["rollUp"] = len(repository.read_json(key, WAL_INDEX)["segments"])
        elif parts[-1] == "instance":
            result["service"] = repository.read_json(key, INSTANCE_RECORD)["serviceName"]
    return result


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(json.dumps(describe(Repository(Path(sys.argv[1]), sys.argv[2])), indent=2, sort_keys=True))
