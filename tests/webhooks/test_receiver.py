"""The unmodified receiver from docs/api.md accepts a real delivery and rejects every other."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.utils import timezone
from standardwebhooks import Webhook as Signer

from screening import tasks
from screening.models import Delivery, Webhook
from screening.webhooks import delivery as webhook_delivery
from screening.webhooks import services as webhook_services
from tests.factories import DeliveryFactory, WebhookFactory
from tests.stack.installation import free_port, wait_until

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


class Documented:
    """A process that runs it. ``said``: its lines so far."""

    def __init__(self, folder: Path, webhook: Webhook, port: int) -> None:
        [code] = [
            block
            for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S)
            if "standardwebhooks" in block
        ]
        assert len([line for line in code.splitlines() if line.strip()]) <= 20
        self.url = f"http://127.0.0.1:{port}/"
        self._output = folder / "receiver.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                env={**os.environ, "SECRET": webhook.secret, "PORT": str(port)},
                stdout=output,
                stderr=subprocess.DEVNULL,
            )

    def said(self) -> list[str]:
        return self._output.read_text().splitlines()

    def answers(self) -> bool:
        try:
            return httpx.get(self.url).status_code == 501
        except httpx.TransportError:
            return False


@pytest.fixture
def documented(settings, tmp_path, personas) -> Iterator[tuple[Documented, Webhook]]:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    port = free_port()
    webhook = WebhookFactory(clinic=personas.clinic, target=f"http://127.0.0.1:{port}/")
    receiver = Documented(tmp_path, webhook, port)
    try:
        wait_until(receiver.answers, "the receiver listens", 20)
        yield receiver, webhook
    finally:
        receiver.process.send_signal(signal.SIGKILL)
        receiver.process.wait()


def test_it_takes_a_real_delivery_and_refuses_the_rest(documented, personas):
    receiver, webhook = documented
    delivery = DeliveryFactory(webhook=webhook)
    tasks.deliver_webhook_task(str(delivery.pk))
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert delivery.attempts.get().status_code == 204
    assert receiver.said() == [f"prediction.finished {delivery.data}"]

    def sent(body: str, **changed: str) -> int:
        headers = {**webhook_delivery.headers(delivery), **changed}
        return httpx.post(receiver.url, content=body.encode(), headers=headers).status_code

    def signed(age: timedelta, pk: str = "another") -> dict[str, str]:
        moment = timezone.now() - age
        return {
            "webhook-id": pk,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Signer(webhook.secret).sign(pk, moment, delivery.body),
        }

    # Replayed: the very same, and the very same with a fresh signature.
    assert sent(delivery.body) == 409
    assert sent(delivery.body, **signed(timedelta(), str(delivery.pk))) == 409
    # Tampered with: the body, the identifier, the time stamp, the signature.
    assert sent(delivery.body.replace("finished", "failed")) == 401
    assert sent(delivery.body, **{"webhook-id": "another"}) == 401
    later = str(int(timezone.now().timestamp()) + 60)
    assert sent(delivery.body, **{"webhook-timestamp": later}) == 401
    for wrong in ("", "v1,", "v1,AAAA", "nonsense", "v2," + "A" * 44):
        assert sent(delivery.body, **{"webhook-signature": wrong}) == 401
    # Old, though correctly signed; and from the future.
    assert sent(delivery.body, **signed(timedelta(minutes=6))) == 401
    assert sent(delivery.body, **signed(timedelta(minutes=-6))) == 401
    assert len(receiver.said()) == 1
    # It would have accepted this one, so only the age was wrong.
    assert sent(delivery.body, **signed(timedelta(minutes=4))) == 204
    assert len(receiver.said()) == 2


def test_what_it_has_already_counts_as_delivered(documented, personas):
    receiver, webhook = documented
    delivery = DeliveryFactory(webhook=webhook)
    for _ in range(2):
        tasks.deliver_webhook_task(str(delivery.pk))
        Delivery.objects.update(state="waiting", finished_at=None)
    assert [one.status_code for one in delivery.attempts.all()] == [409, 204]
    assert {one.error for one in delivery.attempts.all()} == {""}
    assert len(receiver.said()) == 1


def test_it_need_not_be_changed_on_the_day_of_a_rotation(documented, personas):
    receiver, webhook = documented
    webhook_services.rotate_secret(user=personas.admin, webhook=webhook)
    tasks.deliver_webhook_task(str(DeliveryFactory(webhook=webhook).pk))
    assert len(receiver.said()) == 1
