"""The default model version of this installation: the one adopted last, in the database.

During a deployment, processes of two releases run side by side, each with a default version in its
code. The newer release adopts its own when its worker or sweep starts, after the migrations
(``adopt_own``). Older processes then follow. Asking for the version writes nothing. Only
``manage.py rescreen`` goes back to an older version, until a release without its network starts.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from ml import reader
from screening.models import Adoption


def own_version() -> str:
    """The default version in this process's code."""
    return reader.DEFAULT_VERSION


def default() -> str:
    """The version whose readings count. Only reads: this process's own until one was adopted."""
    return Adoption.objects.default() or own_version()


def adopt_own() -> None:
    """Adopt this process's version if it is newer than every adopted version, or if this release
    lacks the default's network: pictures would otherwise wait forever.
    """
    own, adopted = own_version(), _adopted()
    if not adopted or _age(own) > max(map(_age, adopted)) or _is_left_behind(adopted[-1], own):
        adopt(own)


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


def _is_left_behind(version: str, own: str) -> bool:
    """Whether ``version`` is older than ``own`` and this release lacks its network. Processes of a
    newer release read with a newer version.
    """
    return _age(version) < _age(own) and version not in reader.readable()


def _age(version: str) -> list[int]:
    """Compare versions by number: 2026.11.10 is newer than 2026.11.4."""
    return [int(part) if part.isdigit() else -1 for part in version.split(".")]
