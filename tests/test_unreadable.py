"""What is stored and does not open, because it is damaged or its key is gone: every address answers
nevertheless.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from screening.models import PredictionMaps
from screening.models.data_key import forget_opened
from tests.access import DONE, MATRIX
from tests.privacy.entries import close
from tests.spoiled import KEY, RAISED, Spoil, damaged, locked, spoil_maps, spoil_pictures
from tests.transactions import rolled_back

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> Iterator[None]:
    settings.ENCRYPTION_KEYS = [*settings.ENCRYPTION_KEYS, KEY]
    forget_opened()
    yield
    forget_opened()


@pytest.mark.parametrize("how", RAISED)
def test_the_spoiled_rows_are_what_they_should_be(how: Spoil, everything: Any) -> None:
    spoil_maps(how)
    maps = PredictionMaps.objects.first()
    for _ in range(2):
        with pytest.raises(RAISED[how]):
            assert maps.mask


@pytest.mark.parametrize(("how", "with_pictures"), [(damaged, False), (locked, True)])
def test_no_address_fails(
    how: Spoil, with_pictures: bool, everything: Any, clients: Any, settings: Any
) -> None:
    """Where a key may be put back, 503 says: later."""
    spoil_maps(how)
    if with_pictures:
        spoil_pictures(how, Path(settings.MEDIA_ROOT))
    later = {503} if how is locked else set()
    failed = []
    for name, line in MATRIX.items():
        sent = line.methods.get("GET")
        may = [one for one in clients if sent and sent.answer(one, everything.clinic) is DONE]
        if may and name != "health_ready":
            clients[may[0]].raise_request_exception = False
            status = asked(clients[may[0]], reverse(name, args=line.args(everything.clinic)))
            if status >= 500 and status not in later:
                failed.append((name, status))
    assert failed == []


CUT_OFF = 599


def asked(client: Any, url: str) -> int:
    """The status; CUT_OFF if the body fails while it is sent. All is rolled back."""
    with rolled_back():
        response = client.get(url)
        status = int(response.status_code)
        try:
            b"".join(response.streaming_content) if response.streaming else response.content
        except OSError:
            status = CUT_OFF
        close(response)
    return status
