"""Two people, or two tabs, editing one record: unseen changes are never overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import models, transaction

from screening.errors import Changed
from screening.write_access import lock
from skincheck_site import untrusted_json

T = TypeVar("T")

Values = Mapping[str, Any]


def as_seen(values: Values) -> str:
    """The values of a record as a form carries them, for comparison with later ones."""
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
    """Call ``write``, unless a field's current value is neither the one ``seen`` nor the one
    wanted.

    locked: the row that everyone who writes these fields changes or locks, so that nobody
    interferes. standing: reads the current values. Raises Changed, in which case nothing is
    written.
    """
    lock(locked)
    now = standing()
    then, wish = untrusted_json.loads(seen), json.loads(as_seen(wanted))
    plain = json.loads(as_seen(now))
    differing = {
        name: now[name]
        for name, value in plain.items()
        if value != then.get(name) and value != wish.get(name, value)
    }
    if differing:
        raise Changed(differing)
    return write()
