"""Encryption on S3. Files are read by ranges, because django-storages loads a whole file into
memory.
"""

from __future__ import annotations

import errno
import io
from typing import IO, Any, cast

from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from screening.errors import StorageAway
from screening.operations.storage import Sealed

_BUFFER = 1_000_000


class SealedS3(Sealed, S3Storage):
    def require_there(self) -> None:
        """S3 answers alike for an object and a bucket that it does not have."""
        try:
            self.connection.meta.client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            raise StorageAway(errno.ENODEV, f"There is no bucket {self.bucket_name}.") from None

    def _stored(self, name: str) -> IO[bytes]:
        """Only the ranges that are read are fetched."""
        ranged = RangedObject(S3Storage._open(self, name).obj)
        return cast(IO[bytes], io.BufferedReader(ranged, _BUFFER))


class RangedObject(io.RawIOBase):
    """A boto3 object, read by ranges."""

    def __init__(self, stored: Any) -> None:
        self._object = stored
        self._size: int = stored.content_length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        wanted = f"bytes={self._position}-{end - 1}"
        data = self._object.get(Range=wanted)["Body"].read()
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
