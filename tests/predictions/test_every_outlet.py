"""Whatever shows the newest picture's outcome also shows the standing warning.

The story: "see a doctor", then a blurred picture, then an ordinary photograph. Every page, mail,
message and file is compared before and after a reading is made milder: a difference means that it
shows the reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import urlencode
from zipfile import ZipFile

import pytest
from django.core import mail
from pypdf import PdfReader

from accounts import applications
from accounts.scopes import to_read
from screening.exports import services as exports
from screening.exports import worker
from screening.interop.fhir.resources import KINDS
from screening.models import Announcement, Delivery, Event, Outcome, Patient, Prediction, State
from screening.predictions import queue
from screening.predictions.details import CLINICAL_PHOTOGRAPH
from screening.records import visits
from screening.reminders import calendar, emails
from screening.reviews import services as review_services
from tests.access import MATRIX, World
from tests.clients import Browser, Program
from tests.conftest import Personas
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    PredictionFactory,
    ReminderFactory,
    WebhookFactory,
)
from tests.test_access_matrix import reverse, world_of

pytestmark = pytest.mark.django_db

DAYS = (date(2026, 1, 12), date(2026, 2, 12), date(2026, 3, 1))
NOISE = re.compile(
    r'value="[^"]*"|nonce="[^"]*"|"(lastUpdated|timestamp)": ?"[^"]*"'
    r"|Printed .* UTC|--[0-9a-f]{32}",
)
"""What each answer has of its own."""
ALWAYS_NEW = {
    "patient_access": "who has just looked",
    "api:event-list": "a cursor of the moment; its events are asked below",
    "export": "when it was last fetched",
    "export_status": "the same",
    "erasures": "links signed anew",
}
"""URLs that respond differently each time, and show no outcome."""
OF_ONE_PICTURE = {
    "Provenance": "one reading",
    "api:image-dicom-report": "one reading, and says so",
    "api:image-detail": "one picture with its reading",
    "api:prediction-detail": "one reading",
    "dicomweb:study": "pictures and readings, each by itself, and says so",
    "dicomweb:study-metadata": "pictures and readings, each by itself",
    "image_dicom_report": "one reading, and says so",
    "image_status": "the part of a picture's page that changes when it is read",
}
MUST_TELL = {
    "home",
    "patient",
    "patient_timeline",
    "lesion",
    "image",
    "patient_report",
    "lesion_report",
    "api:lesion-list",
    "api:lesion-detail",
    "api:lesion-report",
    "api:patient-report",
    "fhir:everything",
    "DiagnosticReport",
}
OF_CLINIC = {"worklist", "worklist_item", "api:worklist-list"}
SHARED = {"shared", "shared_report"}
TELL_ONLY_WHAT_STANDS = {
    "image",
    "patient_report",
    "api:lesion-list",
    "api:lesion-detail",
    "api:patient-report",
    "api:worklist-list",
    "DiagnosticReport",
    *SHARED,
}
"""Not what each picture was told, nor what the outcomes mean."""
WARNS = re.compile("see_doctor|See a doctor")


def story(kept: World) -> World:
    lesion = LesionFactory(patient=kept.patient, label="Left calf")
    LesionPositionFactory(lesion=lesion)
    for day, outcome in zip(DAYS, ("see_doctor", "not_assessable", "not_assessable"), strict=True):
        image = LesionImageFactory(lesion=lesion, captured_on=day)
        reason = "blurred" if outcome == "not_assessable" else ""
        reading = PredictionFactory(image=image, outcome=outcome, reason=reason)
    reading.image.modality, reading.reason = "clinical", CLINICAL_PHOTOGRAPH
    reading.image.save()
    reading.save()
    return replace(kept, lesion=lesion, image=reading.image, prediction=reading)


@pytest.fixture(params=["clinic's", "own", "followed"])
def world(request, personas: Personas) -> World:
    """On the record of a clinic, of a person, or of a person whom a clinic follows."""
    kept = world_of(personas, "self_tracker" if request.param == "own" else "clinician")
    if request.param == "followed":
        Patient.objects.filter(pk=kept.patient.pk).update(owner=personas.self_tracker)
        kept.patient.refresh_from_db()
    return story(kept)


def urls_of(world: World) -> dict[str, str]:
    """Each address by its name, except those that are the same for everybody."""
    found = {
        name: reverse(name, args=line.args(world))
        for name, line in MATRIX.items()
        if "GET" in line.methods
        and name not in ALWAYS_NEW
        and (name in SHARED or not line.is_public or name == "home")
        and (world.clinic or not line.clinic_only)
    }
    return found | {kind: f"/fhir/R4/{kind}?_count=200" for kind in KINDS}


def words_of(pdf: bytes) -> str:
    words = " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)
    return " ".join(words.split())


def text_of(response: Any) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    if response.headers.get("Content-Type") == "application/pdf":
        return words_of(body)
    return body.decode("utf-8", "replace")


def told_by(client: Any, urls: dict[str, str]) -> dict[str, str]:
    """What each address answers, of those that answer."""
    found = {}
    for name, url in urls.items():
        response = client.get(url)
        if response.status_code == 200:
            found[name] = NOISE.sub("", text_of(response))
    return found


def differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in after if before[name] != after[name]}


def readings(world: World, *days: date) -> Any:
    return Prediction.objects.filter(image__lesion=world.lesion, image__captured_on__in=days)


Ask = Callable[[dict[str, str]], dict[str, str]]


def among(urls: dict[str, str], names: set[str]) -> dict[str, str]:
    return {name: url for name, url in urls.items() if name in names}


def outlets(ask: Ask, urls: dict[str, str], world: World) -> tuple[set[str], set[str]]:
    """What shows the warning, urgent or not, and what else shows the newer pictures."""
    before = ask(urls)
    warned = set(before)
    for outcome in ("urgent", "monitor"):
        readings(world, DAYS[0]).update(outcome=outcome)
        warned = differing(before, ask(among(urls, warned)))
    readings(world, DAYS[0]).update(outcome="see_doctor")
    again = ask(among(urls, warned))
    assert differing(before, again) == set()  # nothing else changes an answer
    readings(world, *DAYS[1:]).update(outcome="monitor", reason="")
    return warned, differing(before, ask(among(urls, before.keys() - warned)))


@pytest.fixture
def asked(request, world, personas) -> tuple[Ask, dict[str, str], set[str]]:
    """The users, the URLs, and which of them must show the warning."""
    urls = urls_of(world)
    if request.param == "link":
        return partial(told_by, Browser()), among(urls, SHARED), SHARED
    client = Browser()
    client.force_login(getattr(personas, request.param))
    of_clinic = OF_CLINIC if request.param == "clinician" else set()
    return partial(told_by, client), urls, MUST_TELL | SHARED | of_clinic


@pytest.mark.parametrize(
    ("world", "asked"),
    [
        ("clinic's", "clinician"),
        ("followed", "clinician"),
        ("followed", "self_tracker"),
        ("own", "self_tracker"),
        ("own", "link"),
    ],
    indirect=True,
)
def test_every_address_that_tells_of_the_newest_picture_tells_the_warning(world, asked):
    ask, urls, must_tell = asked
    warned, of_newest_alone = outlets(ask, urls, world)
    assert must_tell <= warned, must_tell - warned
    assert of_newest_alone <= OF_ONE_PICTURE.keys(), of_newest_alone


def settle(world: World, personas: Personas) -> None:
    image = world.lesion.images.get(captured_on=DAYS[0])
    if world.patient.clinic_id:
        said = {"conclusion": "nv", "management": "monitor"}
        review_services.record_review(user=personas.clinician, image=image, **said)
    else:
        said = {"visited_on": DAYS[0], "finding": "harmless"}
        visits.record_visit(user=personas.self_tracker, lesion=world.lesion, **said)


@pytest.mark.parametrize(
    ("world", "asked"),
    [
        ("clinic's", "clinician"),
        ("followed", "self_tracker"),
        ("own", "self_tracker"),
        ("own", "link"),
    ],
    indirect=True,
)
def test_every_address_that_told_the_warning_tells_that_it_is_settled(world, asked, personas):
    ask, urls, must_tell = asked
    urls = among(urls, must_tell)
    before = ask(urls)
    settle(world, personas)
    after = ask(urls)
    same = before.keys() - differing(before, after)
    assert same <= {"patient_timeline"}  # of each picture, by its day
    alone = must_tell & TELL_ONLY_WHAT_STANDS
    assert alone and {name for name in alone if WARNS.search(before[name])} == alone
    assert {name for name in alone if WARNS.search(after[name])} == set()


def test_a_system_that_signs_in_by_itself_is_told_it(personas):
    world = story(world_of(personas, "clinician"))
    system, secret = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice system",
        role="viewer",
        scopes=to_read(),
    )
    fields = {"client_id": system.client_id, "client_secret": secret}
    kind = "application/x-www-form-urlencoded"
    body = urlencode({"grant_type": "client_credentials", **fields})
    token = Program().generic("POST", "/oauth/token", body, content_type=kind).json()
    program = Program(token["access_token"])
    told = program.get(f"/api/v1/lesions/{world.lesion.pk}/").json()
    assert (told["standing_outcome"], told["latest_outcome"]) == ("see_doctor", "not_assessable")
    report = program.get(f"/fhir/R4/DiagnosticReport/{world.lesion.pk}").json()
    assert "See a doctor" in report["conclusion"]


def test_mail_calendar_feed_and_webhooks_tell_no_outcome(personas):
    """They name what to look at: users who may see it look it up."""
    world = story(world_of(personas, "clinician"))
    ReminderFactory(lesion=world.lesion, set_by=personas.clinician, due_on=DAYS[0])
    WebhookFactory(clinic=personas.clinic, events=list(Event.values))
    waiting = PredictionFactory(image=world.image, running=True, model_version="test-1")
    done = {"outcome": "not_assessable", "reason": "blurred", "weights_sha256": "a" * 64}
    assert queue.finish(waiting, state=State.SUCCEEDED, **done)
    for user_id, reminder_ids in emails.addressees().items():
        emails.send(user_id, reminder_ids)
    assert any("Left calf" in one.body for one in mail.outbox) and Delivery.objects.exists()
    sent = [f"{one.subject} {one.body}" for one in mail.outbox]
    sent.append(calendar.calendar_of(personas.clinician).decode())
    sent += [str(one.data) for one in (*Announcement.objects.all(), *Delivery.objects.all())]
    words = [word.lower() for outcome in Outcome for word in (outcome.value, outcome.label)]
    assert not [(word, one) for one in sent for word in words if word in one.lower()]


def test_the_file_that_a_person_takes_along_tells_it(personas, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    lesion = LesionFactory(patient=personas.own_patient, label="Left calf")
    for day, outcome in zip(DAYS, ("see_doctor", "monitor", "monitor"), strict=True):
        picture_of = LesionImageFactory(lesion=lesion, captured_on=day)
        PredictionFactory(image=picture_of, outcome=outcome)
    export = exports.request_export(user=personas.self_tracker)
    assert worker.work()
    export.refresh_from_db()
    with export.file.open("rb") as file, ZipFile(file) as made:
        pdfs = [words_of(made.read(name)) for name in made.namelist() if name.endswith(".pdf")]
        fhir = b" ".join(made.read(name) for name in made.namelist() if "fhir/" in name)
    assert len(pdfs) == 2 and all("See a doctor" in pdf for pdf in pdfs)
    assert re.search(rb'"conclusion": ?"[^"]*See a doctor', fhir)
