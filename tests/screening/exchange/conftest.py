from __future__ import annotations

import pytest

from screening import tasks
from screening.exchange import taking_in
from screening.exchange import tasks as exchange_tasks


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(exchange_tasks.work_on_batches_task, "apply_async", lambda **_: None)
    monkeypatch.setattr(tasks.follow_up_task, "apply_async", lambda *_, **__: None)
    yield
    taking_in.put_archive_away()
