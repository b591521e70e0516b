"""Client, web, worker and courier together: readings are announced whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from tests.client.conftest import run
from tests.factories import picture
from tests.stack.installation import Installation, installed, wait_until
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.stack

MAKE_KEY = """
from accounts import services
from accounts.models import User
print(services.create_api_key(user=User.objects.create_user("a@example.org"), name="x")[1])
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path / "var", WEBHOOK_ALLOW_PRIVATE="1") as made:
        yield made


def test_a_picture_by_the_client_is_told_to_a_receiver(site: Installation, tmp_path: Path) -> None:
    key = site.python("manage.py", "shell", "--no-imports", "-c", MAKE_KEY).split()[-1]
    url = f"http://127.0.0.1:{site.port}"
    (tmp_path / "mole.jpg").write_bytes(picture())
    api = httpx.Client(
        base_url=f"{url}/api/v1/", headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    login = {"SKINCHECK_URL": url, "SKINCHECK_KEY": key}
    with receiving() as receiver, api:
        with site.running("web"), site.running("worker"):
            wait_until(lambda: "Serving" in site.log("web"), "the web is ready")
            wanted = {"name": "W", "target": receiver.url, "events": ["prediction.finished"]}
            webhook = api.post("webhooks/", json=wanted).json()
            secret = api.get(f"webhooks/{webhook['id']}/secret/").json()["secret"]
            patient = api.post("patients/", json={"label": "P-1"}).json()
            arguments = ("screen", "mole.jpg", "--patient", patient["id"], "--json")
            done = run(*arguments, home=tmp_path, **login)
            assert done.returncode == 0, done.stderr
            reading = json.loads(done.stdout)
            # Nobody has sent it yet ...
            [delivery] = api.get("deliveries/").json()["results"]
            assert delivery["state"] == "waiting"
        # ... and its message is lost, with all that was running.
        site.empty_broker()
        assert receiver.got == []

        with site.running("courier"):
            wait_until(lambda: bool(receiver.got), "it is told")
            states = "SELECT state FROM screening_delivery"
            wait_until(lambda: site.query(states) == [("delivered",)], "it is noted")
        _, headers, body = receiver.got[0]
        message = Verifier(secret).verify(body, headers)
    assert headers["webhook-id"] == delivery["id"]
    assert message["data"]["prediction"] == reading["id"]
    assert len(receiver.got) == 1
