"""Transactions of the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def of_the_test() -> Iterator[None]:
    """A transaction in which files may be opened, unlike in one of the site's own."""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield


@contextmanager
def rolled_back() -> Iterator[None]:
    """Its changes are undone at its end."""
    with of_the_test():
        yield
        transaction.set_rollback(True)
