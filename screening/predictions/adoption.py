"""Which model version is the default here: the one that was adopted last, in the database.

During a deployment processes of two releases run side by side, each with a default version in its
code. A version that is newer than all that were adopted is adopted by the first process that asks;
an older process then goes on by that one. Only ``manage.py rescreen`` goes back to an older one.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from ml import reader
from screening.models import Adoption


def own_version() -> str:
    """The default of this process's code."""
    return reader.DEFAULT_VERSION


def default() -> str:
    """The version whose readings count."""
    own = own_version()
    adopted = _adopted()
    if not adopted or _age(own) > max(map(_age, adopted)):
        adopt(own)
        adopted = _adopted()
    return adopted[-1]


def adopt(version: str) -> None:
    """Make ``version`` the default, unless it is."""
    adopted = _adopted()
    if adopted and adopted[-1] == version:
        return
    try:
        with transaction.atomic():
            Adoption.objects.create(number=len(adopted) + 1, model_version=version)
    except IntegrityError:  # another process has just adopted one
        if _adopted() == adopted:
            raise


def _adopted() -> list[str]:
    """Oldest adoption first."""
    return list(Adoption.objects.order_by("number").values_list("model_version", flat=True))


def _age(version: str) -> list[int]:
    """2026.11.10 is newer than 2026.11.4."""
    return [int(part) if part.isdigit() else -1 for part in version.split(".")]
