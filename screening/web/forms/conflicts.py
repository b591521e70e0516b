"""Two people, or two tabs, at one record: nothing is overwritten that the writer has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import models, transaction

from screening.errors import Changed

T = TypeVar("T")

Values = Mapping[str, Any]


def as_seen(values: Values) -> str:
    """The values of a record as a form carries them, to be told apart from later ones."""
    return json.dumps(dict(values), default=str, sort_keys=True)


@transaction.atomic
def write_unchanged(
    write: Callable[[], T],
    *,
    locked: models.Model,
    standing: Callable[[], Values],
    seen: str,
    wanted: Values,
) -> T:
    """``write``, unless a field stands otherwise now than it was ``seen``, and than it is wanted.

    locked: the row that all who write these fields change or lock, so that nobody comes between.
    standing: reads the fields anew. Raises Changed, and then nothing is written.
    """
    locked._meta.model._base_manager.select_for_update().get(pk=locked.pk)
    now = standing()
    then, wish = json.loads(seen), json.loads(as_seen(wanted))
    plain = json.loads(as_seen(now))
    differing = {
        name: now[name]
        for name, value in plain.items()
        if value != then.get(name) and value != wish.get(name, value)
    }
    if differing:
        raise Changed(differing)
    return write()
