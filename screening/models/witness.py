"""Which rows the current unit of work has loaded, for the audit log (``screening.privacy``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import NamedTuple
from uuid import UUID

from django.apps import apps
from django.db import models

Seen = dict[str, dict[UUID, UUID | None]]
"""By model name and identifier: the identifier of the row one step nearer to the patient."""

seen: ContextVar[Seen | None] = ContextVar("seen", default=None)


@contextmanager
def unseen() -> Iterator[None]:
    """Suspend reporting while a person is erased or searched for, because the log would keep their
    identifiers. The erasure's receipt is the record instead.
    """
    token = seen.set(None)
    try:
        yield
    finally:
        seen.reset(token)


def name(row: models.Model) -> None:
    """Have the log name a row that leads to no patient, but is where their data go."""
    rows = seen.get()
    if rows is not None:
        rows.setdefault(str(row._meta.model_name), {})[row.pk] = None


class Way(NamedTuple):
    """The path of foreign keys from a model to the patient whose data its rows hold."""

    path: str
    """The path in queries, such as ``image__lesion__patient_id``; for the patient itself ``pk``."""
    step: str
    """The attribute with the next row's identifier; empty for the patient."""
    nearer: str
    """The next row's model."""


def saw(row: models.Model) -> None:
    rows = seen.get()
    if rows is None:
        return
    way = ways().get(type(row))
    if way is not None:
        fields = row.__dict__
        rows.setdefault(str(row._meta.model_name), {})[fields["id"]] = fields.get(way.step)


@cache
def ways() -> dict[type[models.Model], Way]:
    """The shortest path to the patient, for each model that has one. The nearest models
    come first.
    """
    config = apps.get_app_config("screening")
    found = {config.get_model("Patient"): Way("pk", "", "")}
    found |= {config.get_model(name): Way("", "", "") for name in UNRELATED}
    rest = [model for model in config.get_models() if model not in found]
    while True:
        new: dict[type[models.Model], Way] = {}
        for model in rest:
            for field in model._meta.concrete_fields:
                to = field.related_model
                if model in found or not isinstance(to, type) or not found.get(to, NO_WAY).path:
                    continue
                path = found[to].path
                way = f"{field.name}_id" if path == "pk" else f"{field.name}__{path}"
                new[model] = Way(way, field.attname, str(to._meta.model_name))
        if not new:
            return found
        found |= {model: way for model, way in new.items() if model not in found}


@cache
def ways_by_name() -> dict[str, Way]:
    return {str(model._meta.model_name): way for model, way in ways().items()}


UNRELATED = ("batch", "datakey", "delivery", "idempotentrequest")
"""Models that hold a patient's data without a foreign key to the patient, and data keys."""
NO_WAY = Way("", "", "")
