"""One picture is sent to a DICOM node at a time, and once: real threads, on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from screening.interop.dicomweb import nodes, sending
from screening.models import DicomDelivery, DicomNode
from tests.factories import (
    DicomDeliveryFactory,
    DicomNodeFactory,
    LesionFactory,
    LesionImageFactory,
)
from tests.races.test_races import at_once, faults

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]


@pytest.mark.parametrize("attempt", range(4))
def test_couriers_claim_for_several_nodes(personas, attempt):
    """Each node may hang, and webhooks would wait."""
    waiting = [DicomDeliveryFactory(node=DicomNodeFactory()) for _ in range(8)]

    def claim(pk: Any) -> Any:
        return lambda: sending.claim(pk)

    results = at_once(*(claim(one.pk) for one in waiting))
    assert not faults(results)
    assert sum(one is not None for one in results) == 1
    assert DicomDelivery.objects.filter(state="sending").count() == 1


def test_a_lesion_is_sent_eight_times(personas):
    node = DicomNodeFactory(clinic=personas.clinic)
    lesion = LesionFactory(patient=personas.patient)
    LesionImageFactory.create_batch(3, lesion=lesion)

    def send() -> Any:
        return sending.send(user=personas.clinician, lesion=lesion, node=node)

    assert not faults(at_once(*[send] * 8))
    assert DicomDelivery.objects.count() == 3


def test_a_node_is_removed_while_a_lesion_is_sent(personas):
    """Nothing stays on its way to a node that is gone without being told."""
    node = DicomNodeFactory(clinic=personas.clinic)
    image = LesionImageFactory(lesion__patient=personas.patient)
    removed = DicomNode.objects.get(pk=node.pk)
    results = at_once(
        lambda: sending.send(user=personas.clinician, lesion=image.lesion, node=node),
        lambda: nodes.remove_node(user=personas.admin, node=removed),
    )
    assert all(isinstance(one, ValidationError) for one in faults(results)), results
    for one in DicomDelivery.objects.all():
        claimed = sending.claim(one.pk)
        assert claimed is not None
        sending.deliver(claimed)
        one.refresh_from_db()
        assert (one.state, one.message) == ("failed", sending._NODE_REMOVED)
    assert not DicomNode.objects.get(pk=node.pk).encrypted_credentials


def test_nodes_are_added(personas, monkeypatch):
    monkeypatch.setattr(nodes, "MAX_NODES", 2)

    def add(number: int) -> Any:
        return lambda: nodes.add_node(
            user=personas.admin,
            clinic=personas.clinic,
            name=f"Archive {number}",
            address="https://archive.example.org/dicom-web",
        )

    results = at_once(*map(add, range(6)))
    assert all(isinstance(one, ValidationError) for one in faults(results)), results
    assert DicomNode.objects.count() == 2
