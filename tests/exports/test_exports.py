"""Exports: requested, built, announced by mail, downloaded and removed; and by whom."""

from __future__ import annotations

import os
import re
import tracemalloc
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils import timezone

from accounts import agreements
from accounts import services as account_services
from accounts.models import Membership
from screening import sweeper
from screening.corrections import services as corrections
from screening.exports import archive, emails, services, worker
from screening.images import quota
from screening.models import MAX_ATTEMPTS, Export
from screening.operations import orphans
from screening.predictions import queue
from tests.clients import Browser, Program
from tests.exports.conftest import file_of, made
from tests.factories import (
    ExportFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
)
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db
State = Export.State


@pytest.fixture
def tracker(personas):
    client = Browser()
    client.force_login(personas.self_tracker)
    return client


def fetched(response) -> bytes:
    return response.getvalue() if response.streaming else response.content


def late(client) -> None:
    """The log-in was an hour ago."""
    session = client.session
    for one in session["account_authentication_methods"]:
        one["at"] -= 3600
    session.save()


def test_a_person_downloads_everything(personas, own, tracker, mailoutbox):
    asked = tracker.post(reverse("account_export"))
    page = tracker.get(asked["Location"])
    assert "Waiting" in page.text
    assert "data-poll" in page.text
    assert worker.work()
    page = tracker.get(asked["Location"])
    assert "Ready" in page.text
    assert "data-poll" not in page.text
    (mail,) = mailoutbox
    assert mail.to == [personas.self_tracker.email]
    link = re.search(r"/exports/fetch/\S+", mail.body)[0]
    data = fetched(tracker.get(link))
    assert data.startswith(b"PK")
    assert data == fetched(tracker.get(reverse("export_file", args=[Export.objects.get().pk])))


def test_the_mail_holds_no_finding(personas, own, mailoutbox):
    made(personas.self_tracker)
    (mail,) = mailoutbox
    words = f"{mail.subject} {mail.body}".lower()
    for word in ("shoulder", "melanoma", "lesion", "skin", "urgent", "my skin"):
        assert word not in words.replace("skincheck", "")


def test_the_link_asks_for_a_log_in_and_is_for_one_person(personas, own, mailoutbox):
    export = made(personas.self_tracker)
    link = re.search(r"/exports/fetch/\S+", mailoutbox[0].body)[0]
    assert "/accounts/login/" in Browser().get(link)["Location"]
    other = Browser()
    other.force_login(personas.admin)
    assert other.get(link).status_code == 404
    person = Browser()
    person.force_login(personas.self_tracker)
    assert person.get(link[:-3] + "x/").status_code == 404
    late(person)
    assert "reauthenticate" in person.get(link)["Location"]
    Export.objects.filter(pk=export.pk).update(expires_at=timezone.now())
    person.force_login(personas.self_tracker)
    assert person.get(link).status_code == 404


def test_asking_needs_a_recent_log_in(personas, tracker):
    late(tracker)
    assert "reauthenticate" in tracker.post(reverse("account_export"))["Location"]
    assert not Export.objects.exists()
    assert tracker.post("/api/v1/exports/", "{}", "application/json").status_code == 403
    assert not Export.objects.exists()


def test_a_second_request_joins_the_first_and_a_new_file_ends_the_old(personas, own, media):
    user = personas.self_tracker
    assert services.request_export(user=user) == services.request_export(user=user)
    assert worker.work()
    first = Export.objects.get()
    second = made(user)
    first.refresh_from_db()
    assert (first.state, first.file.name) == (State.ENDED, "")
    assert [path.name for path in (media / "exports").iterdir()] == [
        Path(str(second.file.name)).name
    ]


@pytest.mark.parametrize("of_account", [True, False])
def test_files_have_a_quota_beside_the_records(
    personas, own, of_clinic, settings, media, of_account
):
    user = personas.self_tracker if of_account else personas.admin
    patient = None if of_account else personas.patient
    setting = "ACCOUNT_STORAGE_MB" if of_account else "CLINIC_STORAGE_MB"
    size = made(user, patient).file_bytes
    setattr(settings, setting, 1.5 * size / 10**6)
    assert made(user, patient).state == State.READY  # it replaces the one before
    ExportFactory(
        requested_by=user,
        patient=personas.own_patient if of_account else PatientFactory(clinic=personas.clinic),
        ready=True,
        file_bytes=size,
    )
    files = list((media / "exports").iterdir())
    refused = services.request_export(user=user, patient=patient)
    assert worker.work()
    refused.refresh_from_db()
    assert refused.state == State.FAILED
    assert "Remove one" in refused.failure
    assert list((media / "exports").iterdir()) == files
    used = quota.of_account(user.pk) if of_account else quota.of_clinic(personas.clinic.pk)
    assert used.used < size  # downloads keep no picture out


def test_nobody_keeps_the_workers_busy(personas, tracker):
    ExportFactory.create_batch(services.A_DAY, requested_by=personas.self_tracker, state="ended")
    page = tracker.post(reverse("account_export"), follow=True)
    assert "Too many for one day" in page.text
    assert not worker.has_work()


def test_only_admins_export_a_clinics_patient(personas, of_clinic):
    for user in (personas.clinician, personas.assistant, personas.viewer, personas.colleague):
        with pytest.raises(PermissionDenied):
            services.request_export(user=user, patient=personas.patient)
    made(personas.admin, personas.patient)


def test_a_member_removed_meanwhile_gets_nothing(personas, of_clinic):
    export = made(personas.admin, personas.patient)
    waiting = services.request_export(user=personas.admin, patient=personas.patient)
    client = Browser()
    client.force_login(personas.admin)
    path = reverse("export_file", args=[export.pk])
    assert fetched(client.get(path)).startswith(b"PK")
    (entry,) = entries(what="export_file")
    assert (entry.act, entry.actor) == ("read", personas.admin.pk)
    assert entry.details["patients"] == [str(personas.patient.pk)]
    Membership.objects.filter(user=personas.admin).update(role="clinician")
    assert client.get(path).status_code == 404
    assert client.get(reverse("export", args=[export.pk])).status_code == 404
    assert worker.work()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.failure) == (State.FAILED, worker.NOT_YOURS)


def test_a_record_that_changed_hands_is_fetched_no_more(personas, own):
    export = made(personas.self_tracker)
    client = Browser()
    client.force_login(personas.self_tracker)
    path = reverse("export_file", args=[export.pk])
    assert fetched(client.get(path)).startswith(b"PK")
    personas.own_patient.owner = personas.stranger
    personas.own_patient.save()
    assert client.get(path).status_code == 404


def test_who_reviews_blind_concludes_first(personas, of_clinic):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    PredictionFactory(image=LesionImageFactory(lesion=of_clinic.lesion))
    with pytest.raises(ValidationError, match="Conclude on them first"):
        services.request_export(user=personas.admin, patient=personas.patient)
    client = Browser()
    client.force_login(personas.admin)
    page = client.get(reverse("patient_export", args=[personas.patient.pk]))
    assert "Conclude on them first" in page.text


def test_who_agrees_no_longer_still_takes_their_data_along(personas, own, tracker):
    agreements.agree(user=personas.self_tracker)
    tracker.post(reverse("agreement_withdraw"))
    assert tracker.get(reverse("patients"))["Location"] == reverse("agree")
    assert reverse("account_export") in tracker.get(reverse("agree")).text
    asked = tracker.post(reverse("account_export"))
    assert worker.work()
    assert "Ready" in tracker.get(asked["Location"]).text
    export = Export.objects.get()
    assert fetched(tracker.get(reverse("export_file", args=[export.pk]))).startswith(b"PK")


def test_a_key_of_a_clinic_exports_its_patients_only(personas, of_clinic):
    _, secret = account_services.create_api_key(
        user=personas.admin,
        name="k",
        clinic=personas.clinic,
        scopes=["exports:read", "exports:write"],
    )
    program = Program(secret)
    assert program.post("/api/v1/exports/", {}, format="json").status_code == 403
    sent = program.post("/api/v1/exports/", {"patient": str(personas.patient.pk)}, format="json")
    assert sent.status_code == 202
    assert worker.work()
    shown = program.get(sent["Location"]).json()
    assert (shown["state"], shown["steps_done"]) == ("ready", shown["steps"])
    assert fetched(program.get(shown["file_url"])).startswith(b"PK")
    made(personas.admin)
    assert program.get("/api/v1/exports/").json()["results"] == [
        program.get(sent["Location"]).json()
    ]


def test_a_transient_error_is_tried_again_and_counts_no_attempt(personas, own, monkeypatch):
    export = services.request_export(user=personas.self_tracker)
    with monkeypatch.context() as patched:
        patched.setattr(default_storage, "save", _away)
        patched.setattr(type(default_storage._wrapped), "save", _away)
        assert worker.work()
    export.refresh_from_db()
    assert (export.state, export.attempts, export.setbacks) == (State.QUEUED, 0, 1)
    assert not worker.work()  # it rests
    Export.objects.update(rests_until=None)
    assert worker.work()
    export.refresh_from_db()
    assert export.state == State.READY


def _away(*_: object, **__: object) -> None:
    raise ConnectionError


def test_a_poisonous_one_ends_and_holds_up_nobody(personas, own, of_clinic, monkeypatch):
    poisoned = services.request_export(user=personas.self_tracker)
    healthy = services.request_export(user=personas.admin, patient=personas.patient)
    real = archive.plan

    def plan(export):
        if export.pk == poisoned.pk:
            raise ZeroDivisionError
        return real(export)

    monkeypatch.setattr(archive, "plan", plan)
    assert worker.work()
    assert worker.work()
    healthy.refresh_from_db()
    assert healthy.state == State.READY
    for _ in range(MAX_ATTEMPTS):
        Export.objects.update(rests_until=None)
        worker.work()
    poisoned.refresh_from_db()
    assert (poisoned.state, poisoned.failure) == (State.FAILED, worker.BUG)
    assert not worker.has_work()


def test_a_lost_worker_is_replaced_and_cannot_finish_later(personas, own):
    export = services.request_export(user=personas.self_tracker)
    lost = worker.claim(export.pk)
    assert worker.claim(export.pk) is None
    Export.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    worker.sweep()
    assert worker.work()
    worker.make(lost)
    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.READY, 2)
    files = default_storage.listdir("exports")[1]
    assert files == [Path(str(export.file.name)).name]


def test_one_that_kills_its_worker_each_time_fails(personas, own):
    export = services.request_export(user=personas.self_tracker)
    for _ in range(MAX_ATTEMPTS):
        assert worker.claim(export.pk)
        Export.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        worker.sweep()
    export.refresh_from_db()
    assert (export.state, export.failure) == (State.FAILED, worker.NEVER_FINISHED)


def test_a_correction_meanwhile_begins_it_anew(personas, own, monkeypatch):
    export = services.request_export(user=personas.self_tracker)
    real = archive._write_pictures

    def move(*args):
        corrections.withdraw(user=personas.self_tracker, record=own.image, reason="A slip.")
        real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(archive, "_write_pictures", move)
        assert worker.work()
    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.QUEUED, 0)
    Export.objects.update(rests_until=None)
    assert worker.work()
    export.refresh_from_db()
    assert export.state == State.READY


def test_people_who_wait_are_read_for_between_files(personas, own, monkeypatch):
    asked = []
    monkeypatch.setattr(queue, "read_for_someone", lambda: asked.append(1) and False)
    made(personas.self_tracker)
    assert len(asked) > 20


def test_the_sweep_finds_it_without_a_broker_and_removes_old_files(
    personas, own, media, monkeypatch
):
    monkeypatch.setattr(sweeper, "close_old_connections", lambda: None)  # the test's own
    services.request_export(user=personas.self_tracker)
    sweeper.sweep_once()  # no worker is alive
    export = Export.objects.get()
    assert export.state == State.READY
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    sweeper.sweep_once()
    export.refresh_from_db()
    assert (export.state, export.file.name) == (State.ENDED, "")
    assert not list((media / "exports").iterdir())


def test_a_file_without_a_row_is_an_orphan(personas, own, media):
    export = made(personas.self_tracker)
    name = str(export.file.name)
    os.utime(media / name, (0, 0))
    assert name not in list(orphans.found())
    Export.objects.all().delete()
    assert list(orphans.found()) == [name]


def test_nginx_sends_a_local_file(personas, own, tracker, settings):
    settings.MEDIA_ACCEL_PREFIX, settings.ENCRYPT_AT_REST = "/protected/", False
    export = made(personas.self_tracker)
    response = tracker.get(reverse("export_file", args=[export.pk]))
    assert response["X-Accel-Redirect"] == f"/protected/{export.file.name}"
    assert response["Content-Disposition"].startswith("attachment")


def test_a_file_on_s3_is_streamed_by_ranges(personas, own, tracker, monkeypatch):
    export = made(personas.self_tracker)
    data = file_of(export).getvalue()

    class Stored:
        content_length = len(data)

        def get(self, Range):
            first, last = map(int, Range.removeprefix("bytes=").split("-"))
            return {"Body": BytesIO(data[first : last + 1])}

    bucket = SimpleNamespace(Object=lambda name: Stored())
    monkeypatch.setattr(default_storage._wrapped, "bucket", bucket, raising=False)
    assert fetched(tracker.get(reverse("export_file", args=[export.pk]))) == data


def test_a_mail_that_was_not_taken_is_sent_later(personas, own, monkeypatch, mailoutbox):
    with monkeypatch.context() as patched:
        patched.setattr(emails, "deliver", lambda *_: False)
        export = made(personas.self_tracker)
    emails.send_waiting()
    assert not mailoutbox  # not at once
    Export.objects.update(mailing_since=timezone.now() - emails.LEASE - timedelta(seconds=1))
    emails.send_waiting()
    emails.send_waiting()
    assert len(mailoutbox) == 1
    export.refresh_from_db()
    assert export.mailed_at


def test_a_person_removes_the_file(personas, own, tracker, media):
    export = made(personas.self_tracker)
    tracker.post(reverse("export_remove", args=[export.pk]))
    assert not list((media / "exports").iterdir())
    assert tracker.get(reverse("export_file", args=[export.pk])).status_code == 404
    waiting = ExportFactory(requested_by=personas.self_tracker)
    with pytest.raises(ValidationError):
        services.remove(user=personas.self_tracker, export=waiting)
    with pytest.raises(PermissionDenied):
        services.remove(user=personas.admin, export=export)


@pytest.mark.any_database
def test_memory_does_not_grow_with_the_pictures(personas, own):
    """Pictures are read in parts, and the file is written to disk."""

    def peak() -> int:
        tracemalloc.start()
        made(personas.self_tracker)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak()  # what is imported on first use
    few = peak()
    for seed in range(8):
        large = LesionImageFactory(lesion=own.lesion)
        large.file.save("large.jpg", ContentFile(bytes([seed]) * 5_000_000), save=True)
        corrections.withdraw(user=personas.self_tracker, record=large, reason="Not skin.")
    assert peak() < few + 3_000_000
