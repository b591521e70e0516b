from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """Empty, with a lease and a sweep short enough to wait for."""
    folder = tmp_path / "var"
    folder.mkdir()
    made = Installation(folder, PREDICTION_LEASE_SECONDS="2", PREDICTION_SWEEP_SECONDS="1")
    try:
        made.python("manage.py", "migrate", "--skip-checks", "--verbosity", "0")
        yield made
    finally:
        made.remove()
