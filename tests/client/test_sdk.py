"""The two clients against answers that are written here: each test is run with both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from skincheck_client import (
    AsyncClient,
    Call,
    Changed,
    Client,
    ClientCredentials,
    Invalid,
    NotAuthenticated,
    NotFinished,
    NotFound,
    NotPermitted,
    Problem,
    SamePicture,
    Unreachable,
    dicom_deliveries,
    dicom_nodes,
    events,
    images,
    lesions,
    patients,
    predictions,
    reviews,
)

URL = "https://skincheck.example"
PATIENT = {"id": "7", "label": "P-1"}


class Site:
    """Answers with what is given, in turn, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body, headers = request.read(), request.headers
        # As it is now: credentials change it when they send it again.
        seen = httpx.Request(request.method, request.url, headers=headers, content=body)
        self.seen.append(seen)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def synchronous(
    site: Site, method: str, *sent: Any, credentials: Any = "sk_1", **named: Any
) -> Any:
    with Client(URL, credentials, transport=httpx.MockTransport(site)) as client:
        result = getattr(client, method)(*sent, **named)
        return list(result) if isinstance(result, Iterator) else result


def asynchronous(
    site: Site, method: str, *sent: Any, credentials: Any = "sk_1", **named: Any
) -> Any:
    async def work() -> Any:
        transport = httpx.MockTransport(site)
        async with AsyncClient(URL, credentials, transport=transport) as client:
            result = getattr(client, method)(*sent, **named)
            if isinstance(result, AsyncIterator):
                return [one async for one in result]
            return await result

    return asyncio.run(work())


@pytest.fixture(params=[synchronous, asynchronous])
def use(request) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """What the clients waited, in seconds."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("skincheck_client.client.time.sleep", waited.append)
    monkeypatch.setattr("skincheck_client.client.asyncio.sleep", wait)
    return waited


def answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(
        status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def refusal(status: int, **members: Any) -> httpx.Response:
    return answer({"type": "/problems/x", "status": status, "detail": "No.", **members}, status)


def test_a_call_is_sent_with_the_key(use):
    site = Site(answer(PATIENT, 201))
    assert use(site, "send", patients.create(label="P-1", birth_year=None)) == PATIENT
    [request] = site.seen
    assert (request.method, str(request.url)) == ("POST", f"{URL}/api/v1/patients/")
    assert request.headers["Authorization"] == "Bearer sk_1"
    assert json.loads(request.content) == {"label": "P-1", "birth_year": None}


def test_what_is_deleted_answers_nothing(use):
    site = Site(httpx.Response(204))
    assert use(site, "send", dicom_nodes.remove("7")) == {}
    assert (site.seen[0].method, site.seen[0].url.path) == ("DELETE", "/api/v1/dicom-nodes/7/")


def test_pictures_are_sent_to_an_archive(use):
    site = Site(answer({"deliveries": []}, 202), answer({"id": "9"}, 202))
    use(site, "send", lesions.send("7", node="8", with_readings=True))
    use(site, "send", dicom_deliveries.resend("9"))
    assert [one.url.path for one in site.seen] == [
        "/api/v1/lesions/7/send/",
        "/api/v1/dicom-deliveries/9/resend/",
    ]
    assert json.loads(site.seen[0].content) == {"node": "8", "with_readings": True}


def test_filters_are_the_query(use):
    site = Site(answer({"results": [], "next": None, "previous": None}))
    use(site, "send", reviews.list(standing=True, lesion="7"))
    assert dict(site.seen[0].url.params) == {"standing": "true", "lesion": "7"}
    assert "Idempotency-Key" not in site.seen[0].headers


def test_a_picture_is_sent_without_its_name(use, tmp_path):
    file = tmp_path / "Erika Muster.jpg"
    file.write_bytes(b"\xff\xd8\xff")
    site = Site(answer({}, 202))
    use(site, "send", images.add_first(file, patient="7", allow_capture=True))
    body = site.seen[0].content
    assert b"Muster" not in body
    assert b'name="patient"\r\n\r\n7\r\n' in body
    assert b'name="allow_capture"\r\n\r\ntrue\r\n' in body
    assert b"\xff\xd8\xff" in body


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ReadError("cut off"),
        httpx.Response(503),
        httpx.Response(502),
        answer({"detail": "In progress."}, 409, Retry_After="1"),
    ],
)
def test_what_gets_no_answer_is_sent_again_with_the_same_key(use, fault):
    site = Site(fault, answer(PATIENT, 201))
    assert use(site, "send", patients.create(label="P-1")) == PATIENT
    first, second = site.seen
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.content == second.content


def test_each_call_has_a_key_of_its_own_unless_it_is_named(use):
    keys = []
    for named in ({}, {}, {"once": "import-7"}):
        site = Site(answer(PATIENT, 201))
        use(site, "send", lesions.create(patient="7"), **named)
        keys.append(site.seen[0].headers["Idempotency-Key"])
    assert len(set(keys)) == 3
    assert keys[2] == "import-7"


def test_retry_after_is_waited_for(use, pauses):
    site = Site(answer({"detail": "Busy."}, 429, Retry_After="42"), answer(PATIENT))
    use(site, "send", patients.get("7"))
    assert pauses == [42]


@pytest.mark.parametrize(
    ("busy", "kind"),
    [
        (answer({"status": 429, "detail": "Later."}, 429, Retry_After="3600"), Problem),
        (httpx.Response(503, headers={"Retry-After": "86400"}), Unreachable),
    ],
)
def test_who_asks_for_too_much_patience_is_told_of_at_once(use, pauses, busy, kind):
    with pytest.raises(kind):
        use(Site(busy), "send", patients.get("7"))
    assert pauses == []


@pytest.mark.parametrize("fault", [httpx.ReadError("cut off"), httpx.Response(502)])
def test_a_change_whose_answer_was_lost_is_not_called_another_ones(use, fault):
    """The second attempt meets what the first has stored."""
    change = patients.change("7", if_match='"x"', birth_year=1961)
    with pytest.raises(Unreachable, match="Read it again"):
        use(Site(fault, refusal(412)), "send", change)
    not_sent = Site(httpx.ConnectError("refused"), refusal(412))
    with pytest.raises(Changed):
        use(not_sent, "send", change)


def test_pauses_grow_and_then_it_is_given_up(use, pauses):
    site = Site(*[httpx.ConnectError("refused")] * 6)
    with pytest.raises(Unreachable, match="ConnectError: refused"):
        use(site, "send", patients.get("7"))
    assert len(pauses) == 5
    assert all(late > 1.05 * early for early, late in pairwise(pauses))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, NotAuthenticated),
        (403, NotPermitted),
        (404, NotFound),
        (409, Problem),
        (412, Changed),
        (500, Problem),
    ],
)
def test_a_refusal_is_raised_and_not_repeated(use, status, kind):
    site = Site(refusal(status, request_id="r-1", scope="lesions:read"))
    with pytest.raises(kind) as raised:
        use(site, "send", patients.get("7"))
    assert type(raised.value) is kind
    problem = raised.value
    assert (str(problem), problem.status, problem.request_id) == ("No.", status, "r-1")
    assert len(site.seen) == 1


def test_a_refusal_names_the_fields(use):
    errors = [
        {"pointer": "/label", "detail": "Too long."},
        {"parameter": "sex", "detail": "Unknown."},
        {"detail": "Also."},
    ]
    with pytest.raises(Invalid, match=r"^label: Too long\.; sex: Unknown\.; Also\.$"):
        use(Site(refusal(400, errors=errors)), "send", patients.list())


def test_the_same_picture_leads_to_the_other_one(use):
    members = {"type": "/problems/same-picture", "image": "i", "lesion": "l"}
    with pytest.raises(SamePicture) as raised:
        use(Site(refusal(409, **members)), "send", images.add(b"x", lesion="7"))
    assert (raised.value.image, raised.value.lesion) == ("i", "l")


@pytest.mark.parametrize(
    "stranger",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(404, text="no"),
        httpx.Response(301, headers={"Location": f"{URL}/elsewhere/"}),
    ],
)
def test_what_is_not_skincheck_is_told(use, stranger):
    with pytest.raises(Unreachable, match="not SkinCheck's API"):
        use(Site(stranger), "send", patients.create(label="P-1"))


def test_a_merged_record_leads_to_the_remaining_one(use):
    moved = httpx.Response(301, headers={"Location": f"{URL}/api/v1/patients/8/"})
    site = Site(moved, answer(PATIENT))
    assert use(site, "send", patients.get("9")) == PATIENT
    assert str(site.seen[1].url).endswith("/patients/8/")
    elsewhere = Site(
        httpx.Response(301, headers={"Location": "https://elsewhere.example/"}), answer(PATIENT)
    )
    use(elsewhere, "send", patients.get("9"))
    assert "Authorization" not in elsewhere.seen[1].headers


def test_a_list_is_followed_to_its_end_on_its_own_host(use):
    there = "https://elsewhere.example/api/v1/patients/?cursor=abc&page_size=1"
    site = Site(
        answer({"results": [{"id": "1"}], "next": there, "previous": None}),
        answer({"results": [{"id": "2"}], "next": None, "previous": None}),
    )
    assert use(site, "each", patients.list(page_size=1)) == [{"id": "1"}, {"id": "2"}]
    assert str(site.seen[1].url) == f"{URL}/api/v1/patients/?cursor=abc&page_size=1"


def test_events_come_page_by_page_with_their_cursor(use):
    site = Site(
        answer({"results": [{"id": "1"}], "cursor": "a", "has_more": True}),
        answer({"results": [{"id": "2"}], "cursor": "b", "has_more": False}),
    )
    feeds = use(site, "feeds", events.list(type="lesion.changed", cursor="0"))
    assert [feed["cursor"] for feed in feeds] == ["a", "b"]
    assert [dict(one.url.params)["cursor"] for one in site.seen] == ["0", "a"]
    assert site.seen[1].url.params["type"] == "lesion.changed"


def test_a_reading_is_waited_for(use, pauses):
    states = ("queued", "running", "succeeded")
    site = Site(*[answer({"state": state}) for state in states])
    assert use(site, "wait", predictions.get("7"), seconds=60)["state"] == "succeeded"
    assert pauses == [0.25, 0.5]


def test_waiting_ends(use):
    with pytest.raises(NotFinished):
        use(Site(answer({"state": "queued"})), "wait", predictions.get("7"), seconds=0.1)


def test_an_answer_has_its_date_and_its_etag(use):
    site = Site(answer(PATIENT, ETag='"x"', Date="Fri, 27 Nov 2026 10:00:00 GMT"))
    found = use(site, "answer", patients.get("7"))
    assert (found.data, found.etag, found.date) == (PATIENT, '"x"', "2026-11-27T10:00:00+00:00")
    site = Site(answer(PATIENT))
    use(site, "send", patients.change("7", if_match=found.etag, birth_year=1961))
    assert site.seen[0].headers["If-Match"] == '"x"'
    assert json.loads(site.seen[0].content) == {"birth_year": 1961}


@pytest.mark.parametrize("faults", [[refusal(404)], [httpx.ReadError("cut off")] * 6])
def test_a_file_is_written_as_a_whole_or_not_at_all(use, tmp_path, faults):
    target = tmp_path / "mole.jpg"
    use(Site(httpx.Response(200, content=b"picture")), "save", images.file("7"), target)
    assert target.read_bytes() == b"picture"
    with pytest.raises((Problem, Unreachable)):
        use(Site(*faults), "save", images.file("7"), target)
    assert [path.name for path in tmp_path.iterdir()] == ["mole.jpg"]
    assert target.read_bytes() == b"picture"


def test_a_system_fetches_its_token_and_a_new_one_when_it_expires(use):
    system = ClientCredentials("id", "secret")
    tokens = [answer({"access_token": f"t{n}", "expires_in": 3600}) for n in range(2)]
    site = Site(
        tokens[0], answer(PATIENT), answer(PATIENT), refusal(401), tokens[1], answer(PATIENT)
    )
    for _ in range(3):
        assert use(site, "send", patients.get("7"), credentials=system) == PATIENT
    asked = [f"{one.url.path} {one.headers['Authorization']}" for one in site.seen]
    assert asked[0].startswith("/oauth/token Basic ")
    here = "/api/v1/patients/7/ Bearer"
    assert asked[1:4] == [f"{here} t0"] * 3
    assert asked[5] == f"{here} t1"


@pytest.mark.parametrize(
    "token", [httpx.Response(200, text="<html>"), answer([]), answer({"token": "t"})]
)
def test_a_token_that_is_none_is_told(use, token):
    with pytest.raises(Unreachable, match="not SkinCheck's API"):
        use(Site(token), "send", patients.get("7"), credentials=ClientCredentials("id", "x"))


def test_an_unknown_system_is_told(use):
    site = Site(answer({"error": "invalid_client"}, 401))
    with pytest.raises(NotAuthenticated, match="client ID"):
        use(site, "send", patients.get("7"), credentials=ClientCredentials("id", "x"))


def test_a_call_that_has_no_function_is_described(use):
    site = Site(answer({"id": "1"}))
    call: Call[dict[str, Any]] = Call("POST", "images/7/withdraw/", body={"reason": "Wrong."})
    assert use(site, "send", call) == {"id": "1"}
