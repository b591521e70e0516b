"""What a node's answer to STOW-RS says (PS3.18, 10.5.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from screening.interop.dicomweb.stow import Result, verdict_on
from screening.webhooks.http import Answer

SR = "1.2.840.10008.5.1.4.1.1.88.33"


def us(value: Any) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}


def answer(code: int, body: Any = "", retry_after: int | None = None) -> Answer:
    return Answer(code, body if isinstance(body, str) else json.dumps(body), retry_after)


def stored(**warning: Any) -> dict[str, Any]:
    return {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI"}, **warning}]}}


def xml(*tags: str) -> str:
    return "<NativeDicomModel>" + "".join(f'<DicomAttribute tag="{one}"/>' for one in tags)


def failed(reason: Any, kind: str = "", tag: str = "00081198") -> dict[str, Any]:
    named = {"00081150": {"vr": "UI", "Value": [kind]}} if kind else {}
    return {tag: {"vr": "SQ", "Value": [{**named, "00081197": us(reason)}]}}


@pytest.mark.parametrize(
    ("found", "result", "message"),
    [
        (answer(200, stored()), Result.STORED, ""),
        (answer(200, [stored()]), Result.STORED, ""),
        (answer(200), Result.REFUSED, "does not say that it stored anything"),
        (answer(200, "<html>Log in"), Result.REFUSED, "does not say that it stored anything"),
        (answer(200, {}), Result.REFUSED, "does not say that it stored anything"),
        (answer(200, xml("00081199")), Result.STORED, ""),
        (answer(200, xml("00081198")), Result.REFUSED, "not given"),
        (answer(200, xml()), Result.REFUSED, "does not say that it stored anything"),
        (answer(202, stored(**{"00081196": us(0xB000)})), Result.STORED, "changed data elements"),
        (answer(202, stored(**{"00081196": us(0xB123)})), Result.STORED, "warning of its own"),
        (answer(202, failed(0x0122)), Result.REFUSED, "the picture, because it does not store"),
        (answer(202, {**stored(), **failed(0x0122, SR)}), Result.REFUSED, "the report of the"),
        (answer(202, failed(0xC000, tag="0008119A")), Result.REFUSED, "does not understand"),
        (answer(202), Result.REFUSED, "does not say that it stored anything"),
        (answer(202, "{"), Result.REFUSED, "does not say that it stored anything"),
        (answer(200, failed(0x0110)), Result.REFUSED, "an error occurred"),
        (answer(409, failed(0x0124)), Result.REFUSED, "not authorised"),
        (answer(409, failed(0xA701)), Result.TRY_AGAIN, "out of resources"),
        (answer(409, failed("42752")), Result.TRY_AGAIN, "out of resources"),
        (answer(409, failed(None)), Result.REFUSED, "not given"),
        (answer(409, failed({"a": 1})), Result.REFUSED, "not given"),
        (answer(409, failed(0x7777)), Result.REFUSED, "reason of its own (7777)"),
        (answer(409, failed(0x0111)), Result.DUPLICATE, "had it already"),
        (answer(409), Result.REFUSED, "gives no reason"),
        (answer(409, "[" * 5000), Result.REFUSED, "gives no reason"),
        (answer(409, {"00081198": {"Value": ["x", None, 7]}}), Result.REFUSED, "not given"),
        (answer(500), Result.TRY_AGAIN, "status 500"),
        (answer(503), Result.TRY_AGAIN, "status 503"),
        (answer(429), Result.TRY_AGAIN, "status 429"),
        (answer(301), Result.REFUSED, "redirect"),
        (answer(401), Result.REFUSED, "authorisation"),
        (answer(404), Result.REFUSED, "no STOW-RS"),
        (answer(415), Result.REFUSED, "refuses the request"),
        (answer(204), Result.REFUSED, "refuses the request"),
    ],
)
def test_what_an_answer_means(found, result, message):
    verdict = verdict_on(found)
    assert verdict.result == result
    assert message in verdict.message
    assert bool(message) == bool(verdict.message)
    assert verdict.status_code == found.status_code


def test_several_failures_are_told_once_each():
    items = [{"00081197": us(0xA700)}, {"00081197": us(0xA700)}, {"00081197": us(0x0122)}]
    verdict = verdict_on(answer(409, {"00081198": {"Value": items}}))
    assert verdict.result == Result.REFUSED
    assert verdict.message.count("A700") == verdict.message.count("0122") == 1


def test_the_pause_that_a_node_asks_for_is_kept():
    assert verdict_on(answer(503, retry_after=90)).retry_after == 90
