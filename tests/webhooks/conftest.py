from __future__ import annotations

from collections.abc import Iterator

import pytest

from screening.models import Webhook
from tests.factories import WebhookFactory
from tests.webhooks.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """It listens on this machine, which is allowed only by the development setting."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    with receiving() as found:
        yield found


@pytest.fixture
def webhook(personas, receiver) -> Webhook:
    return WebhookFactory(clinic=personas.clinic, registered_by=personas.admin, target=receiver.url)
