"""Encryption of stored files and columns: AES-256-GCM in chunks, so that a part of a large file is
read without the rest.

    MAGIC (8 bytes), identifier of the data key (16), salt (32), chunks

A chunk is CHUNK bytes of the content, the last one at most as many, and a tag of 16 bytes. Its
nonce is its number and whether it is the last one: what is changed, swapped, left out or cut off
does not open (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015). Every
file has a key of its own, derived from the data key and the salt, so no nonce comes twice. The
place where it is stored is authenticated: a file does not open under another name.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from screening.errors import Damaged

MAGIC = b"\xabSKIN1\r\n"
"""No picture, archive or text starts with it."""
CHUNK = 65_536
_SALT, _TAG = 32, 16
HEADER = len(MAGIC) + 16 + _SALT
KEY = 32
"""Length of a key in bytes."""
BROKEN = "What is stored was changed, or is not whole."


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Header(NamedTuple):
    data_key: UUID
    salt: bytes


def is_sealed(begin: bytes) -> bool:
    """begin: at least the first 8 bytes of what is stored."""
    return begin.startswith(MAGIC)


def header_of(begin: bytes) -> Header:
    """begin: the first HEADER bytes. Raises Damaged."""
    if len(begin) < HEADER:
        raise Damaged(BROKEN)
    rest = begin[len(MAGIC) :]
    return Header(UUID(bytes=rest[:16]), rest[16 : 16 + _SALT])


def content_size(stored: int) -> int:
    """The length of the content in ``stored`` sealed bytes."""
    body = stored - HEADER
    return body - _TAG * -(-body // (CHUNK + _TAG))


def seal(content: bytes, *, data_key: UUID, key: bytes, place: str) -> bytes:
    return b"".join(_sealed(io.BytesIO(content), data_key, key, place))


def unseal(sealed: bytes, *, key: bytes, place: str) -> bytes:
    """Raises Damaged."""
    return Unsealed(io.BytesIO(sealed), key=key, place=place).read()


def reader(content: Readable, *, data_key: UUID, key: bytes, place: str) -> IO[bytes]:
    """A stream of the sealed content, to be read once."""
    return io.BufferedReader(_Stream(_sealed(content, data_key, key, place)), CHUNK)


class Unsealed(io.RawIOBase):
    """The content of a sealed file. sealed: seekable; closed together with this stream. Opens one
    chunk at a time. Raises Damaged.
    """

    def __init__(self, sealed: IO[bytes], *, key: bytes, place: str) -> None:
        self._sealed = sealed
        self._stored = sealed.seek(0, io.SEEK_END)
        sealed.seek(0)
        self._cipher = _Cipher(key, header_of(sealed.read(HEADER)).salt, place)
        self.size = content_size(self._stored)
        self._last = max(0, -(-self.size // CHUNK) - 1)
        if self._stored != HEADER + self.size + _TAG * (self._last + 1):
            raise Damaged(BROKEN)  # less than a chunk was added
        self._position = 0
        self._number, self._chunk = 0, self._opened(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self.size:
            return 0
        number, begin = divmod(self._position, CHUNK)
        if number != self._number:
            self._number, self._chunk = number, self._opened(number)
        part = self._chunk[begin : begin + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        self._sealed.close()
        super().close()

    def _opened(self, number: int) -> bytes:
        self._sealed.seek(HEADER + number * (CHUNK + _TAG))
        return self._cipher.open(
            number, _up_to(self._sealed, CHUNK + _TAG), is_last=number == self._last
        )


class _Cipher:
    """The key of one file."""

    def __init__(self, key: bytes, salt: bytes, place: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=KEY, salt=salt, info=b"skincheck.sealed.1")
        self._gcm = AESGCM(derived.derive(key))
        self._place = place.encode()

    def seal(self, number: int, chunk: bytes, *, is_last: bool) -> bytes:
        return self._gcm.encrypt(_nonce(number, is_last), chunk, self._place)

    def open(self, number: int, sealed: bytes, *, is_last: bool) -> bytes:
        try:
            return self._gcm.decrypt(_nonce(number, is_last), sealed, self._place)
        except InvalidTag:
            raise Damaged(BROKEN) from None


class _Stream(io.RawIOBase):
    """Parts, one after the other."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._rest = parts, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        rest = self._rest or next(self._parts, b"")
        part, self._rest = rest[: len(buffer)], rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _sealed(content: Readable, data_key: UUID, key: bytes, place: str) -> Iterator[bytes]:
    salt = os.urandom(_SALT)
    cipher = _Cipher(key, salt, place)
    yield MAGIC + data_key.bytes + salt
    number, chunk, is_last = 0, _up_to(content, CHUNK), False
    while not is_last:
        following = _up_to(content, CHUNK)
        is_last = not following
        yield cipher.seal(number, chunk, is_last=is_last)
        number, chunk = number + 1, following


def _up_to(content: Readable, size: int) -> bytes:
    """The next ``size`` bytes; fewer only at the end."""
    parts = []
    while size and (part := content.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
