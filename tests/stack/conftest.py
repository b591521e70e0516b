from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.installation import Installation, installed


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path / "var") as made:
        yield made
