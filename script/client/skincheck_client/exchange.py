"""How a call is carried out: repeated until there is an answer, and executed once.

A connection may break after the site has stored a request and before its answer arrives. So each
POST carries an ``Idempotency-Key``: repeated with it, it gets the same answer and is not executed
again.

The functions are generators that do no input or output themselves: ``Client`` and ``AsyncClient``
do what they yield, each in its own way.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from skincheck_client.call import Answer, Call, as_texts, read
from skincheck_client.errors import NotFinished, Unreachable, problem

ATTEMPTS = 6
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_WAIT = 120.0
"""Seconds. If the site asks for more patience than that, the caller is told at once."""
REPEATED = (429, 502, 503, 504)
IN_PROGRESS = 409  # with Retry-After: the first request with this key is still running
IN_DOUBT = (502, 504)  # of a proxy: the site may have done it
ACTIVE = ("queued", "running")
POLL_SECONDS = 1.0

MAYBE_CHANGED = (
    "An answer was lost, and the record has changed since: by this request, or by somebody else. "
    "Read it again."
)

T = TypeVar("T")
Awaited = TypeVar("Awaited", bound=Mapping[str, object])
log = logging.getLogger("skincheck_client")


@dataclass(frozen=True)
class Ask:
    """Send the request. into: the file that the body of a successful answer is written to."""

    method: str
    path: str
    options: dict[str, Any]
    into: Path | None = None


@dataclass(frozen=True)
class Pause:
    seconds: float


Steps = Generator[Ask | Pause, httpx.Response | httpx.RequestError | None, T]


def answered(call: Call[T], once: str = "") -> Steps[Answer[T]]:
    """once: the name of the operation, which is not executed again within a day."""
    response = yield from _repeated(_request(call, once))
    return read(call, _checked(response))


def saved(call: Call[bytes], target: Path) -> Steps[str]:
    """Write the whole answer to ``target``, or leave the file unchanged. Returns what the site says
    it left out.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        response = _checked((yield from _repeated(_request(call, into=part))))
        part.replace(target)
        left_out: str = response.headers.get("Left-Out", "")
        return left_out
    finally:
        part.unlink(missing_ok=True)


def finished(call: Call[Awaited], seconds: float) -> Steps[Awaited]:
    """Poll a reading or an export until it is finished. Raises NotFinished after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = POLL_SECONDS / 4
    while (found := (yield from answered(call)).data)["state"] in ACTIVE:
        if time.monotonic() + pause > deadline:
            raise NotFinished(f"It is not finished after {seconds:.0f} s.")
        yield Pause(pause)
        pause = min(2 * pause, POLL_SECONDS)
    return found


def _request(call: Call[Any], once: str = "", into: Path | None = None) -> Ask:
    headers = dict(call.headers)
    if call.method == "POST":
        headers["Idempotency-Key"] = once or uuid4().hex
    options: dict[str, Any] = {"headers": headers, "params": as_texts(call.parameters)}
    if call.file is not None:
        options["data"] = as_texts(call.body or {})
        options["files"] = {"file": ("picture", call.file)}
    elif call.body is not None:
        options["json"] = dict(call.body)
    # A merged record redirects to the remaining one. A POST must not become a GET.
    return Ask(call.method, call.path, options | {"follow_redirects": call.method == "GET"}, into)


def _repeated(ask: Ask) -> Steps[httpx.Response]:
    """The first answer. Raises Unreachable after several attempts without one, and if nobody can
    tell whether an attempt without one changed the record.
    """
    reason, is_in_doubt = "", False
    for attempt in range(1, ATTEMPTS + 1):
        wanted = 0.0
        answer = yield ask
        if isinstance(answer, httpx.Response):
            wanted = _retry_after(answer)
            if is_in_doubt and answer.status_code == httpx.codes.PRECONDITION_FAILED:
                raise Unreachable(MAYBE_CHANGED)
            if attempt == ATTEMPTS or wanted > LONGEST_WAIT or not _is_to_be_repeated(answer):
                return answer
            reason = f"status {answer.status_code}"
            is_in_doubt |= answer.status_code in IN_DOUBT
        elif answer is not None:
            is_in_doubt |= not isinstance(answer, httpx.ConnectError)
            reason = f"{type(answer).__name__}: {answer}".removesuffix(": ")
        if attempt < ATTEMPTS:
            pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
            pause = max(wanted, pause * random.uniform(0.7, 1.3))  # noqa: S311  it keeps no secret
            log.warning("No answer (%s). Trying again in %.0f s.", reason, pause)
            yield Pause(pause)
    raise Unreachable(f"The site does not answer ({reason}).")


def _is_to_be_repeated(response: httpx.Response) -> bool:
    status = response.status_code
    return status in REPEATED or (status == IN_PROGRESS and "Retry-After" in response.headers)


def _retry_after(response: httpx.Response) -> float:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdigit() else 0.0


def _checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success. Raises Problem or Unreachable."""
    if response.is_success:
        return response
    status = response.status_code
    try:
        members = response.json()
    except ValueError:
        members = None
    if isinstance(members, dict) and "detail" in members:
        raise problem({**members, "status": status})
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unreachable(f"The site failed with status {status}.")
    raise Unreachable(f"What answers there is not SkinCheck's API (status {status}).")
