"""A program that adds pictures by the API while parts of the site fail, and gives none up.

Each is sent again, with the same ``Idempotency-Key``, until it is taken: by the end there is one
image of each, whatever happened.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import uuid4

import httpx

from tests.factories import picture
from tests.stack.attack import MAKE_TARGET
from tests.stack.installation import Installation, wait_until

TAKEN = 202
COME_AGAIN = {408, 409, 429, 500, 502, 503, 507}


class Uploads:
    """statuses: of all responses, 0 if there was none. taken: how many pictures are stored."""

    def __init__(self, installation: Installation) -> None:
        made = installation.python("manage.py", "shell", "--no-imports", "-c", MAKE_TARGET)
        caller = json.loads(made.splitlines()[-1])["person"]
        self._lesion = caller["lesion"]
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{installation.port}",
            headers={"Authorization": f"Bearer {caller['key']}"},
            timeout=60,
        )
        self._ended = Event()
        self.statuses: Counter[int] = Counter()
        self.taken = 0
        self.refused: list[str] = []

    def run(self) -> None:
        while not self._ended.is_set():
            self._add(self.taken)
            self._ended.wait(0.1)

    def end(self) -> None:
        self._ended.set()

    def close(self) -> None:
        self._client.close()

    def one_more(self) -> None:
        before = self.taken
        wait_until(lambda: self.taken > before or bool(self.refused), "one more is taken")
        assert not self.refused

    def _add(self, seed: int) -> None:
        body, key = picture(seed), uuid4().hex
        while True:
            status = self._send(body, key)
            self.statuses[status] += 1
            if status == TAKEN:
                self.taken += 1
                return
            if status and status not in COME_AGAIN:
                self.refused.append(str(status))
                return
            time.sleep(0.3)

    def _send(self, body: bytes, key: str) -> int:
        try:
            return self._client.post(
                "/api/v1/images/",
                data={"lesion": self._lesion},
                files={"file": ("mole.jpg", body)},
                headers={"Idempotency-Key": key},
            ).status_code
        except httpx.TransportError:
            return 0


@contextmanager
def uploading(installation: Installation) -> Iterator[Uploads]:
    """Until the end of the block; what was begun then is taken first."""
    uploads = Uploads(installation)
    thread = Thread(target=uploads.run, daemon=True)
    thread.start()
    try:
        yield uploads
        uploads.end()
        thread.join(180)
        assert not thread.is_alive()
        assert not uploads.refused
    finally:
        uploads.end()
        uploads.close()


def assert_each_is_read_once(installation: Installation, uploads: Uploads) -> None:
    """Waits until each picture is stored once and has one finished reading."""
    wait_until(
        lambda: (
            not installation.query(
                "SELECT id FROM screening_prediction WHERE state IN ('queued', 'running')"
            )
        ),
        "nothing waits",
    )
    assert uploads.taken > 0
    assert installation.query("SELECT count(*) FROM screening_lesionimage") == [(uploads.taken,)]
    assert installation.query(
        "SELECT state, count(DISTINCT image_id), count(*) FROM screening_prediction GROUP BY state"
    ) == [("succeeded", uploads.taken, uploads.taken)]
