"""Callers take turns, so that one who sends hundreds of requests delays only their own."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar


class Caller(NamedTuple):
    """address: of the client. credential: the key or session sent with the request, not verified,
    or "". Addresses come first, because anybody can invent credentials.
    """

    address: str
    credential: str


class HasCaller(Protocol):
    @property
    def caller(self) -> Caller: ...


Item = TypeVar("Item", bound=HasCaller)


class Turns(Generic[Item]):
    """A queue with the methods of ``deque`` that waitress uses. Addresses take turns, and within an
    address credentials; one credential's items are in order.

    at_once: how many items of one caller are handled at the same time; ``popleft`` passes over
    those who have as many. The queue is false if only such callers wait.
    """

    def __init__(self, *, at_once: int) -> None:
        self._waiting: dict[str, dict[str, deque[tuple[float, Item]]]] = {}
        self._length = 0
        self._at_once = at_once
        self._handled: Counter[Caller] = Counter()

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return self._next() is not None

    def append(self, item: Item) -> None:
        address, credential = item.caller
        own = self._waiting.setdefault(address, {}).setdefault(credential, deque())
        own.append((time.monotonic(), item))
        self._length += 1

    def popleft(self) -> Item:
        """The next item. Its caller counts as handled until ``finished``. Raises IndexError if the
        queue is false.
        """
        caller = self._next()
        if caller is None:
            raise IndexError
        self._handled[caller] += 1
        address, credential = caller
        item = self._taken(caller)
        if address in self._waiting:  # both go to the end of their line
            if credential in self._waiting[address]:
                self._waiting[address][credential] = self._waiting[address].pop(credential)
            self._waiting[address] = self._waiting.pop(address)
        return item

    def finished(self, caller: Caller) -> None:
        """One of the caller's items has been handled."""
        self._handled[caller] -= 1
        if not self._handled[caller]:
            del self._handled[caller]

    def pop_surplus(self) -> Item:
        """The last item of the caller with the most: what is refused when too much waits."""
        return self._taken(with_the_most(self._callers()), newest=True)

    def pop_older(self, seconds: float) -> list[Item]:
        """Everything that has waited for longer than this."""
        before = time.monotonic() - seconds
        old = []
        for caller in list(self._waiting_callers()):
            while (own := self._of(caller)) and own[0][0] < before:
                old.append(self._taken(caller))
        return old

    def _next(self) -> Caller | None:
        callers = self._waiting_callers()
        return next((one for one in callers if self._handled[one] < self._at_once), None)

    def _callers(self) -> Iterable[Caller]:
        """One entry for each item."""
        for caller in self._waiting_callers():
            yield from [caller] * len(self._of(caller))

    def _waiting_callers(self) -> Iterable[Caller]:
        for address, credentials in self._waiting.items():
            for credential in credentials:
                yield Caller(address, credential)

    def _of(self, caller: Caller) -> deque[tuple[float, Item]]:
        return self._waiting.get(caller.address, {}).get(caller.credential, deque())

    def _taken(self, caller: Caller, *, newest: bool = False) -> Item:
        own = self._of(caller)
        _, item = own.pop() if newest else own.popleft()
        self._length -= 1
        if not own:
            del self._waiting[caller.address][caller.credential]
            if not self._waiting[caller.address]:
                del self._waiting[caller.address]
        return item


def with_the_most(callers: Iterable[Caller]) -> Caller:
    """The address with the most items, and the credential with the most of them. With equal
    numbers, the one that came last.
    """
    counted = Counter(callers)
    by_address: Counter[str] = Counter()
    for caller, number in counted.items():
        by_address[caller.address] += number
    numbered = enumerate(counted.items())
    _, (most, _) = max(numbered, key=lambda one: (by_address[one[1][0].address], one[1][1], one[0]))
    return most
