"""One request to another system: to a verified address, within a deadline.

Redirects are responses like any other and are not followed. Proxy settings in the environment are
ignored.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpcore
import httpx
from celery.exceptions import SoftTimeLimitExceeded

from screening.errors import ForbiddenTarget, NotSent
from screening.models import ANSWER_KEPT
from screening.webhooks import targets

SECONDS = 15.0
"""Seconds for the whole exchange: connecting, sending, and the response."""
CONNECT_SECONDS = 5.0

Headers = Mapping[str | bytes, str | bytes]
ACCEPT_JSON: Headers = {"Accept": "application/json"}


class Answer(NamedTuple):
    status_code: int
    text: str
    retry_after: int | None


class Document(NamedTuple):
    status_code: int
    body: bytes
    cache_control: str


def post(
    url: str,
    headers: Headers,
    body: bytes | Iterator[bytes],
    *,
    most: int = ANSWER_KEPT,
    seconds: float = SECONDS,
) -> Answer:
    """Send ``body``. Of the response, ``most`` bytes are read. Raises NotSent if there is none,
    whatever the reason.
    """
    with _asked("POST", url, headers, body, seconds) as response:
        return _answer(response, most)


def get(
    url: str, *, most: int, seconds: float = SECONDS, headers: Headers = ACCEPT_JSON
) -> Document:
    """Fetch a document of at most ``most`` bytes. Raises NotSent."""
    with _asked("GET", url, headers, b"", seconds) as response:
        body = b""
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > most:
                raise NotSent(f"The answer has more than {most} bytes.")
        told = [value for name, value in response.headers if name.lower() == b"cache-control"]
        cache_control = b",".join(told).decode("latin-1").lower()
        return Document(response.status, body, cache_control)


@contextmanager
def _asked(
    method: str,
    url: str,
    headers: Headers,
    content: bytes | Iterator[bytes],
    seconds: float,
) -> Iterator[httpcore.Response]:
    backend = _CheckedBackend(time.monotonic() + seconds)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=httpx.create_ssl_context(), network_backend=backend
            ) as pool,
            pool.stream(method, url, headers=headers, content=content) as response,
        ):
            yield response
    except ForbiddenTarget as error:
        raise NotSent(str(error)) from None
    except (httpcore.TimeoutException, SoftTimeLimitExceeded):
        raise NotSent(f"No answer within {seconds:g} seconds.") from None
    except httpcore.ConnectError as error:
        raise NotSent(_why_not_connected(error)) from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise NotSent("The connection broke before the answer arrived.") from None


class _CheckedBackend(httpcore.SyncBackend):
    """Connects to the address that was resolved and checked, so that a name server cannot redirect
    it by changing its answer a moment later. Host and SNI stay those of the name.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = targets.addresses(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("not found") from None
        failed: Exception = httpcore.ConnectError("no address")
        for address in found:
            seconds = min(CONNECT_SECONDS, _left(self._deadline))
            try:
                stream = super().connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failed


class _TimedStream(httpcore.NetworkStream):
    """A deadline for the whole exchange: a slow trickle of data does not extend it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left


def _answer(response: httpcore.Response, most: int) -> Answer:
    """The status and the start of the body. The rest is not read."""
    kept = b""
    for chunk in response.iter_stream():
        kept += chunk
        if len(kept) >= most:
            break
    headers = {name.lower(): value for name, value in response.headers}
    wait = headers.get(b"retry-after", b"")
    return Answer(
        response.status,
        kept[:most].decode(errors="replace").replace("\0", ""),
        int(wait) if wait.isdigit() and len(wait) < 7 else None,
    )


def _why_not_connected(error: httpcore.ConnectError) -> str:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate is not valid: {cause.verify_message}."
    if isinstance(cause, ssl.SSLError):
        return "No secure connection could be made: the TLS handshake failed."
    if str(error) == "not found":
        return "The host name of this address cannot be found."
    return "No connection could be made: nothing answers at this address."
