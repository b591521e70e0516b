"""Safe opening of uploaded batches: a ZIP with a manifest, or JSON lines.

An archive is rejected as a whole for anything that an honest one does not contain: entries outside
it, links, passwords, nested archives, duplicate names, or a suspicious compression ratio. Sizes are
counted again while an entry is read, whatever its header says. Nothing is unpacked to disk, and at
most one picture is in memory.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import IO, Any, Protocol

from ml.opening.limits import IN_BYTES, MAX_BYTES, size_in_words
from screening.errors import ArchiveRefused, PictureRefused
from skincheck_site import untrusted_json

MAX_ARCHIVE_BYTES = 4_000_000_000
MAX_JSON_LINES_BYTES = 1_000_000_000
MAX_ENTRIES = 25_000
MAX_UNPACKED_BYTES = 20_000_000_000
MAX_MANIFEST_BYTES = 50_000_000
# A whole picture in base64, and the JSON around it.
MAX_LINE_BYTES = 4 * MAX_BYTES // 3 + 1_400_000
# Pictures are already compressed: few shrink to half. Small ones may be of one colour.
MAX_RATIO = 100
RATIO_COUNTS_FROM = 1_000_000
ARCHIVE_TOO_LARGE = (
    f"The archive is larger than {size_in_words(MAX_ARCHIVE_BYTES)}. Send it in parts."
)
_DIRECTORY_BYTES = 8_000_000
_CHUNK = 65_536
_DAMAGED_MANIFEST = "The manifest is damaged in the ZIP. Pack it again."
# The flag of an entry whose name is in UTF-8.
_IS_UTF8 = 0x800

_TABLES = (".csv", ".tsv", ".tab")
_MANIFESTS = (*_TABLES, ".jsonl", ".ndjson")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar")
# How zipfile reports entries that are damaged, encrypted or compressed in an unknown way, and how
# it fails on a damaged header.
_UNREADABLE = (
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    zlib.error,
    struct.error,
    ValueError,
    LookupError,
    OverflowError,
)
_ARCHIVE_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf\x27\x1c", b"Rar!")
_ZIP_MAGIC = _ARCHIVE_MAGIC[:2]
_LITTER = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)


class Batchable(Protocol):
    """Either kind of upload, as a context manager."""

    manifests: list[str]

    def lines(self, manifest: str) -> Iterator[tuple[int | None, bytes]]:
        """Its lines, each with the offset for finding it again, if any."""

    def find(self, named: str) -> str:
        """The entry that a manifest line names. Raises PictureRefused."""

    def picture(self, entry: str, offset: int | None) -> bytes:
        """The bytes of the picture. Raises PictureRefused."""


class ZippedBatch:
    """Pictures in a ZIP and a manifest, or the tables that make one."""

    def __init__(self, file: Any) -> None:
        """Raises ArchiveRefused. Reads only the directory at the end of the file, no entries."""
        with _refused("The ZIP is damaged or was cut off. Make it again."):
            self._zip = zipfile.ZipFile(_Guarded(file))
            entries = [info for info in self._zip.infolist() if not _is_folder(info)]
        _require_honest(entries, self._zip.infolist())
        paths = {_path(info): info.filename for info in entries}
        paths = {path: name for path, name in paths.items() if not _LITTER.search(path)}
        manifests = _manifests(sorted(paths))
        self.manifests = [paths.pop(path) for path in manifests]
        self._folders = {PurePosixPath(path).parent for path in manifests}
        self._entries = paths
        self._named: dict[str, list[str]] = defaultdict(list)
        for entry in sorted(self._entries):
            path = PurePosixPath(entry)
            for key in {path.name.casefold(), path.stem.casefold()}:
                self._named[key].append(entry)

    def lines(self, manifest: str) -> Iterator[tuple[int | None, bytes]]:
        read = 0
        with _refused(_DAMAGED_MANIFEST):
            entry = self._zip.open(manifest)
        # Buffered: zipfile's own readline takes a third of a second for a one-megabyte line.
        with io.BufferedReader(entry, _CHUNK) as file:  # type: ignore[type-var]
            while line := _line(file):
                read += len(line)
                if read > MAX_MANIFEST_BYTES:
                    size = size_in_words(MAX_MANIFEST_BYTES)
                    raise ArchiveRefused(f"{manifest} is larger than {size} unpacked.")
                yield None, line

    def find(self, named: str) -> str:
        path = PurePosixPath(_composed(named))
        if path.is_absolute() or ".." in path.parts:
            raise PictureRefused(f"“{named}” leads out of the archive.")
        for exact in (*(str(folder / path) for folder in self._folders), str(path)):
            if exact in self._entries:
                return self._entries[exact]
        found = self._named.get(path.name.casefold(), [])
        if not found:
            raise PictureRefused(f"The archive holds no “{named}”.")
        if len(found) > 1:
            raise PictureRefused(
                f"“{named}” could be {found[0]} or {found[1]}: name it with its folder."
            )
        return self._entries[found[0]]

    def picture(self, entry: str, offset: int | None) -> bytes:
        info = self._zip.getinfo(entry)
        data = bytearray()
        damaged = _refused("It is damaged in the archive. Pack it again.", PictureRefused)
        with damaged, self._zip.open(info) as file:
            while chunk := file.read(_CHUNK):
                data += chunk
                if len(data) > MAX_BYTES:
                    raise PictureRefused(f"The picture is larger than {IN_BYTES}.")
                if _is_bomb(len(data), info.compress_size):
                    raise PictureRefused("It unpacks to far more than a picture would: a bomb?")
        if data.startswith(_ARCHIVE_MAGIC):
            raise PictureRefused("It is an archive itself, not a picture.")
        return bytes(data)

    def __enter__(self) -> ZippedBatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()


class JSONLinesBatch:
    """JSON lines that contain the pictures in base64."""

    manifests = ["manifest.jsonl"]

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0, 2)
        if file.tell() > MAX_JSON_LINES_BYTES:
            size = size_in_words(MAX_JSON_LINES_BYTES)
            raise ArchiveRefused(f"JSON lines may have {size}. Send more than that as a ZIP.")

    def lines(self, manifest: str) -> Iterator[tuple[int | None, bytes]]:
        offset = 0
        self._file.seek(0)
        while line := _line(self._file):
            yield offset, line
            offset += len(line)

    def find(self, named: str) -> str:
        raise PictureRefused(
            "A picture outside of a ZIP stands in the line itself, as image_base64."
        )

    def picture(self, entry: str, offset: int | None) -> bytes:
        self._file.seek(offset or 0)
        try:
            text = untrusted_json.loads(_line(self._file))["image_base64"]
            return base64.b64decode(re.sub(r"\s|^data:[\w/.+-]+;base64,", "", text), validate=True)
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise PictureRefused("This is no base64.") from None

    def __enter__(self) -> JSONLinesBatch:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def opened(file: Any) -> ZippedBatch | JSONLinesBatch:
    """Detect the kind by content, whatever the file name. Raises ArchiveRefused."""
    file.seek(0)
    begin = file.read(4096)
    file.seek(0)
    if not begin:
        raise ArchiveRefused("The file is empty. Choose it again.")
    if begin.startswith(_ZIP_MAGIC):
        return ZippedBatch(file)
    if begin.startswith(_ARCHIVE_MAGIC):
        raise ArchiveRefused("This kind of archive is not accepted. Pack it as a ZIP.")
    if begin.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return JSONLinesBatch(file)
    raise ArchiveRefused("This is neither a ZIP nor JSON lines.")


class _Guarded:
    """A file for ``zipfile`` that limits reads: it reads the whole directory at once, and must not
    be tricked into allocating gigabytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _DIRECTORY_BYTES:
            raise ArchiveRefused(f"The ZIP holds more than {MAX_ENTRIES:,} files.")
        return self._file.read(size if size >= 0 else _DIRECTORY_BYTES)

    def seekable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _require_honest(entries: list[zipfile.ZipInfo], with_folders: list[zipfile.ZipInfo]) -> None:
    if len(with_folders) > MAX_ENTRIES:
        raise ArchiveRefused(f"The ZIP holds more than {MAX_ENTRIES:,} files.")
    seen = set()
    for info in with_folders:
        name = _path(info)
        if reason := _dishonest(info):
            raise ArchiveRefused(f"{shown(info.filename)}: {reason}")
        if name in seen:
            raise ArchiveRefused(f"{shown(name)} is in the ZIP twice. Keep one of them.")
        seen.add(name)
    # zipfile returns no more of an entry than its header declares, so this is an upper bound.
    unpacked = sum(info.file_size for info in entries)
    if unpacked > MAX_UNPACKED_BYTES:
        size = size_in_words(MAX_UNPACKED_BYTES)
        raise ArchiveRefused(f"The ZIP unpacks to more than {size}. Send it in parts.")
    if _is_bomb(unpacked, sum(info.compress_size for info in entries)):
        raise ArchiveRefused("The ZIP unpacks to far more than pictures would: a bomb?")


def _dishonest(info: zipfile.ZipInfo) -> str:
    """Why an archive with this entry is rejected, or ""."""
    # zipfile cuts a name at a NUL; the original name still has what followed.
    name = info.orig_filename.replace("\\", "/")
    path = PurePosixPath(name)
    if "\0" in name or path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        return "its name leads out of the archive."
    if info.flag_bits & 0x1:
        return "it is encrypted. Pack it without a password."
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a link, not a file."
    if not _is_folder(info) and path.suffix.lower() in _ARCHIVES:
        return "an archive in the archive. Unpack it first."
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is compressed in an unusual way. Pack it with deflate, or without compression."
    return ""


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Also as old Windows tools write one, with a backslash at the end."""
    return info.filename.endswith(("/", "\\"))


def _path(info: zipfile.ZipInfo) -> str:
    """The name of an entry as a manifest would write it. Some tools write UTF-8 without the flag,
    and zipfile reads that as code page 437.
    """
    name = info.filename
    if not info.flag_bits & _IS_UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return _composed(name)


def _composed(name: str) -> str:
    """The name with forward slashes (Windows uses others) and with composed accents (macOS
    decomposes them).
    """
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _manifests(paths: list[str]) -> list[str]:
    """One, or several tables. HAM10000's metadata file has no extension when downloaded."""
    found = [path for path in paths if path.lower().endswith(_MANIFESTS)]
    found = found or [path for path in paths if not PurePosixPath(path).suffix]
    if not found:
        raise ArchiveRefused(
            "The ZIP holds no manifest: a .csv, .tsv, .tab or .jsonl that names the pictures."
        )
    if len(found) > 1 and not all(path.lower().endswith(_TABLES) for path in found):
        named = f"{shown(found[0])} and {shown(found[1])}"
        raise ArchiveRefused(f"The ZIP holds more than one manifest: {named}. Keep one.")
    return found


def _is_bomb(unpacked: int, packed: int) -> bool:
    return unpacked > RATIO_COUNTS_FROM and unpacked > MAX_RATIO * max(packed, 1)


@contextmanager
def _refused(reason: str, refusal: type[ValueError] = ArchiveRefused) -> Iterator[None]:
    """Convert any error that zipfile raises for damaged data into a rejection."""
    try:
        yield
    except (ArchiveRefused, PictureRefused):
        raise
    except _UNREADABLE:
        raise refusal(reason) from None


def _line(file: IO[bytes]) -> bytes:
    with _refused(_DAMAGED_MANIFEST):
        line = file.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        size = size_in_words(MAX_LINE_BYTES)
        raise ArchiveRefused(f"The manifest has a line of more than {size}.")
    return line


def shown(name: str) -> str:
    """A name for a message: short, and without control characters."""
    clean = "".join(character if character.isprintable() else "?" for character in name)
    return f"“{clean}”" if len(clean) <= 80 else f"“{clean[:79]}…”"
