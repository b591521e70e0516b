"""Withdrawn records appear nowhere.

Every page, every operation of the API and of FHIR, report, export, mail, calendar and webhook is
checked with one withdrawn image, lesion and patient, each with everything that can belong to it.
None may contain an identifier or a word of them.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from django.contrib import admin
from django.core import mail
from django.test.client import MULTIPART_CONTENT
from django.utils import timezone
from pypdf import PdfReader

from ml import reader
from screening import tasks
from screening.corrections import services
from screening.interop.fhir.resources import KINDS
from screening.models import (
    Alert,
    Announcement,
    AuditEntry,
    AuditPart,
    Delivery,
    ExternalIdentifier,
    Patient,
    Prediction,
)
from screening.predictions import queue
from screening.reminders import calendar, emails
from tests.access import MATRIX, World
from tests.clients import Browser
from tests.conftest import Personas
from tests.factories import (
    AlertFactory,
    BatchRowFactory,
    ChangeMarkFactory,
    ComparisonFactory,
    DoctorVisitFactory,
    HistologyFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    OutlineFactory,
    PatientFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReminderFactory,
    ReviewFactory,
    WebhookFactory,
)
from tests.test_access_matrix import ask, reverse, world_of
from tests.test_architecture import ALL

MARK = "zqxout"
"""Contained in every text of withdrawn records."""
LOOKS_FOR_IT = {
    "withdrawn",
    "correction_undo",
    "withdrawn_thumbnail",
    "api:correction-undo",
    "api:event-list",
}
"""Addresses that tell of withdrawn records on purpose."""
HISTORY = re.compile(r'<details class="section corrections.*?</details>', re.DOTALL)


@dataclass(frozen=True)
class Scene:
    """kept: a record. out: the same with a withdrawn record of one kind in its place. words: none
    of these may appear.
    """

    kept: World
    out: dict[str, World]
    words: set[str]


@pytest.fixture
def scene(personas: Personas) -> Scene:
    Patient.objects.filter(pk=personas.patient.pk).update(owner=personas.self_tracker)
    personas.patient.refresh_from_db()
    kept = world_of(personas, "clinician")
    other = PatientFactory(
        clinic=personas.clinic, owner=personas.self_tracker, label=f"{MARK} patient"
    )
    out = {
        "image": _attached(kept, kept.lesion),
        "lesion": _attached(kept, LesionFactory(patient=kept.patient, label=f"{MARK} lesion")),
        "patient": _attached(kept, LesionFactory(patient=other, label=f"{MARK} lesion")),
    }
    histology = HistologyFactory(lesion=kept.lesion, note=f"{MARK} histology", diagnosis="mel")
    visit = DoctorVisitFactory(
        lesion=kept.lesion, note=f"{MARK} visit", recorded_by=personas.self_tracker
    )
    out |= {"histology": replace(kept, histology=histology), "visit": replace(kept, visit=visit)}
    words = {MARK}
    for what, world in out.items():
        names = [name for name in vars(world) if getattr(world, name) != getattr(kept, name)]
        gone = [getattr(world, name) for name in names]
        words |= {str(row.pk) for row in gone if row.pk != kept.patient.pk}
        user = personas.self_tracker if what == "visit" else personas.clinician
        services.withdraw(user=user, record=getattr(world, what), reason=f"{MARK} reason")
    return Scene(kept, out, words)


def _attached(kept: World, lesion: Any) -> World:
    """An image of the lesion with everything, and for a separate lesion everything that it can
    have.
    """
    image = LesionImageFactory(
        lesion=lesion, captured_on=date(2026, 4, 1), camera_model=f"{MARK} camera"
    )
    before = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))
    prediction = PredictionFactory(image=image, outcome="urgent", p_malignant=0.97)
    PredictionMapsFactory(prediction=prediction, features=b"\0\0" * 1280)
    PredictionFactory(image=image, failed=True, failure=f"{MARK} failure")
    comparison = ComparisonFactory(earlier=before, later=image)
    identifiers = {"image": image} if lesion == kept.lesion else {"image": image, "lesion": lesion}
    for kind, record in identifiers.items():
        ExternalIdentifier.objects.create(
            clinic=kept.clinic,
            kind=kind,
            system=MARK,
            value=f"{MARK} {record.pk}",
            **{kind: record},
        )
    BatchRowFactory(
        batch=kept.batch,
        image=image,
        prediction=prediction,
        picture=f"{MARK}.jpg",
        source={"diagnosis": MARK},
    )
    AlertFactory(
        lesion=lesion,
        earlier=before,
        later=image,
        rule="new_colour",
        closed_at=timezone.now(),
        closed_by=image.uploaded_by,
        close_reason=f"{MARK} closed",
    )
    world = replace(
        kept,
        image=image,
        prediction=prediction,
        review=ReviewFactory(image=image, note=f"{MARK} review", management="excise"),
        comparison=comparison,
        mark=ChangeMarkFactory(comparison=comparison, verdict="changed", note=f"{MARK} mark"),
        alert=AlertFactory(lesion=lesion, earlier=before, later=image),
        outline=OutlineFactory(image=image),
        scale=ImageScaleFactory(image=image),
        measurement=MeasurementFactory(image=image, prediction=prediction),
    )
    if lesion == kept.lesion:
        return world
    return replace(
        world,
        patient=lesion.patient,
        lesion=lesion,
        histology=HistologyFactory(lesion=lesion, note=f"{MARK} histology"),
        visit=DoctorVisitFactory(
            lesion=lesion, recorded_by=image.uploaded_by, note=f"{MARK} visit"
        ),
        position=LesionPositionFactory(lesion=lesion),
        reminder=ReminderFactory(lesion=lesion, set_by=image.uploaded_by),
    )


def told(response: Any) -> str:
    """All the text of a response: of a page without the history of corrections."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    if response.headers.get("Content-Type") == "application/pdf":
        return "\n".join(page.extract_text() for page in PdfReader(BytesIO(body)).pages)
    return HISTORY.sub("", body.decode("utf-8", "replace"))


@pytest.fixture(params=["clinician", "self_tracker"])
def visitor(request, personas: Personas) -> Browser:
    """A client of the clinician, or of the owner of the record."""
    found = Browser()
    found.force_login(getattr(personas, request.param))
    return found


def test_no_address_tells_of_it(scene, visitor):
    urls = [
        reverse(name, args=line.args(scene.kept))
        for name, line in MATRIX.items()
        if "GET" in line.methods and not (name in LOOKS_FOR_IT or name.endswith("-corrections"))
    ]
    urls += [f"/fhir/R4/{kind}?_count=200" for kind in KINDS]
    urls += [f"{url}?page_size=200" for url in urls if re.fullmatch(r"/api/v1/[\w-]+/", url)]
    Delivery.objects.filter(event__endswith=".withdrawn").delete()  # it says so on purpose
    urls += ["/worklist/?reviewed=all", "/reminders/?whose=own"]
    assert len(urls) > 100
    found = []
    for url in urls:
        response = visitor.get(url)
        text = told(response)
        found += [(url, word) for word in scene.words if word in text]
    # Systems that have read the histology over FHIR learn that it was entered in error.
    in_error = str(scene.out["histology"].histology.pk)
    known = {one for one in found if one[1] == in_error and one[0].startswith("/fhir/")}
    assert known and set(found) == known, "\n".join(map(str, found))


def test_what_looks_for_it_finds_it(scene, visitor):
    """The checks above would find it if it were there."""
    world = scene.out["lesion"]
    assert MARK in told(visitor.get(reverse("withdrawn")))
    assert MARK in told(visitor.get(reverse("api:lesion-corrections", args=[world.lesion.pk])))
    services.restore(user=world.batch.created_by, record=world.lesion)
    pages = (reverse("lesion", args=[world.lesion.pk]), reverse("patient", args=[world.patient.pk]))
    assert all(MARK in told(visitor.get(url)) for url in pages)


@pytest.mark.parametrize("what", ["image", "lesion", "patient", "histology", "visit"])
def test_every_address_of_it_is_gone(scene, visitor, what):
    """And none accepts it in a body."""
    world, wrong, asked = scene.out[what], [], 0
    for name, line in MATRIX.items():
        for method, sent in line.methods.items():
            is_about = line.args(world) != line.args(scene.kept)
            names_it = (
                str(sent.body(world)) != str(sent.body(scene.kept))
                and sent.content_type != MULTIPART_CONTENT
            )
            if not (is_about or names_it) or name.endswith("-corrections"):
                continue
            asked += 1
            url = reverse(name, args=line.args(world))
            status = ask(visitor, method, url, sent, world).status_code
            # Correcting it again is rejected with the reason.
            expected = {404} if is_about and "-" not in name.partition(":")[2] else {400, 404}
            if name.startswith("dicomweb:"):
                expected.add(415)  # a body that no walk sends
            if status not in expected:
                wrong.append(f"{method} {url} ({name}): {status}")
    assert asked > (30 if what in ("image", "lesion", "patient") else 3)
    assert not wrong, "\n".join(wrong)


def test_no_mail_and_no_calendar_tells_of_it(scene, personas):
    for user_id, reminder_ids in emails.addressees().items():
        emails.send(user_id, reminder_ids)
    assert mail.outbox
    assert MARK not in "".join(f"{one.subject} {one.body}" for one in mail.outbox)
    for user in (personas.self_tracker, scene.out["lesion"].image.uploaded_by):
        assert MARK not in calendar.calendar_of(user).decode()


@pytest.mark.parametrize("what", ["image", "lesion", "patient"])
def test_a_reading_of_it_is_announced_to_nobody(scene, personas, what):
    WebhookFactory(clinic=personas.clinic)
    image = scene.out[what].image
    Delivery.objects.all().delete()
    waiting = PredictionFactory(image=image, queued=True, model_version=reader.DEFAULT_VERSION)
    claimed = queue.claim(waiting.pk)
    assert claimed is not None
    queue.read(claimed)
    alerts = Alert.everything.count()
    tasks.follow_up_task(str(image.pk))
    assert Alert.everything.count() == alerts
    assert not Delivery.objects.exists()


# Modules that may bypass the default managers, which exclude withdrawn rows.
LOOKS_PAST = {
    "screening.records.queries",  # what was merged into a record belongs to it
    "screening.records.closing",  # a lock
    "screening.web.forms.conflicts",  # a lock
    "screening.records.services",  # numbers of lesions are not reused
    "screening.web.forms.edit_form",  # the row that a form was opened with
    "screening.corrections",
    "screening.api.corrections",
    "screening.web.views.corrections",
    "screening.models",
    "screening.privacy",  # the audit log names withdrawn rows too
    "screening.interop.fhir.observation",  # withdrawn histology, as entered in error
    "screening.exports",  # withdrawn pictures are part of a person's data
    "screening.images.encryption",  # withdrawn pictures are encrypted too
    "screening.images.quota",  # withdrawn pictures use storage too
    "screening.operations.storage",  # their files are there too, while the storage is
    "screening.operations.orphans",  # the files of what is withdrawn are kept
    "screening.predictions.default_reading",  # a lock
    "screening.predictions.arrivals",  # the order counts what was withdrawn too
    "screening.erasure",  # what is withdrawn is erased too
    "screening.comparisons.marks",  # only its own row
    "screening.images.services",  # only its own row
    "screening.write_access",  # a lock
    "screening.idempotency",  # a withdrawn record was still theirs
    "screening.batches.rows",  # nothing withdrawn is brought back
    "screening.interop.dicomweb.storage",  # nor by another system
}


def test_few_look_past_the_managers():
    found = {
        module
        for module, path in ALL
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("everything", "_base_manager")
        and ast.unparse(node.value) != "bundles"  # of FHIR: $everything
    }
    allowed = {one for one in found if one.startswith(tuple(LOOKS_PAST))}
    assert found == allowed
    assert "screening.corrections.journal" in found


def test_the_operator_does_not_see_it_either(scene, client, personas):
    personas.admin.is_staff = personas.admin.is_superuser = True
    personas.admin.save()
    client.force_login(personas.admin)
    Delivery.objects.filter(event__endswith=".withdrawn").delete()  # it says so on purpose
    looked_at = set()
    for model in admin.site._registry:
        if model._meta.app_label == "screening":
            path = f"/admin/screening/{model._meta.model_name}/"
            # Logs name rows, whatever became of them, but nothing of their content.
            words = {MARK} if model in (AuditEntry, AuditPart, Announcement) else scene.words
            text = client.get(f"{path}?all=").text
            assert not [word for word in words if word in text], model
            for pk in set(re.findall(rf"{path}([0-9a-f-]{{36}})/change/", text)):
                text = client.get(f"{path}{pk}/change/").text
                assert not [word for word in words if word in text], (model, pk)
                looked_at.add(model)
    assert looked_at >= {Patient, Prediction, Alert}
