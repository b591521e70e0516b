"""Erasure leaves nothing behind, and what remains names nobody."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.core import mail
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.urls import reverse
from django.utils import timezone

from accounts import services as account_services
from accounts.models import Clinic, Invitation, Membership, User
from screening.erasure import eraser, receipts, services, traces
from screening.errors import ArchiveRefused, LeaseLost
from screening.exports import archive, imports
from screening.exports import services as exports
from screening.exports import worker as export_worker
from screening.models import (
    AuditEntry,
    AuditPart,
    Batch,
    Correction,
    Erasure,
    ErasureState,
    Export,
    IdempotentRequest,
    Lesion,
    LesionImage,
    Patient,
    Review,
    ReviewSeal,
    Trace,
)
from screening.operations import storage as storage_module
from screening.privacy import following
from screening.privacy import services as audit
from screening.reviews import chain
from tests.clients import Browser
from tests.factories import (
    AlertFactory,
    BatchFactory,
    BatchRowFactory,
    ChangeMarkFactory,
    DicomDeliveryFactory,
    DicomNodeFactory,
    ErasureFactory,
    FollowingFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
)
from tests.test_access_matrix import world_of

pytestmark = pytest.mark.django_db


def all_text() -> str:
    """Every value of every table as stored in the database, and every stored file's name."""
    found: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                for value in row:
                    raw = bytes(value) if isinstance(value, bytes | memoryview) else None
                    found.append(raw.decode("latin-1") if raw is not None else str(value))
    return "\n".join([*found, *traces._stored("")]).replace("-", "")


def found() -> list[traces.Found]:
    """Traces in the database and in names of files. Test pictures all have the same bytes, so other
    tests search contents.
    """
    search = traces.Search()
    return [*search.in_database(), *search.in_storage(contents=False)]


def ids_of(*rows: Any) -> set[str]:
    return {row.pk.hex for row in rows if hasattr(row, "pk") and hasattr(row.pk, "hex")}


def let_the_days_pass() -> int:
    Erasure.objects.filter(state=ErasureState.PENDING).update(
        erased_from=timezone.now() - timedelta(seconds=1)
    )
    return eraser.erase_due()


@pytest.fixture
def leaving(personas):
    """A self-tracker with one of everything, and other people, who stay."""
    user = personas.self_tracker
    user.first_name, user.last_name = "Ada", "Quillfeather"
    user.save()
    world = world_of(personas, "self_tracker")
    Erasure.objects.all().delete()
    Browser().force_login(user)
    LogEntry.objects.create(
        user=user, object_id=str(world.patient.pk), object_repr="R", action_flag=CHANGE
    )
    IdempotentRequest.objects.create(
        caller=f"user:{user.pk}", key="k", fingerprint="f", locked_until=timezone.now()
    )
    IdempotentRequest.objects.create(
        caller="key:other",
        key="k",
        fingerprint="f",
        locked_until=timezone.now(),
        body=json.dumps({"id": str(world.image.pk)}).encode(),
    )
    return world


def test_an_account_leaves_nothing_behind(leaving, personas):
    user = personas.self_tracker
    other = PredictionFactory(image__lesion__patient=personas.patient)
    of_others = ("erasure", "clinic", "other_clinic", "followed", "following", "dicom_node")
    held = {k: v for k, v in vars(leaving).items() if k not in of_others}
    gone = ids_of(user, *(row for row in held.values() if not isinstance(row, str)))
    assert len(gone) > 20
    client = Browser()
    client.force_login(user)
    for when in ("chained", "not chained yet"):
        client.get(reverse("patient", args=[leaving.patient.pk]))
        client.get(reverse("lesion", args=[leaving.lesion.pk]))
        if when == "chained":
            audit.chain_all()
    assert AuditEntry.objects.filter(actor=user.pk).count() == AuditPart.objects.count() == 2
    files = [leaving.image.file.name, leaving.image.thumbnail.name, leaving.batch.archive.name]
    assert all(one in all_text() for one in gone)
    services.ask_for_account(user=user)
    assert let_the_days_pass() == 1
    text = all_text()
    assert not [one for one in gone if one in text]
    assert not [name for name in files if default_storage.exists(name)]
    assert "tracker@example.org" not in text
    assert "Quillfeather" not in text
    assert found() == []
    other.refresh_from_db()
    assert default_storage.exists(other.image.file.name)
    assert list(chain.broken()) == []
    assert AuditEntry.objects.filter(what="lesion").count() == 2
    assert list(audit.broken()) == []


def test_the_receipt_is_signed_and_names_kinds_and_counts_only(leaving, personas):
    services.ask_for_account(user=personas.self_tracker)
    let_the_days_pass()
    erasure = Erasure.objects.get()
    assert (erasure.patient, erasure.user, erasure.asked_by) == (None, None, None)
    receipt = erasure.receipt
    assert receipts.is_genuine(receipt)
    assert receipt["erased"]["users"] == 1
    assert receipt["erased"]["lesion images"] >= 3
    assert receipt["erased"]["stored files"] >= 6
    assert not receipts.is_genuine({**receipt, "erased": {"users": 2}})
    assert not receipts.is_genuine({**receipt, "signature": ""})
    text = json.dumps(receipt)
    assert not [
        one for one in ("tracker@", "Ada", "My skin", leaving.patient.pk.hex) if one in text
    ]
    (message,) = [one for one in mail.outbox if one.subject == "Your data are erased"]
    assert message.to == ["tracker@example.org"]
    (attached,) = message.attachments
    assert receipts.is_genuine(json.loads(attached[1]))
    erasure.refresh_from_db()
    assert erasure.mail_to == ""


def test_an_erased_conclusion_leaves_the_chain_whole(personas, settings):
    settings.RETENTION_YEARS = 0
    kept = ReviewFactory(image__lesion__patient__clinic=personas.clinic)
    gone = ReviewFactory(image__lesion__patient=personas.patient, note="Zq secret note")
    last = ReviewFactory(image__lesion__patient=personas.patient)
    erase_patient(personas)
    assert list(Review.objects.all()) == [kept]
    assert [seal.number for seal in ReviewSeal.objects.order_by("number")] == [2, 3]
    assert list(chain.broken()) == []
    assert "Zq secret note" not in all_text()
    after = ReviewFactory(image=kept.image)
    assert (after.number, after.previous_signature) == (4, last.signature)
    assert list(chain.broken()) == []
    # What the seals do not hide:
    seal = ReviewSeal.objects.get(number=gone.number)
    ReviewSeal.objects.filter(pk=seal.pk).delete()
    assert [fault.link.number for fault in chain.broken()] == [3]
    seal.signature = "0" * 64
    seal.save(force_insert=True)
    assert {fault.link.number for fault in chain.broken()} == {2, 3}


def test_a_forged_review_is_not_made_good_by_erasing_it(personas, settings):
    settings.RETENTION_YEARS = 0
    review = ReviewFactory(image__lesion__patient=personas.patient)
    Review.objects.filter(pk=review.pk).update(conclusion="mel")
    erase_patient(personas)
    assert [fault.link.number for fault in chain.broken()] == [1]


def test_a_clinician_who_leaves_is_no_longer_named_and_their_conclusions_still_hold(personas):
    user = personas.clinician
    user.first_name, user.last_name = "Ada", "Quillfeather"
    user.save()
    image = LesionImageFactory(lesion__patient=personas.patient, uploaded_by=user)
    review = ReviewFactory(image=image, reviewer=user)
    ReviewFactory(image=image)
    services.ask_for_account(user=user)
    assert let_the_days_pass() == 1
    review.refresh_from_db()
    image.refresh_from_db()
    assert str(review.reviewer) == eraser.FORMER
    assert review.reviewer == image.uploaded_by != user
    assert not review.signature_holds
    assert list(chain.broken()) == []
    text = all_text()
    assert user.pk.hex not in text
    assert "Quillfeather" not in text
    assert "clinician@north.example.org" not in text
    kept = {one["what"] for one in Erasure.objects.get().receipt["kept"]}
    assert "entries in others' records" in kept
    Review.objects.filter(pk=review.pk).update(management="none")
    assert [fault.link.number for fault in chain.broken()] == [1]


def erase_patient(personas) -> Erasure:
    asked = services.ask_for_record(
        user=personas.clinician, patient=personas.patient, ground="time_is_over"
    )
    services.confirm(user=personas.admin, erasure=asked)
    assert let_the_days_pass() == 1
    asked.refresh_from_db()
    return asked


def test_a_clinics_patient_leaves_nothing_behind(personas, settings):
    settings.RETENTION_YEARS = 0
    patient = personas.patient
    patient.label = "Quillfeather 7"
    patient.save()
    world = world_of(personas, "clinician")
    Erasure.objects.all().delete()
    batch = BatchFactory(
        clinic=personas.clinic,
        created_by=personas.clinician,
        state="importing",
        archive=ContentFile(b"PK of all", name="archive"),
    )
    BatchRowFactory(batch=batch, image=world.image, picture="Quillfeather.jpg", number=1)
    waiting = BatchRowFactory(
        batch=batch,
        image=None,
        prediction=None,
        state="waiting",
        values={"patient": "Quillfeather 7"},
        number=2,
    )
    archive = batch.archive.name
    elsewhere = LesionImageFactory(lesion__patient=world.twin)
    Correction.objects.create(
        kind="moved",
        made_by=personas.clinician,
        patient=world.twin,
        image=elsewhere,
        before={"lesion": str(world.lesion.pk)},
        after={"lesion": str(elsewhere.lesion_id)},
    )
    staying = (world.twin, world.key, world.membership, world.webhook)
    gone = ids_of(world.patient, world.lesion, world.image, world.prediction, world.review)
    gone |= ids_of(world.histology, world.comparison, world.share, world.withdrawn, waiting)
    erase_patient(personas)
    text = all_text()
    assert not [one for one in gone if one in text]
    assert "Quillfeather" not in text
    assert not default_storage.exists(archive)
    assert Batch.objects.get(pk=batch.pk).state == Batch.State.CANCELLED
    for row in staying:
        row.refresh_from_db()
    moved = Correction.objects.get(image=elsewhere)
    assert moved.before == {"lesion": "erased"}
    assert moved.after == {"lesion": str(elsewhere.lesion_id)}
    assert found() == []


def test_what_a_person_and_a_clinic_share_stays_with_the_clinic(personas):
    patient = PatientFactory(clinic=personas.clinic, owner=personas.self_tracker)
    image = LesionImageFactory(lesion__patient=patient, uploaded_by=personas.self_tracker)
    services.ask_for_account(user=personas.self_tracker)
    assert Patient.objects.visible_to(personas.clinician).contains(patient)
    let_the_days_pass()
    patient.refresh_from_db()
    image.refresh_from_db()
    assert (patient.owner, patient.clinic) == (None, personas.clinic)
    assert str(image.uploaded_by) == eraser.FORMER
    assert personas.self_tracker.pk.hex not in all_text()
    (left,) = [one for one in Erasure.objects.get().receipt["kept"] if one["what"] == "records"]
    assert left["count"] == 1
    assert "clinic" in left["why"]


def test_a_clinic_leaves_a_shared_record_to_the_person(personas, settings):
    settings.RETENTION_YEARS = 0
    Patient.objects.filter(pk=personas.patient.pk).update(owner=personas.self_tracker)
    image = LesionImageFactory(lesion__patient=personas.patient)
    erase_patient(personas)
    image.refresh_from_db()
    patient = Patient.objects.get(pk=personas.patient.pk)
    assert (patient.owner, patient.clinic) == (personas.self_tracker, None)
    assert Patient.objects.visible_to(personas.self_tracker).contains(patient)


def test_a_clinic_without_anybody_goes_with_its_founder():
    alone = MembershipFactory(role="admin", clinic__name="Quillfeather practice")
    services.ask_for_account(user=alone.user)
    let_the_days_pass()
    assert not Clinic.objects.exists()
    assert "Quillfeather" not in all_text()


def test_a_clinic_that_goes_leaves_to_others_what_belongs_to_their_records():
    """Its last admin leaves. Others' pictures lie in its archive, and it followed a record."""
    admin = MembershipFactory(role="admin")
    clinic, user = admin.clinic, admin.user
    node = DicomNodeFactory(clinic=clinic)
    unused = DicomNodeFactory(clinic=clinic)
    sent = {"node": node, "sent_by": user}
    delivery = DicomDeliveryFactory(delivered=True, instance_uid="2.25.1", **sent)
    waiting = DicomDeliveryFactory(**sent)
    followed = FollowingFactory(clinic=clinic, accepted=True, accepted_by=user)
    following.end(user=followed.invited_by, following=followed)
    erased = ErasureFactory(erased=True, clinic=clinic, confirmed_by=user)
    services.ask_for_account(user=user)
    assert let_the_days_pass() == 1
    for row in (clinic, node, delivery, waiting, followed, erased):
        row.refresh_from_db()
    assert node.removed_at is not None
    assert clinic.code == ""
    assert str(delivery.sent_by) == str(followed.accepted_by) == eraser.FORMER
    assert not type(unused).objects.filter(pk=unused.pk).exists()
    assert not clinic.memberships.exists()
    assert user.pk.hex not in all_text()
    receipt = Erasure.objects.get(clinic=None).receipt
    assert "names of clinics" in {one["what"] for one in receipt["kept"]}
    assert found() == []


def test_an_account_takes_along_the_record_that_was_to_be_erased_anyway(personas):
    user = personas.self_tracker
    record = services.ask_for_record(user=user, patient=personas.own_patient)
    Erasure.objects.filter(pk=record.pk).update(erased_from=timezone.now() + timedelta(days=99))
    account = services.ask_for_account(user=user)
    Erasure.objects.filter(pk=account.pk).update(erased_from=timezone.now())
    assert eraser.erase_due() == 1
    assert [one.pk for one in Erasure.objects.all()] == [account.pk]
    assert not Patient.everything.filter(pk=personas.own_patient.pk).exists()


@pytest.mark.parametrize("what", ["account", "patient"])
def test_no_export_keeps_what_is_erased(leaving, personas, what):
    user, patient = personas.self_tracker, personas.own_patient
    Export.objects.all().delete()
    of = patient if what == "patient" else None
    exports.request_export(user=user, patient=of)
    assert export_worker.work()
    export = Export.objects.get()
    name = export.file.name
    assert list(traces.Search(only=[])) == []
    services.ask_for_record(user=user, patient=patient)
    let_the_days_pass()
    assert not default_storage.exists(name)
    assert patient.pk.hex not in all_text()
    if what == "account":
        export.refresh_from_db()
        assert (export.state, export.file.name) == ("ended", "")
        assert str(patient.pk) not in export.patients


def test_an_export_that_is_being_put_together_begins_again_without_it(leaving, personas):
    user, patient = personas.self_tracker, personas.own_patient
    Export.objects.all().delete()
    services.ask_for_record(user=user, patient=patient)
    export = export_worker.claim(exports.request_export(user=user).pk)
    assert export is not None
    begun, before = archive.plan(export), set(traces._stored("exports"))
    assert patient.pk in begun.patients
    let_the_days_pass()
    with pytest.raises(LeaseLost), BytesIO(b"PK of all") as file:
        export_worker._finish(export, begun, file)
    assert patient.pk.hex not in all_text()
    assert set(traces._stored("exports")) == before
    assert export_worker.work()
    export.refresh_from_db()
    assert export.state == "ready"
    assert str(patient.pk) not in export.patients


def test_a_file_does_not_bring_back_what_was_erased(leaving, personas):
    user, patient = personas.self_tracker, personas.own_patient
    Export.objects.all().delete()
    exports.request_export(user=user, patient=patient)
    assert export_worker.work()
    with Export.objects.get().file.open() as file:
        taken_along = BytesIO(file.read())
    services.ask_for_account(user=user)
    let_the_days_pass()
    with pytest.raises(ArchiveRefused, match="was erased here"):
        imports.import_export(taken_along, owner=personas.stranger)
    default_storage.save("exports/forgotten", taken_along)
    assert {one.where.partition(": ")[2].partition("/")[0] for one in traces.Search()} >= {
        "records",
        "pictures",
        "fhir",
    }


def test_a_file_does_not_bring_back_an_erased_account_either(personas):
    user = personas.stranger
    exports.request_export(user=user)
    assert export_worker.work()
    with Export.objects.get().file.open() as file:
        taken_along = BytesIO(file.read())
    services.ask_for_account(user=user)
    let_the_days_pass()
    with pytest.raises(ArchiveRefused, match="The account"):
        imports.import_export(taken_along)
    assert not User.objects.filter(pk=user.pk).exists()


# Faults


def test_storage_that_is_away_puts_it_off_and_loses_nothing(leaving, personas, monkeypatch):
    services.ask_for_account(user=personas.self_tracker)
    files = [leaving.image.file.name, leaving.image.thumbnail.name]
    whole = storage_module.WholeFiles._open

    def away(*_: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr(storage_module.WholeFiles, "_open", away)
    assert let_the_days_pass() == 0
    erasure = Erasure.objects.get()
    assert erasure.state == ErasureState.ERASING
    assert set(files) <= {name for name, _ in erasure.files}
    assert erasure.receipt == {}
    monkeypatch.setattr(storage_module.WholeFiles, "_open", whole)
    assert eraser.erase_due() == 0  # it rests
    Erasure.objects.update(rests_until=timezone.now())
    assert eraser.erase_due() == 1
    assert not [name for name in files if default_storage.exists(name)]
    assert found() == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["rows", "a file", "the search", "the mail"])
def test_killed_anywhere_it_goes_on(leaving, personas, monkeypatch, step):
    services.ask_for_account(user=personas.self_tracker)
    where, name = {
        "rows": (eraser.rows, "erase"),
        "a file": (default_storage, "delete"),
        "the search": (receipts, "made_of"),
        "the mail": (receipts, "mail"),
    }[step]

    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(where, name, killed)
        with pytest.raises(Killed):
            let_the_days_pass()
    if step == "rows":  # all of them, or none
        assert LesionImage.everything.filter(pk=leaving.image.pk).exists()
        assert User.objects.filter(pk=personas.self_tracker.pk).exists()
    Erasure.objects.update(rests_until=None)
    eraser.erase_due()
    erasure = Erasure.objects.get()
    assert (erasure.state, erasure.mail_to) == (ErasureState.ERASED, "")
    assert receipts.is_genuine(erasure.receipt)
    assert found() == []
    assert personas.self_tracker.pk.hex not in all_text()


def test_it_is_not_finished_while_a_trace_is_found(leaving, personas, monkeypatch):
    services.ask_for_account(user=personas.self_tracker)
    left = Lesion.objects.create(
        patient=personas.patient, label="L", notes=f"of {leaving.image.pk}"
    )
    assert let_the_days_pass() == 0
    assert Erasure.objects.get().state == ErasureState.ERASING
    Lesion.objects.filter(pk=left.pk).update(notes="")
    assert eraser.erase_due() == 1


def test_what_others_wrote_about_someone_of_the_name_is_theirs(leaving, personas):
    other = PatientFactory(clinic=personas.clinic, label="Ada Quillfeather")
    invited = Invitation.objects.create(
        clinic=personas.clinic,
        email="tracker@example.org",
        role="viewer",
        invited_by=personas.admin,
        accepted_at=timezone.now(),
    )
    services.ask_for_account(user=personas.self_tracker)
    assert let_the_days_pass() == 1
    assert Patient.objects.filter(pk=other.pk).exists()
    assert not Invitation.objects.filter(pk=invited.pk).exists()
    (said,) = [one for one in Erasure.objects.get().receipt["kept"] if "others with" in one["what"]]
    assert said["count"] == 1
    assert found() == []


def test_a_name_that_others_wrote_anywhere_does_not_keep_it_from_ending(personas, settings):
    settings.RETENTION_YEARS = 0
    Patient.objects.filter(pk=personas.patient.pk).update(label="Quillfeather")
    User.objects.filter(pk=personas.viewer.pk).update(last_name="Quillfeather")
    account_services.create_api_key(user=personas.admin, name="For Quillfeather")
    mark = ChangeMarkFactory(note="As with Quillfeather.")
    image, now, user = mark.comparison.later, timezone.now(), mark.marked_by
    AlertFactory(
        later=image,
        close_reason="Quillfeather again.",
        closed_at=now,
        closed_by=user,
    )
    LesionImage.objects.filter(pk=image.pk).update(
        withdrawn_at=now, withdrawn_by=user, withdrawn_because="Of Quillfeather."
    )
    erase_patient(personas)
    erasure = Erasure.objects.get()
    assert erasure.state == ErasureState.ERASED
    (said,) = [one for one in erasure.receipt["kept"] if "others with" in one["what"]]
    assert said["count"] == 5


WRITTEN_BY_THE_SOFTWARE = {
    "accounts.Invitation",
    "accounts.UsedAssertion",
    "screening.Adoption",
    "screening.Announcement",
    "screening.AuditEntry",
    "screening.AuditPart",
    "screening.Heartbeat",
    "screening.AuditSegment",
    "screening.CalendarFeed",
    "screening.Comparison",
    "screening.Delivery",
    "screening.DeliveryAttempt",
    "screening.DicomDelivery",
    "screening.Erasure",
    "screening.Export",
    "screening.IdempotentRequest",
    "screening.LesionPosition",
    "screening.Measurement",
    "screening.Outline",
    "screening.Prediction",
    "screening.PredictionMaps",
    "screening.ReviewSeal",
}
"""Expires with the address, as invitations do, or after days, as responses do."""


def test_each_table_with_text_is_known_to_be_written_by_people_or_not():
    with_text = {
        model._meta.label
        for label in ("accounts", "screening")
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not (field.choices or field.primary_key)
        and (field.max_length or 999) >= 30
    }
    by_people = {one.removesuffix(".") for one in eraser.WRITTEN_BY_OTHERS}
    assert with_text == by_people | WRITTEN_BY_THE_SOFTWARE


def test_the_address_goes_after_a_week_even_if_no_mail_is_taken(leaving, personas, monkeypatch):
    services.ask_for_account(user=personas.self_tracker)
    monkeypatch.setattr(receipts, "mail", lambda erasure: False)
    let_the_days_pass()
    assert Erasure.objects.get().mail_to == "tracker@example.org"
    Erasure.objects.update(erased_at=timezone.now() - timedelta(days=8))
    eraser.erase_due()
    assert Erasure.objects.get().mail_to == ""


# Search


def plant(where: str, world: Any, personas: Any) -> None:
    """Leave a trace of what is erased."""
    lesion = LesionFactory(patient=personas.patient)
    if where == "text":
        lesion.notes = f"moved from {world.lesion.pk}"
        lesion.save()
    elif where == "a name":
        lesion.notes = "Asked by Ada  QUILLFEATHER."
        Lesion.objects.filter(pk=lesion.pk).update(
            notes=lesion.notes, created=timezone.now() - timedelta(days=1)
        )
    elif where == "an address":
        Invitation.objects.create(
            clinic=personas.clinic,
            email="tracker@example.org",
            role="viewer",
            invited_by=personas.admin,
            created=timezone.now() - timedelta(days=1),
        )
    elif where == "json":
        PredictionFactory(image__lesion=lesion, context={"of": [world.image.pk.hex]})
    elif where == "a digest":
        LesionImageFactory(lesion=lesion, sha256=world.image.sha256)
    elif where == "binary":
        IdempotentRequest.objects.create(
            caller="k",
            key="k",
            fingerprint="f",
            locked_until=timezone.now(),
            body=b'\x00{"id":"' + str(world.patient.pk).encode(),
        )
    elif where == "a key":
        IdempotentRequest.objects.create(
            pk=world.prediction.pk,
            caller="k",
            key="k",
            fingerprint="f",
            locked_until=timezone.now(),
        )
    elif where == "a file's name":
        default_storage.save(world.image.file.name, ContentFile(b"x"))
    elif where == "a file":
        default_storage.save("ab/other.jpg", ContentFile(world.data))
    elif where == "an archive":
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("1.jpg", world.data)
        default_storage.save("batches/other", ContentFile(buffer.getvalue()))


PLACES = [
    "text",
    "a name",
    "an address",
    "json",
    "a digest",
    "binary",
    "a key",
    "a file's name",
    "a file",
    "an archive",
]


@pytest.mark.parametrize("where", PLACES)
def test_a_planted_trace_is_found(leaving, personas, where):
    image = leaving.image
    LesionImage.objects.filter(pk=image.pk).update(sha256="5" * 63 + "a")
    image.refresh_from_db()
    image.file.delete(save=False)
    image.file.save("image.jpg", ContentFile(b"the only one"), save=False)
    LesionImage.objects.filter(pk=image.pk).update(file=image.file.name)
    world = _with(leaving, data=b"the only one")
    services.ask_for_account(user=personas.self_tracker)
    let_the_days_pass()
    assert list(traces.Search()) == []
    out = StringIO()
    call_command("verify_erasure", stdout=out)
    assert "No trace" in out.getvalue()
    plant(where, world, personas)
    assert list(traces.Search())
    error = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_erasure", stderr=error)
    assert error.getvalue()


def _with(world: Any, **more: Any) -> Any:
    class Seen:
        pass

    seen = Seen()
    vars(seen).update({**vars(world), **more})
    return seen


def test_a_later_person_of_the_same_name_is_no_trace(leaving, personas):
    services.ask_for_account(user=personas.self_tracker)
    let_the_days_pass()
    PatientFactory(clinic=personas.clinic, label="Ada Quillfeather")
    assert found() == []


def test_digests_of_names_need_the_key(leaving, personas, settings):
    services.ask_for_account(user=personas.self_tracker)
    let_the_days_pass()
    names = {row.digest for row in Trace.objects.filter(kind=Trace.Kind.NAME)}
    assert traces.of_name("tracker@example.org") in names
    assert traces.of_name("tracker@example.org", "another key") not in names
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key"
    plant("an address", leaving, personas)
    assert list(traces.Search())


# Backups


def test_the_commands_erase_again_what_a_backup_brought_back(leaving, personas, tmp_path):
    patient = leaving.patient
    label, owner = patient.label, personas.stranger
    services.ask_for_account(user=personas.self_tracker)
    let_the_days_pass()
    out = StringIO()
    call_command("erase", "--list", stdout=out)
    assert set(out.getvalue().split()) >= {
        traces.of_identifier(one.pk.hex) for one in (patient, personas.self_tracker)
    }
    assert Trace.objects.filter(pk__in=out.getvalue().split()).exclude(kind="user").exists()
    listed = tmp_path / "erased"
    listed.write_text(out.getvalue())
    PatientFactory(pk=patient.pk, clinic=None, owner=owner, label=label)
    assert found()
    out = StringIO()
    call_command("erase", "--again", str(listed), stdout=out)
    assert "1 erased again" in out.getvalue()
    assert not Patient.everything.filter(pk=patient.pk).exists()
    assert found() == []
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("erase", "--again", str(tmp_path / "none"))


def test_a_command_checks_a_receipt(leaving, personas, tmp_path):
    services.ask_for_account(user=personas.self_tracker)
    let_the_days_pass()
    receipt, path = Erasure.objects.get().receipt, tmp_path / "receipt.json"
    path.write_text(receipts.as_json(receipt))
    out = StringIO()
    call_command("verify_erasure", "--receipt", str(path), stdout=out)
    assert "This site signed" in out.getvalue()
    for wrong in (json.dumps({**receipt, "erased": {}}), "[]", "{}"):
        path.write_text(wrong)
        with pytest.raises(CommandError, match="did not sign"):
            call_command("verify_erasure", "--receipt", str(path))
    path.write_text("{")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_erasure", "--receipt", str(path))


def test_a_restored_record_is_erased_again(leaving, personas):
    digest = traces.of_identifier(leaving.patient.pk.hex)
    staying = Membership.objects.count()
    assert eraser.erase_again([digest]) == 1
    assert not Patient.everything.filter(pk=leaving.patient.pk).exists()
    assert Membership.objects.count() == staying
    assert eraser.erase_again([digest]) == 0
    assert eraser.erase_again([traces.of_identifier(personas.self_tracker.pk.hex)]) == 1
    assert personas.self_tracker.pk.hex not in all_text()
