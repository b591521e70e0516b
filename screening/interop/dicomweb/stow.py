"""STOW-RS as a user agent (PS3.18, 10.5): instances to a node, and what its answer says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple
from uuid import uuid4

from screening.interop.dicom.readings import CLASSES
from screening.interop.dicom.uids import Document
from screening.interop.dicomweb.nodes import authorised
from screening.models import DicomNode
from screening.webhooks.http import Answer, Headers, post
from skincheck_site import untrusted_json

SECONDS = 180
"""For one request: pictures are large, and lines of practices slow."""
LARGEST_ANSWER = 100_000
"""Bytes."""
_PIECE = 1 << 18
_STORED, _FAILED, _OTHER_FAILURES = "00081199", "00081198", "0008119A"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
_TRANSIENT = (408, 425, 429)
_DUPLICATE = 0x0111
_REASONS = (
    (0xA700, 0xA7FF, "it is out of resources"),
    (0xA900, 0xA9FF, "the data do not fit the kind of instance"),
    (0xC122, 0xC122, "it does not take this transfer syntax"),
    (0xC000, 0xCFFF, "it does not understand the instance"),
    (0x0110, 0x0110, "an error occurred while it was stored"),
    (0x0122, 0x0122, "it does not store this kind of instance"),
    (0x0124, 0x0124, "we are not authorised to store there"),
)
"""PS3.18, table I.2-2: the first and the last code, and what they mean."""
_WARNINGS = {
    0xB000: "it changed data elements",
    0xB006: "it left out data elements",
    0xB007: "the data do not fit the kind of instance",
}


class Result(Enum):
    STORED = auto()
    DUPLICATE = auto()
    """The node had it already, and did not take it again."""
    REFUSED = auto()
    """The same answer would come again."""
    TRY_AGAIN = auto()
    """The node did not answer, or asks for patience."""
    HELD_UP = auto()
    """Something of ours was in the way: the node was asked nothing."""


class Verdict(NamedTuple):
    """message: for a person, empty if there is nothing to say. retry_after: seconds."""

    result: Result
    message: str = ""
    status_code: int | None = None
    retry_after: int | None = None


def store(node: DicomNode, instances: Sequence[bytes], seconds: float | None = None) -> Verdict:
    """Send DICOM files of one study in one request. seconds: instead of ``SECONDS``. Raises
    NotSent.
    """
    boundary = uuid4().hex
    parts = [piece for one in instances for piece in _part(one, boundary)]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    headers: Headers = {
        **authorised(node),
        "Accept": "application/dicom+json",
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(sum(map(len, parts))),
        "User-Agent": "SkinCheck-DICOMweb/1",
    }
    address = f"{node.address}/studies"
    return verdict_on(
        post(address, headers, _in_pieces(parts), most=LARGEST_ANSWER, seconds=seconds or SECONDS)
    )


def verdict_on(answer: Answer) -> Verdict:
    """What the answer to a request says of all its instances."""
    code = answer.status_code
    if code >= 500 or code in _TRANSIENT:
        text = f"The node answered with status {code}."
        return Verdict(Result.TRY_AGAIN, text, code, answer.retry_after)
    if code in (200, 202, 409):
        return _of_instances(code, _module(answer.text))
    return Verdict(Result.REFUSED, _refusal(code), code)


def _of_instances(code: int, module: dict[str, Any] | None) -> Verdict:
    """module: Store Instances Response (PS3.18, I.2.1); None if the answer has none."""
    failures = [one for tag in (_FAILED, _OTHER_FAILURES) for one in _values(module, tag)]
    left = [one for one in failures if _code(one, _FAILURE_REASON) != _DUPLICATE]
    if left:
        is_full = all(0xA700 <= (_code(one, _FAILURE_REASON) or 0) <= 0xA7FF for one in left)
        result = Result.TRY_AGAIN if is_full else Result.REFUSED
        return Verdict(result, f"Not stored: {_all(map(_failure, left))}.", code)
    if failures:
        return Verdict(Result.DUPLICATE, "The node had it already.", code)
    if code == 409:
        return Verdict(Result.REFUSED, f"The node answered {code}, and gives no reason.", code)
    if not _values(module, _STORED):  # a page to log in, or a server that is no archive
        text = f"The node answered {code}, and does not say that it stored anything."
        return Verdict(Result.REFUSED, text, code)
    warnings = [_code(one, _WARNING_REASON) for one in _values(module, _STORED)]
    told = _all(_warning(one) for one in warnings if one is not None)
    return Verdict(Result.STORED, f"Stored, but: {told}." if told else "", code)


def _refusal(code: int) -> str:
    if 300 <= code < 400:
        return "The address answered with a redirect, which is not followed."
    if code in (401, 403):
        return f"The node refuses the authorisation (status {code})."
    if code == 404:
        return "There is no STOW-RS at this address (status 404)."
    return f"The node refuses the request (status {code})."


def _module(text: str) -> dict[str, Any] | None:
    """Of XML (PS3.19, A.1), which we don't ask for, only whether something was stored or failed."""
    if "<NativeDicomModel" in text:
        tags = (_STORED, _FAILED, _OTHER_FAILURES)
        return {tag: {"Value": [{}]} for tag in tags if f'tag="{tag}"' in text}
    try:
        found = untrusted_json.loads(text)
    except ValueError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, dict) else None


def _values(item: Any, tag: str) -> list[Any]:
    element = item.get(tag) if isinstance(item, dict) else None
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def _code(item: Any, tag: str) -> int | None:
    for value in _values(item, tag)[:1]:
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value.isdecimal():
            return int(value[:6])
    return None


def _failure(item: Any) -> str:
    """Which instance, and why."""
    kind = next(iter(_values(item, "00081150")), "")
    documents = {
        CLASSES[Document.REPORT]: "the report of the reading",
        CLASSES[Document.MASK]: "the outline",
    }
    what = documents.get(kind, "the picture") if isinstance(kind, str) else "the picture"
    return f"{what}, because {_reason(_code(item, _FAILURE_REASON))}"


def _reason(code: int | None) -> str:
    if code is None:
        return "of a reason that is not given"
    words = (text for first, last, text in _REASONS if first <= code <= last)
    return f"{next(words, 'the node has a reason of its own')} ({code:04X})"


def _warning(code: int) -> str:
    return f"{_WARNINGS.get(code, 'a warning of its own')} ({code:04X})"


def _all(texts: Iterable[str]) -> str:
    """Each once, at most three."""
    return "; ".join(list(dict.fromkeys(texts))[:3])


def _part(instance: bytes, boundary: str) -> tuple[bytes, bytes]:
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    return head.encode(), instance


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """In pieces, so that the time limit is checked while a large picture is being sent."""
    for part in parts:
        for begin in range(0, len(part), _PIECE):
            yield part[begin : begin + _PIECE]
