"""The write path: permissions, rejections, and atomicity."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from ml import reader
from screening import tasks
from screening.images import duplicates
from screening.images import services as image_services
from screening.models import (
    DoctorVisit,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
    Review,
    State,
)
from screening.predictions import outcomes
from screening.predictions import services as prediction_services
from screening.records import services as record_services
from screening.records import visits
from screening.reviews import services as review_services
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory, picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient)


@pytest.fixture
def rung():
    with mock.patch.object(tasks.read_prediction_task, "apply_async") as send:
        yield send


def stored_files(settings):
    return [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


def add(user, lesion, seed=0, **fields):
    return image_services.add_image(user=user, lesion=lesion, file=BytesIO(picture(seed)), **fields)


@pytest.mark.parametrize("persona", ["admin", "clinician", "assistant"])
def test_members_who_write_register_patients(personas, persona):
    user = getattr(personas, persona)
    patient = record_services.register_patient(user=user, clinic=personas.clinic, label=" N-2 ")
    assert (patient.clinic, patient.owner, patient.label) == (personas.clinic, None, "N-2")


@pytest.mark.parametrize("persona", ["viewer", "colleague", "stranger", "self_tracker"])
def test_others_do_not(personas, persona):
    with pytest.raises(PermissionDenied):
        record_services.register_patient(
            user=getattr(personas, persona), clinic=personas.clinic, label="N-2"
        )


def test_someone_without_a_clinic_keeps_a_record_of_their_own(personas):
    patient = record_services.register_patient(user=personas.stranger, label="My skin")
    assert (patient.clinic, patient.owner) == (None, personas.stranger)
    assert not Patient.objects.visible_to(personas.clinician).contains(patient)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 81}, "label"),
        ({"label": "ok", "birth_year": 12}, "birth_year"),
        ({"label": "ok", "sex": "f"}, "sex"),
        ({"label": "ok", "skin_type": "VII"}, "skin_type"),
        ({"label": "N-1"}, "__all__"),
    ],
)
def test_bad_fields_are_refused_with_a_word_on_each(personas, fields, at):
    with pytest.raises(ValidationError) as refusal:
        record_services.register_patient(user=personas.clinician, clinic=personas.clinic, **fields)
    assert at in refusal.value.message_dict


def test_a_field_that_may_not_be_set_is_a_mistake_in_the_code(personas):
    with pytest.raises(TypeError, match="owner"):
        record_services.edit_patient(user=personas.clinician, patient=personas.patient, owner=None)


def test_a_lesion_without_a_label_is_numbered(personas):
    first = record_services.open_lesion(user=personas.assistant, patient=personas.patient)
    second = record_services.open_lesion(
        user=personas.assistant, patient=personas.patient, label=""
    )
    assert (first.label, second.label) == ("Lesion 1", "Lesion 2")


def test_on_ones_own_record_it_is_a_spot_by_number(personas):
    own = personas.own_patient
    opened = record_services.open_lesion(user=personas.self_tracker, patient=own)
    assert opened.label == "Spot 1"


@pytest.mark.parametrize("persona", ["viewer", "colleague", "stranger", "self_tracker"])
def test_nothing_of_a_patient_is_changed_by_those_who_may_not(
    personas, lesion, persona, settings, rung
):
    user = getattr(personas, persona)
    image = LesionImageFactory(lesion=lesion)
    before = stored_files(settings)
    calls = (
        lambda: record_services.edit_patient(user=user, patient=personas.patient, label="mine"),
        lambda: record_services.open_lesion(user=user, patient=personas.patient),
        lambda: record_services.edit_lesion(user=user, lesion=lesion, label="mine"),
        lambda: add(user, lesion),
        lambda: prediction_services.request_prediction(user=user, image=image),
        lambda: review_services.record_review(
            user=user, image=image, conclusion="nv", management="none"
        ),
    )
    for call in calls:
        with pytest.raises(PermissionDenied):
            call()
    assert stored_files(settings) == before
    assert (Lesion.objects.count(), LesionImage.objects.count()) == (1, 1)
    assert not Prediction.objects.exists()
    assert not Review.objects.exists()


def test_an_image_is_kept_and_its_reading_queued(
    personas, lesion, rung, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        image, is_new, _ = add(personas.assistant, lesion, captured_on=date(2026, 2, 1))
        rung.assert_not_called()
    prediction = image.predictions.get()
    rung.assert_called_once_with((str(prediction.pk),), queue="interactive")
    assert is_new
    assert prediction.state == State.QUEUED
    assert prediction.model_version == reader.DEFAULT_VERSION
    assert image.file.storage.exists(image.file.name)
    assert image.thumbnail.storage.exists(image.thumbnail.name)


def test_the_same_picture_is_recognised(personas, lesion, rung, settings):
    first = add(personas.assistant, lesion).image
    again, is_new, _ = add(personas.clinician, lesion, captured_on=date(2026, 2, 1))
    assert (again, is_new) == (first, False)
    assert Prediction.objects.count() == 1
    assert len(stored_files(settings)) == 2


def test_two_uploads_of_one_picture_at_one_moment_make_one_image(personas, lesion, rung, settings):
    first = add(personas.assistant, lesion).image
    unseen = mock.Mock(first=lambda: None)
    with mock.patch.object(type(lesion.images), "filter", return_value=unseen):
        again, is_new, _ = add(personas.assistant, lesion)
    assert (again, is_new) == (first, False)
    assert len(stored_files(settings)) == 2


def test_the_same_picture_on_another_lesion_is_told_before_it_is_stored(personas, lesion, settings):
    first = add(personas.assistant, lesion).image
    files = stored_files(settings)
    other = LesionFactory(patient=personas.patient)
    with pytest.raises(duplicates.SamePicture, match=f"already on “{lesion}”") as told:
        add(personas.assistant, other)
    assert told.value.image == first
    assert stored_files(settings) == files
    assert add(personas.assistant, other, allow_duplicate=True).is_new


def test_the_same_picture_is_told_to_nobody_who_does_not_see_it(personas, lesion):
    add(personas.assistant, lesion)
    assert add(personas.colleague, LesionFactory(patient__clinic=_clinic_of(personas))).is_new


def _clinic_of(personas):
    return personas.colleague.memberships.get().clinic


def test_a_bad_file_leaves_nothing_behind(personas, lesion, settings):
    with pytest.raises(ValidationError) as refusal:
        image_services.add_image(
            user=personas.assistant, lesion=lesion, file=BytesIO(b"no picture")
        )
    assert "JPEG" in refusal.value.message_dict["file"][0]
    assert not LesionImage.objects.exists()
    assert stored_files(settings) == []


def test_a_failure_half_way_leaves_nothing_behind(personas, lesion, settings):
    with (
        mock.patch.object(Prediction.objects, "create", side_effect=OSError("disk full")),
        pytest.raises(OSError, match="disk full"),
    ):
        add(personas.assistant, lesion)
    assert not LesionImage.objects.exists()
    assert stored_files(settings) == []


def test_a_broker_that_is_down_loses_no_image(
    personas, lesion, rung, django_capture_on_commit_callbacks
):
    rung.side_effect = ConnectionError("no broker")
    with django_capture_on_commit_callbacks(execute=True):
        image = add(personas.assistant, lesion).image
    assert image.predictions.get().state == State.QUEUED


@pytest.mark.parametrize("day", [timezone.localdate() + timedelta(days=3), date(1901, 1, 1)])
def test_the_day_of_capture_must_be_possible(personas, lesion, day):
    with pytest.raises(ValidationError) as refusal:
        add(personas.assistant, lesion, captured_on=day)
    assert "captured_on" in refusal.value.message_dict


def test_an_unknown_modality_is_refused(personas, lesion, settings):
    with pytest.raises(ValidationError) as refusal:
        add(personas.assistant, lesion, modality="x-ray")
    assert "modality" in refusal.value.message_dict
    assert stored_files(settings) == []


def test_reading_again_is_queued_once(personas, lesion, rung):
    image = PredictionFactory(image__lesion=lesion, failed=True).image
    first = prediction_services.request_prediction(user=personas.assistant, image=image)
    assert prediction_services.request_prediction(user=personas.assistant, image=image) == first
    assert image.predictions.count() == 2


class TestSaidMeanwhile:
    """An act that came first, while another waited for the lesion, did not know of the other."""

    @pytest.fixture
    def own(self, personas):
        return LesionFactory(patient=personas.own_patient)

    @pytest.fixture
    def meanwhile(self, monkeypatch, personas, own):
        """A visit is recorded by another, who held the lesion before."""

        def hold(lesion):
            monkeypatch.undo()
            visits.record_visit(
                user=personas.self_tracker,
                lesion=own,
                visited_on=timezone.localdate(),
                finding="harmless",
            )
            record_services.hold(lesion)

        monkeypatch.setattr(record_services, "hold", hold)
        monkeypatch.setattr(image_services, "hold", hold)

    def told(self, lesion, user):
        found = outcomes.with_standing(Lesion.objects.filter(pk=lesion.pk), user)
        return outcomes.of_rank(found.get().standing_rank)

    def test_of_a_picture(self, personas, own, meanwhile):
        image = add(personas.self_tracker, own).image
        Prediction.objects.all().delete()
        PredictionFactory(image=image, outcome="urgent")
        assert DoctorVisit.objects.count() == 1
        assert self.told(own, personas.self_tracker) == "urgent"

    def test_of_a_symptom(self, personas, own, meanwhile):
        record_services.edit_lesion(user=personas.self_tracker, lesion=own, bleeding=True)
        assert DoctorVisit.objects.count() == 1
        assert self.told(own, personas.self_tracker) == "see_doctor"

    def test_of_a_symptom_that_was_unticked(self, personas, own):
        me = personas.self_tracker
        record_services.edit_lesion(user=me, lesion=own, bleeding=True)
        seen = Lesion.objects.get(pk=own.pk)
        day = timezone.localdate()
        visits.record_visit(user=me, lesion=own, visited_on=day, finding="harmless")
        record_services.edit_lesion(user=me, lesion=own, bleeding=False)
        record_services.edit_lesion(user=me, lesion=seen, bleeding=True)
        assert self.told(own, me) == "see_doctor"
