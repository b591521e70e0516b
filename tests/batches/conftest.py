from __future__ import annotations

import pytest

from screening import tasks
from screening.batches import ingest


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(tasks.work_on_batches_task, "apply_async", lambda *_, **__: None)
    monkeypatch.setattr(tasks.follow_up_task, "apply_async", lambda *_, **__: None)
    yield
    ingest.put_archive_away()
