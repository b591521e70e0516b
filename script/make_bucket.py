"""Creates the bucket named in the settings, if it does not exist. For a fresh S3 storage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

import django
from botocore.exceptions import ClientError
from django.core.files.storage import default_storage


def make_bucket(client: Any, name: str) -> bool:
    """True if it was created. Raises ClientError if it neither exists nor can be created."""
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        client.create_bucket(Bucket=name)
        return True
    return False


if __name__ == "__main__":
    django.setup()
    storage: Any = default_storage
    made = make_bucket(storage.connection.meta.client, storage.bucket_name)
    print(f"bucket {storage.bucket_name}: {'made' if made else 'there already'}")
