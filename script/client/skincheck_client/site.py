"""A SkinCheck site over HTTP: each call is retried until it is answered, and executed once.

A connection may break after the site has stored a request and before its response arrives. So each
POST carries an ``Idempotency-Key`` derived from its content: repeated by this command, or by the
same command started again within a day, it gets the same response and is not executed again.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from skincheck_client.failure import Exit, Failure, Refused

ATTEMPTS = 6
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
REPEATED = (409, 429, 502, 503, 504)
TIMEOUT = httpx.Timeout(60, connect=10)

Json = dict[str, Any]


class Site:
    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1/",
            headers={"Authorization": f"Bearer {key}", "User-Agent": "skincheck-client/1"},
            timeout=TIMEOUT,
        )

    def get(self, path: str, **parameters: str) -> Json:
        return self._json("GET", path, params=parameters)

    def pages(self, path: str, **parameters: str) -> Iterator[Json]:
        """Every row of a list. Only the query of ``next`` is used: the key is sent to one host
        only.
        """
        while True:
            page = self.get(path, **parameters)
            yield from page["results"]
            if not page["next"]:
                return
            parameters = dict(parse_qsl(urlsplit(page["next"]).query))

    def post(self, path: str, body: Json, *, about: str = "") -> Json:
        """about: distinguishes this request from another with the same body."""
        key = _fingerprint(path, body, about)
        return self._json("POST", path, json=body, headers={"Idempotency-Key": key})

    def upload(self, path: str, picture: bytes, fields: dict[str, str]) -> Json:
        digest = hashlib.sha256(picture).hexdigest()
        return self._json(
            "POST",
            path,
            data=fields,
            files={"file": ("picture", picture)},  # the file's own name may identify the person
            headers={"Idempotency-Key": _fingerprint(path, fields, digest)},
        )

    def download(self, path: str, target: Path, **parameters: str) -> None:
        """Write the whole response to ``target``, or leave the file unchanged."""
        part = target.with_name(f".{target.name}.part")

        def fetch() -> httpx.Response:
            with self._http.stream("GET", path, params=parameters) as response:
                if response.status_code >= 400:
                    response.read()
                    return response
                with part.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                return response

        try:
            _checked(_repeated(fetch))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _json(self, method: str, path: str, **request: Any) -> Json:
        response = _checked(_repeated(lambda: self._http.request(method, path, **request)))
        body = _body(response)
        if body is None:
            raise Failure("What answers there is not SkinCheck's API.", Exit.UNREACHABLE)
        return body


def _fingerprint(path: str, body: Json, about: str) -> str:
    asked = json.dumps([path, body, about], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def _repeated(ask: Any) -> httpx.Response:
    """The first response. Raises Failure after several attempts without one."""
    reason = ""
    for attempt in range(1, ATTEMPTS + 1):
        wanted = 0.0
        try:
            response: httpx.Response = ask()
        except httpx.TransportError as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        else:
            if response.status_code not in REPEATED or attempt == ATTEMPTS:
                return response
            reason = f"status {response.status_code}"
            wait = response.headers.get("Retry-After", "")
            wanted = float(wait) if wait.isdigit() else 0.0
        if attempt < ATTEMPTS:
            pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
            pause = max(wanted, pause * random.uniform(0.7, 1.3))  # noqa: S311  it keeps no secret
            print(f"No answer ({reason}). Trying again in {pause:.0f} s.", file=sys.stderr)
            time.sleep(pause)
    raise Failure(f"The site does not answer ({reason}).", Exit.UNREACHABLE)


def _checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is not an error. Raises Refused with the problem in words."""
    if response.is_success:
        return response
    problem = _body(response) or {}
    if response.status_code >= 500:
        text = problem.get("detail", f"The site failed with status {response.status_code}.")
        raise Failure(text, Exit.UNREACHABLE)
    if response.status_code == 401:
        raise Failure("The key opens nothing (any more). Run: skincheck login", Exit.REFUSED)
    if "detail" not in problem:
        raise Failure(
            f"What answers there is not SkinCheck's API (status {response.status_code}).",
            Exit.UNREACHABLE,
        )
    raise Refused(_words(problem), response.status_code)


def _body(response: httpx.Response) -> Json | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _words(problem: Json) -> str:
    """``detail`` of a problem, or each of its errors with the field concerned."""
    errors = problem.get("errors") or [problem]
    return "; ".join(f"{_field(error)}{error['detail']}" for error in errors)


def _field(error: Json) -> str:
    name = (error.get("pointer") or error.get("parameter") or "").strip("/")
    return f"{name}: " if name else ""
