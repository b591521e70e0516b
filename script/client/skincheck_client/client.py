"""The two clients. Both send the same calls: one blocks, the other does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from skincheck_client import exchange
from skincheck_client.call import Answer, Call, Feed, Page, next_feed, next_page
from skincheck_client.credentials import Key
from skincheck_client.exchange import Ask, Awaited, Pause, Steps

HEADERS = {"User-Agent": "skincheck-client/1"}
TIMEOUT = httpx.Timeout(60, connect=10)

T = TypeVar("T")
Row = TypeVar("Row")


class Client:
    """Every method raises Problem if the site refuses, and Unreachable if it does not answer."""

    def __init__(
        self,
        url: str,
        credentials: str | httpx.Auth,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """url: of the site. credentials: an API key, or ClientCredentials."""
        self._http = httpx.Client(
            base_url=_base(url),
            auth=_auth(credentials),
            headers=HEADERS,
            timeout=TIMEOUT,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[T], *, once: str = "") -> T:
        """once: your own name for a POST. Repeated with it within a day, by this program or
        another, it is not executed again and gets the first answer.
        """
        return self._done(exchange.answered(call, once)).data

    def answer(self, call: Call[T]) -> Answer[T]:
        """Like ``send``, with what ``if_match`` and ``shown_at`` need."""
        return self._done(exchange.answered(call))

    def each(self, call: Call[Page[Row]]) -> Iterator[Row]:
        """Every row of a list, page after page."""
        following: Call[Page[Row]] | None = call
        while following is not None:
            page = self.send(following)
            yield from page["results"]
            following = next_page(following, page)

    def feeds(self, call: Call[Feed[Row]]) -> Iterator[Feed[Row]]:
        """Every page so far. Keep its ``cursor`` once you have processed it."""
        has_more = True
        while has_more:
            feed = self.send(call)
            yield feed
            call, has_more = next_feed(call, feed), feed["has_more"]

    def wait(self, call: Call[Awaited], *, seconds: float) -> Awaited:
        """The reading or the export once it is finished. Raises NotFinished after ``seconds``."""
        return self._done(exchange.finished(call, seconds))

    def save(self, call: Call[bytes], target: Path) -> str:
        """Write a file, completely or not at all. Raises OSError too. Returns ``Left-Out``: how
        many rows and patients a table lacks for want of consent to research, or nothing.
        """
        return self._done(exchange.saved(call, target))

    def _done(self, steps: Steps[T]) -> T:
        result: httpx.Response | httpx.RequestError | None = None
        try:
            while True:
                step = steps.send(result)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    result = None
                else:
                    result = self._asked(step)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            steps.close()

    def _asked(self, ask: Ask) -> httpx.Response | httpx.RequestError:
        try:
            with self._http.stream(ask.method, ask.path, **ask.options) as response:
                if ask.into is None or not response.is_success:
                    response.read()
                else:
                    with ask.into.open("wb") as file:
                        for chunk in response.iter_bytes():
                            file.write(chunk)
                return response
        except httpx.RequestError as error:
            return error


class AsyncClient:
    """Like ``Client``, with ``await`` and ``async for``."""

    def __init__(
        self,
        url: str,
        credentials: str | httpx.Auth,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=_base(url),
            auth=_auth(credentials),
            headers=HEADERS,
            timeout=TIMEOUT,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T], *, once: str = "") -> T:
        return (await self._done(exchange.answered(call, once))).data

    async def answer(self, call: Call[T]) -> Answer[T]:
        return await self._done(exchange.answered(call))

    async def each(self, call: Call[Page[Row]]) -> AsyncIterator[Row]:
        following: Call[Page[Row]] | None = call
        while following is not None:
            page = await self.send(following)
            for row in page["results"]:
                yield row
            following = next_page(following, page)

    async def feeds(self, call: Call[Feed[Row]]) -> AsyncIterator[Feed[Row]]:
        has_more = True
        while has_more:
            feed = await self.send(call)
            yield feed
            call, has_more = next_feed(call, feed), feed["has_more"]

    async def wait(self, call: Call[Awaited], *, seconds: float) -> Awaited:
        return await self._done(exchange.finished(call, seconds))

    async def save(self, call: Call[bytes], target: Path) -> str:
        return await self._done(exchange.saved(call, target))

    async def _done(self, steps: Steps[T]) -> T:
        result: httpx.Response | httpx.RequestError | None = None
        try:
            while True:
                step = steps.send(result)
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    result = None
                else:
                    result = await self._asked(step)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            steps.close()

    async def _asked(self, ask: Ask) -> httpx.Response | httpx.RequestError:
        try:
            async with self._http.stream(ask.method, ask.path, **ask.options) as response:
                if ask.into is None or not response.is_success:
                    await response.aread()
                else:
                    with ask.into.open("wb") as file:
                        async for chunk in response.aiter_bytes():
                            file.write(chunk)
                return response
        except httpx.RequestError as error:
            return error


def _base(url: str) -> str:
    return f"{url.rstrip('/')}/api/v1/"


def _auth(credentials: str | httpx.Auth) -> httpx.Auth:
    return Key(credentials) if isinstance(credentials, str) else credentials
