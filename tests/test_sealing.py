"""Encryption in chunks: any part of a file is read alone, and nothing that was changed opens."""

from __future__ import annotations

import io
from uuid import uuid4

import pytest

from screening import sealing
from screening.errors import Damaged
from screening.sealing import CHUNK, HEADER

PK, KEY, PLACE = uuid4(), bytes(range(32)), "ab/name.jpg"
TAG = 16


def content_of(size: int) -> bytes:
    return (b"%08d" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]


def sealed(content: bytes) -> bytes:
    return sealing.seal(content, data_key=PK, key=KEY, place=PLACE)


def unsealed(data: bytes, *, key: bytes = KEY, place: str = PLACE) -> bytes:
    return sealing.unseal(data, key=key, place=place)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5])
def test_what_was_sealed_comes_back(size: int) -> None:
    content = content_of(size)
    stored = sealed(content)
    assert unsealed(stored) == content
    assert sealing.content_size(len(stored)) == size
    assert sealing.is_sealed(stored)
    assert sealing.header_of(stored).data_key == PK
    assert size < 100 or content[:100] not in stored


def test_the_same_content_is_never_stored_alike() -> None:
    assert sealed(b"x" * 100)[HEADER:] != sealed(b"x" * 100)[HEADER:]


class Counted(io.BytesIO):
    """fetched: the number of bytes read."""

    fetched = 0

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.fetched += len(part)
        return part


def test_a_range_costs_its_chunks_alone() -> None:
    content = content_of(100 * CHUNK)
    stored = Counted(sealed(content))
    file = io.BufferedReader(sealing.Unsealed(stored, key=KEY, place=PLACE))
    file.seek(50 * CHUNK - 10)
    assert file.read(20) == content[50 * CHUNK - 10 : 50 * CHUNK + 10]
    assert stored.fetched < 5 * CHUNK
    assert file.seek(-5, io.SEEK_END) == len(content) - 5
    assert file.read() == content[-5:]
    assert file.read() == b""
    file.close()
    assert stored.closed


def test_content_that_comes_in_small_parts_is_sealed_whole() -> None:
    class Dribble(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 1000))

    content = content_of(2 * CHUNK + 7)
    stored = sealing.reader(Dribble(content), data_key=PK, key=KEY, place=PLACE).read()
    assert unsealed(stored) == content


@pytest.mark.parametrize("added", [1, 15, 16, 17])
def test_nothing_is_added_to_a_full_last_chunk(added: int) -> None:
    whole = sealed(content_of(CHUNK))
    assert unsealed(whole)
    with pytest.raises(Damaged):
        unsealed(whole + bytes(added))


def broken() -> dict[str, bytes]:
    stored, part = sealed(content_of(3 * CHUNK)), CHUNK + TAG
    begin, chunks = stored[:HEADER], [stored[HEADER + n * part :][:part] for n in range(3)]
    return {
        "a bit is changed": stored[:-1] + bytes([stored[-1] ^ 1]),
        "the salt is changed": stored[:30] + bytes([stored[30] ^ 1]) + stored[31:],
        "two chunks are swapped": begin + chunks[1] + chunks[0] + chunks[2],
        "the first is left out": begin + chunks[1] + chunks[2],
        "the last is cut off": begin + chunks[0] + chunks[1],
        "one is there twice": begin + chunks[0] + chunks[1] + chunks[1] + chunks[2],
        "it ends within a chunk": stored[: HEADER + part + 100],
        "nothing but the header": begin,
        "half a header": begin[:20],
    }


@pytest.mark.parametrize("how", broken())
def test_what_was_changed_does_not_open(how: str) -> None:
    with pytest.raises(Damaged):
        unsealed(broken()[how])


def test_it_opens_with_its_key_and_in_its_place_alone() -> None:
    stored = sealed(b"x")
    with pytest.raises(Damaged):
        unsealed(stored, key=bytes(32))
    with pytest.raises(Damaged):
        unsealed(stored, place="ab/other.jpg")
