"""An archive that takes pictures by STOW-RS, and a clinic's node that leads there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from screening.interop.dicomweb import nodes
from screening.models import DicomNode, LesionImage
from tests.factories import LesionImageFactory
from tests.webhooks.receiver import Receiver, receiving

STORED = json.dumps({"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI"}}]}}).encode()


@pytest.fixture
def archive(settings) -> Iterator[Receiver]:
    """It listens on this machine, which is allowed only by the development setting."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    with receiving() as found:
        found.url = found.url.partition("/events")[0] + "/dicom-web"
        found.answer = STORED
        yield found


@pytest.fixture
def node(personas, archive) -> DicomNode:
    return nodes.add_node(
        user=personas.admin,
        clinic=personas.clinic,
        name="Archive",
        address=archive.url,
        authorization="basic",
        credentials="us:pässword",
    )


@pytest.fixture
def image(personas) -> LesionImage:
    return LesionImageFactory(lesion__patient=personas.patient)
