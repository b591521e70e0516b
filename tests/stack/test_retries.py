"""Two hundred at once: the same upload with the same Idempotency-Key, to a real server."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import picture
from tests.stack.installation import Installation, wait_until

pytestmark = pytest.mark.stack

RETRIES = 200
AT_ONCE = 40
PREPARE = """
import django; django.setup()
from accounts import services
from accounts.models import User
from screening.records import services as record_services
user = User.objects.create_user("retries@example.org", "a long enough phrase")
patient = record_services.register_patient(user=user, label="R")
print(record_services.open_lesion(user=user, patient=patient).pk)
print(services.create_api_key(user=user, name="retries")[1])
"""


def _body(lesion: str) -> tuple[bytes, str]:
    edge = "----edge"
    text = (
        f'--{edge}\r\nContent-Disposition: form-data; name="lesion"\r\n\r\n{lesion}\r\n--{edge}\r\n'
    )
    text += 'Content-Disposition: form-data; name="file"; filename="m.jpg"\r\n\r\n'
    return text.encode() + picture() + f"\r\n--{edge}--\r\n".encode(), edge


def test_two_hundred_retries_are_one_image_and_one_answer(installation: Installation) -> None:
    printed = installation.python(
        "-c", PREPARE, DJANGO_SETTINGS_MODULE="skincheck_site.settings"
    ).split()
    lesion, key = printed[0], printed[-1]  # between them the mail about the new key
    body, edge = _body(lesion)
    address = f"http://127.0.0.1:{installation.port}/api/v1/images/"
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": f"multipart/form-data; boundary={edge}",
        "Idempotency-Key": "one-and-the-same",
    }
    begin = threading.Barrier(AT_ONCE)
    conflicts: list[str] = []

    def send(number: int) -> tuple[int, bytes]:
        """Like a client: on 409 and 503 it waits and sends again."""
        if number < AT_ONCE:
            begin.wait()
        for _ in range(100):
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(address, body, headers), timeout=60
                ) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as refused:
                problem = json.load(refused)
                if problem["status"] != 503:  # so many at once need not all find a place
                    assert problem["type"] == "/problems/in-progress", problem
                    conflicts.append(problem["request_id"])
                time.sleep(0.2)
        raise AssertionError("never answered")

    with installation.running("web"):
        wait_until(lambda: _is_up(installation.port), "the server answers")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(send, range(RETRIES)))

    assert {status for status, _ in answers} == {202}
    assert len({text for _, text in answers}) == 1
    assert installation.query("SELECT count(*) FROM screening_lesionimage") == [(1,)]
    assert installation.query("SELECT count(*) FROM screening_prediction") == [(1,)]
    assert len(list((installation.folder / "media").rglob("*.jpg"))) == 2  # and its thumbnail


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5):
            return True
    except OSError:
        return False
