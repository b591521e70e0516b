"""A bucket that is gone is no bucket without pictures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile

from screening.errors import StorageAway
from screening.operations.sealed_s3 import SealedS3
from screening.operations.transience import is_transient
from tests.stack.s3 import Storage

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def server() -> Iterator[Storage]:
    storage = Storage()
    with storage.there():
        yield storage


@pytest.fixture
def storage(server: Storage) -> Iterator[SealedS3]:
    said = server.environment
    storage = SealedS3(
        bucket_name=said["AWS_STORAGE_BUCKET_NAME"],
        endpoint_url=said["AWS_S3_ENDPOINT_URL"],
        region_name=said["AWS_S3_REGION_NAME"],
        access_key=said["AWS_ACCESS_KEY_ID"],
        secret_key=said["AWS_SECRET_ACCESS_KEY"],
    )
    yield storage
    storage.connection.meta.client.close()


def test_a_file_is_lost_only_where_the_bucket_is_there(server: Storage, storage: SealedS3) -> None:
    name = storage.save("ab/picture", ContentFile(b"skin"))
    server.has_bucket = False
    with pytest.raises(StorageAway) as told:
        storage.open(name)
    assert is_transient(told.value)
    server.has_bucket = True
    with storage.open(name) as file:
        assert file.read() == b"skin"
    with pytest.raises(FileNotFoundError):
        storage.open("ab/other")


def test_a_file_is_gone_only_where_the_bucket_is_there(server: Storage, storage: SealedS3) -> None:
    name = storage.save("ab/picture", ContentFile(b"skin"))
    server.has_bucket = False
    with pytest.raises(StorageAway):
        storage.erase(name)
    server.has_bucket = True
    assert storage.exists(name)
    storage.erase(name)
    assert not storage.exists(name)
    storage.erase(name)
