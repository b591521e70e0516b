"""A failed transaction leaves no file of an upload behind, even if it fails at its commit."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from screening.images import services as image_services
from screening.interop.dicom import services as dicom_services
from screening.models import LesionImage
from tests.factories import LesionFactory, picture
from tests.interop.dicoms import dicom

pytestmark = pytest.mark.django_db(transaction=True)


def stored() -> set[Path]:
    return {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("add", "data"),
    [
        (image_services.add_image, picture()),
        (dicom_services.add_image, picture()),
        (dicom_services.add_image, dicom()),
    ],
    ids=["picture", "picture for both", "dicom"],
)
def test_nothing_remains_if_the_commit_fails(personas, monkeypatch, add, data):
    lesion = LesionFactory(patient=personas.patient, body_site="")
    before, files = stored(), []

    def fail() -> None:
        files.extend(stored() - before)
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(connection, "_commit", fail)
        with pytest.raises(OperationalError):
            add(user=personas.clinician, lesion=lesion, file=BytesIO(data))
    assert files and stored() == before
    assert not LesionImage.everything.exists()
    add(user=personas.clinician, lesion=lesion, file=BytesIO(data))
    assert stored() > before
