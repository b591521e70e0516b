"""An archive on S3 is read by ranges, and never as a whole."""

from __future__ import annotations

import io

import pytest

from screening.batches.archives import opened
from screening.operations.sealed_s3 import RangedObject
from tests.batches.uploads import drawn, zipped


class StoredObject:
    """Like boto3's object, over bytes. fetched: the number of bytes requested."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.content_length = len(data)
        self.fetched = 0

    def get(self, Range: str) -> dict[str, io.BytesIO]:
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        part = self._data[first : last + 1]
        self.fetched += len(part)
        return {"Body": io.BytesIO(part)}


def test_one_picture_costs_a_part_of_the_archive():
    filler = {f"{n}.bin": bytes(range(256)) * 400 for n in range(100)}
    stored = StoredObject(zipped({"m.csv": b"image\n", "a.jpg": drawn(1), **filler}))
    file = io.BufferedReader(RangedObject(stored), 64_000)
    with opened(file) as upload:
        assert upload.picture("a.jpg", None) == drawn(1)
    assert stored.fetched < stored.content_length / 10


@pytest.mark.parametrize("buffer", [16, 1000])
def test_it_reads_as_a_file_does(buffer):
    data = bytes(range(256)) * 3
    file = io.BufferedReader(RangedObject(StoredObject(data)), buffer)
    assert file.read(10) == data[:10]
    assert file.seek(-5, io.SEEK_END) == len(data) - 5
    assert file.read() == data[-5:]
    assert file.read() == b""
    file.seek(100)
    file.seek(50, io.SEEK_CUR)
    assert file.read(300) == data[150:450]
