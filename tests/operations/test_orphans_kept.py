"""A stored file that cannot be deleted keeps none of the others."""

from __future__ import annotations

import os

import pytest

from screening.operations import orphans
from screening.operations.storage import WholeFiles


@pytest.mark.django_db
def test_one_that_cannot_be_deleted_is_stepped_over(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "aa").mkdir()
    held, other = (tmp_path / "aa" / f"{digit * 32}.jpg" for digit in "0f")
    for path in (held, other):
        path.write_bytes(b"x")
        os.utime(path, (1, 1))
    delete = WholeFiles.delete

    def refuse(self, name):
        if name.endswith("0.jpg"):
            raise PermissionError(13, "denied")
        delete(self, name)

    monkeypatch.setattr(WholeFiles, "delete", refuse)
    assert orphans.remove() == [f"aa/{other.name}"]
    assert held.exists() and not other.exists()
