"""A record with pictures of two lesions on two days, and a client that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from django.core.files.base import ContentFile

from accounts import services
from accounts.models import User
from screening.models import ExternalIdentifier, LesionImage, Patient
from tests.factories import LesionFactory, LesionImageFactory
from tests.interop.dicoms import encoded, picture

BASE = "/dicomweb"
KEPT = "1.2.826.0.1.3680043.9.1"
DAY, LATER = date(2026, 1, 12), date(2026, 3, 1)


@dataclass(frozen=True)
class Record:
    """jpeg, phone: of one lesion on DAY, dermatoscopic and not. png: of another lesion on DAY, with
    a UID of its own. late: of the first lesion on LATER.
    """

    patient: Patient
    jpeg: LesionImage
    phone: LesionImage
    png: LesionImage
    late: LesionImage


@pytest.fixture
def record(personas) -> Record:
    one = LesionFactory(patient=personas.patient, body_site="back")
    other = LesionFactory(patient=personas.patient, body_site="")
    png = LesionImageFactory(lesion=other, captured_on=DAY)
    png.file.save("image.png", ContentFile(encoded(picture(), "PNG")), save=False)
    png.width, png.height = 300, 225
    png.save()
    ExternalIdentifier.objects.create(
        clinic=personas.clinic,
        kind="image",
        image=png,
        system="urn:dicom:uid",
        value=f"urn:oid:{KEPT}",
    )
    return Record(
        patient=personas.patient,
        jpeg=LesionImageFactory(lesion=one, captured_on=DAY),
        phone=LesionImageFactory(lesion=one, captured_on=DAY, modality="clinical"),
        png=png,
        late=LesionImageFactory(lesion=one, captured_on=LATER),
    )


@pytest.fixture
def peer_of(live_server) -> Callable[..., DICOMwebClient]:
    def build(user: User, scopes: list[str] | None = None) -> DICOMwebClient:
        _, secret = services.create_api_key(user=user, name="p", scopes=scopes)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {secret}"
        session.headers["Connection"] = "close"  # its thread ends with the answer
        return DICOMwebClient(f"{live_server.url}{BASE}", session=session)

    return build


@pytest.fixture
def peer(peer_of, record, personas) -> DICOMwebClient:
    return peer_of(personas.clinician)


def value(told: Any, tag: str) -> Any:
    """The only value of an element in DICOM JSON."""
    [found] = told[tag]["Value"]
    return found
