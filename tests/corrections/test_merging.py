"""Duplicates are merged, and split again."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from screening.corrections import merges, moves, services
from screening.corrections.presenters import in_words
from screening.corrections.queries import is_corrected, leads_to, of_lesion, of_patient
from screening.corrections.undo import undo
from screening.models import (
    Alert,
    Correction,
    ExternalIdentifier,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
    Reminder,
)
from screening.predictions import outcomes
from screening.records import services as record_services
from tests.factories import (
    AlertFactory,
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
)


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient, label="Twice", body_site="")


@pytest.fixture
def into(personas):
    return LesionFactory(patient=personas.patient, label="Once", body_site="")


def merge(user, lesion, into):
    return merges.merge_lesions(
        user=user, lesion=lesion, into=into, reason="The same spot.", acknowledged=True
    )


class TestMergeLesions:
    def test_all_that_was_of_the_one_is_of_the_other(self, personas, lesion, into):
        image = LesionImageFactory(lesion=lesion)
        alert = AlertFactory(later=image)
        review, reading = ReviewFactory(image=image), PredictionFactory(image=image)
        histology = HistologyFactory(lesion=lesion)
        position = LesionPositionFactory(lesion=lesion)
        visit = DoctorVisitFactory(lesion=lesion, recorded_by=personas.admin)
        reminder = ReminderFactory(lesion=lesion)
        identifier = ExternalIdentifier.objects.create(
            clinic=personas.clinic, kind="lesion", lesion=lesion, system="urn:x", value="1"
        )
        merge(personas.assistant, lesion, into)
        for row in (alert, histology, position, visit, reminder, identifier):
            row.refresh_from_db()
            assert row.lesion == into
        assert set(into.images.all()) == {image, alert.earlier}
        image.refresh_from_db()
        assert list(image.reviews.all()) == [review]
        assert reading in image.predictions.all()
        assert Alert.objects.get() == alert
        lesion.refresh_from_db()
        assert lesion.is_withdrawn
        assert lesion.merged_into == into
        assert not Lesion.objects.filter(pk=lesion.pk).exists()

    def test_what_was_read_or_reviewed_goes_along_knowingly(self, personas, lesion, into):
        image = LesionImageFactory(lesion=lesion)
        two = {"user": personas.admin, "lesion": lesion, "into": into}
        PredictionFactory(image=image)
        with pytest.raises(ValidationError, match=r"1 reading here\. Confirm"):
            merges.merge_lesions(**two)
        merges.merge_lesions(**two, acknowledged=True)
        added = LesionImageFactory(lesion=into)
        ReviewFactory(image=image)
        with pytest.raises(ValidationError) as refused:
            services.restore(user=personas.admin, record=lesion)
        (text,) = refused.value.message_dict["acknowledged"]
        assert "1 conclusion here" in text  # the reading came with it
        assert "1 picture that came with it, or came since" in text
        services.restore(user=personas.admin, record=lesion, acknowledged=True)
        assert lesion.images.get() == image
        assert into.images.get() == added

    def test_its_address_leads_to_the_other_even_by_a_detour(self, personas, lesion, into):
        third = LesionFactory(patient=personas.patient)
        merge(personas.admin, lesion, into)
        merge(personas.admin, into, third)
        assert leads_to(Lesion, lesion.pk, personas.viewer) == third
        assert leads_to(Lesion, lesion.pk, personas.stranger) is None
        assert leads_to(Lesion, third.pk, personas.viewer) is None
        fourth = LesionFactory(patient=personas.patient)
        merge(personas.admin, third, fourth)
        history = of_lesion(fourth, personas.viewer)
        assert {one.lesion for one in history} == {lesion, into, third}
        assert Lesion.objects.filter(is_corrected(Lesion, personas.viewer)).get() == fourth

    def test_every_symptom_stays_marked(self, personas, lesion, into):
        Lesion.objects.filter(pk=lesion.pk).update(bleeding=True)
        Lesion.objects.filter(pk=into.pk).update(raised=True)
        merged = merge(personas.admin, lesion, into)
        assert merged.symptoms == ["raised", "bleeding"]
        assert merged.symptoms_at is not None

    def test_it_is_closed_only_if_both_were(self, personas, lesion, into):
        closed = {
            "closed_on": date(2026, 1, 1),
            "closed_because": "excised",
            "closed_by": personas.admin,
        }
        Lesion.objects.filter(pk=into.pk).update(**closed)
        assert not merge(personas.admin, lesion, into).is_closed

    def test_what_is_not_said_is_taken_over(self, personas, lesion, into):
        Lesion.objects.filter(pk=lesion.pk).update(body_site="ear", notes="Since 2020.")
        image = LesionImageFactory(lesion=into)
        PredictionFactory(image=image, context={"age": 66.0, "sex": "female", "localization": None})
        merged = merge(personas.admin, lesion, into)
        assert merged.body_site == "ear"
        assert "Since 2020." in merged.notes
        assert Prediction.objects.active().get().image == image

    def test_notes_are_not_lost_that_are_too_long_together(self, personas, lesion, into):
        for one in (lesion, into):
            Lesion.objects.filter(pk=one.pk).update(notes=one.label * 500)
        with pytest.raises(ValidationError, match="too long together"):
            merge(personas.admin, lesion, into)
        lesion.refresh_from_db()
        assert not lesion.is_withdrawn

    def test_a_picture_that_is_on_both_is_there_once(self, personas, lesion, into):
        mine = LesionImageFactory(lesion=into)
        theirs = LesionImageFactory(lesion=lesion, sha256=mine.sha256)
        ReviewFactory(image=theirs)
        merge(personas.admin, lesion, into)
        assert into.images.get() == theirs  # the one with a clinician's conclusion
        services.restore(user=personas.admin, record=lesion)
        assert lesion.images.get() == theirs
        assert into.images.get() == mine

    @pytest.mark.parametrize("is_graver_coming", [True, False])
    def test_of_a_picture_on_both_the_graver_is_kept(
        self, personas, lesion, into, is_graver_coming
    ):
        graver = LesionImageFactory(lesion=lesion if is_graver_coming else into)
        milder = LesionImageFactory(
            lesion=into if is_graver_coming else lesion, sha256=graver.sha256
        )
        PredictionFactory(image=graver, outcome="urgent")
        for _ in range(2):
            PredictionFactory(image=milder, outcome="monitor")
        merge(personas.admin, lesion, into)
        assert into.images.get() == graver

    @pytest.mark.parametrize("is_settled_coming", [True, False])
    def test_a_conclusion_goes_with_no_twin(self, personas, lesion, into, is_settled_coming):
        """Nor does it settle the warning of the other."""
        two = (lesion, into) if is_settled_coming else (into, lesion)
        settled = LesionImageFactory(lesion=two[0])
        open_one = LesionImageFactory(lesion=two[1], sha256=settled.sha256)
        for image in (settled, open_one):
            PredictionFactory(image=image, outcome="urgent")
        ReviewFactory(image=settled, conclusion="mel", management="excise")
        merge(personas.admin, lesion, into)
        assert set(into.images.all()) == {settled, open_one}
        told = outcomes.with_standing(Lesion.objects.all(), personas.admin).get()
        assert (told.standing_rank, told.awaits) == (0, "removal")
        for image in (settled, open_one):
            image.refresh_from_db()
            services.withdraw(user=personas.admin, record=image, reason="Twice")
            services.restore(user=personas.admin, record=image)
        services.restore(user=personas.admin, record=lesion, acknowledged=True)
        for image, back in zip((settled, open_one), two, strict=True):
            image.refresh_from_db()
            assert (image.lesion, image.is_twin) == (back, False)

    def test_what_people_saw_goes_with_no_twin(self, personas, lesion, into):
        mine = LesionImageFactory(lesion=into)
        theirs = LesionImageFactory(lesion=lesion, sha256=mine.sha256)
        PredictionFactory(image=mine, outcome="urgent")
        alert = AlertFactory(later=theirs, lesion=lesion)
        merge(personas.admin, lesion, into)
        assert Alert.objects.open().get() == alert

    def test_it_is_not_taken_apart_where_the_picture_was_added_again(self, personas, lesion, into):
        mine = LesionImageFactory(lesion=into)
        theirs = LesionImageFactory(lesion=lesion, sha256=mine.sha256)
        ReviewFactory(image=theirs)
        merge(personas.admin, lesion, into)
        third = LesionFactory(patient=personas.patient)
        moves.move_image(user=personas.admin, image=theirs, lesion=third, acknowledged=True)
        LesionImageFactory(lesion=into, sha256=mine.sha256)
        with pytest.raises(ValidationError, match="added again"):
            services.restore(user=personas.admin, record=lesion, acknowledged=True)

    def test_of_two_reminders_the_sooner_is_left(self, personas, lesion, into):
        ReminderFactory(lesion=lesion, interval_months=1, due_on=date(2026, 11, 1))
        ReminderFactory(lesion=into, interval_months=12, due_on=date(2027, 11, 1))
        merge(personas.admin, lesion, into)
        left = Reminder.objects.get(lesion=into)
        assert (left.interval_months, left.due_on) == (1, date(2026, 11, 1))

    def test_what_was_said_of_one_does_not_settle_the_other(self, personas, lesion, into):
        image = LesionImageFactory(lesion=into)
        histology = HistologyFactory(lesion=lesion)
        merge(personas.admin, lesion, into)
        image.refresh_from_db()
        assert image.placed_at > histology.created

    @pytest.mark.parametrize(
        ("own", "coming", "kept"),
        [("active", "active", 3), ("stopped", "active", 3), ("stopped", "stopped", 6)],
    )
    def test_one_reminder_is_left(self, personas, lesion, into, own, coming, kept):
        stopped = {"stopped": Lesion.objects.get(pk=into.pk).created, "active": None}
        ReminderFactory(lesion=into, interval_months=6, stopped_at=stopped[own])
        ReminderFactory(lesion=lesion, interval_months=3, stopped_at=stopped[coming])
        merge(personas.admin, lesion, into)
        left = Reminder.objects.visible_to(personas.admin).get()
        assert (left.lesion, left.interval_months) == (into, kept)
        assert left.is_active == ("active" in (own, coming))

    def test_of_two_patients_they_are_not_one(self, personas, lesion):
        other = LesionFactory(patient__clinic=personas.clinic)
        with pytest.raises(ValidationError, match="two patients"):
            merge(personas.admin, lesion, other)
        with pytest.raises(ValidationError, match="another spot"):
            merge(personas.admin, lesion, lesion)

    def test_not_by_who_only_looks(self, personas, lesion, into):
        for user in (personas.viewer, personas.stranger):
            with pytest.raises(PermissionDenied):
                merge(user, lesion, into)

    def test_it_is_taken_apart_again(self, personas, lesion, into):
        image = LesionImageFactory(lesion=lesion)
        mine = LesionImageFactory(lesion=into)
        histology = HistologyFactory(lesion=lesion)
        reminder = ReminderFactory(lesion=lesion)
        merge(personas.admin, lesion, into)
        third = LesionFactory(patient=personas.patient)
        merge(personas.admin, into, third)
        services.restore(user=personas.admin, record=lesion)
        assert Lesion.objects.get(pk=lesion.pk).merged_into is None
        assert lesion.images.get() == image
        assert third.images.get() == mine
        for row in (histology, reminder):
            row.refresh_from_db()
            assert row.lesion == lesion


class TestMergePatients:
    def test_all_lesions_are_of_the_other(self, personas, lesion):
        image = LesionImageFactory(lesion=lesion)
        Patient.objects.filter(pk=personas.patient.pk).update(sex="")
        to = PatientFactory(clinic=personas.clinic, birth_year=None, sex="male")
        identifier = ExternalIdentifier.objects.create(
            clinic=personas.clinic,
            kind="patient",
            patient=personas.patient,
            system="urn:x",
            value="1",
        )
        PredictionFactory(image=image)
        merge = {"user": personas.assistant, "patient": personas.patient, "into": to}
        with pytest.raises(ValidationError) as refused:
            merges.merge_patients(**merge)
        (text,) = refused.value.message_dict["acknowledged"]
        assert "This picture has 1 reading here." in text
        merges.merge_patients(**merge, acknowledged=True)
        to.refresh_from_db()
        lesion.refresh_from_db()
        identifier.refresh_from_db()
        assert (to.birth_year, to.sex) == (1960, "male")  # only missing values
        assert lesion.patient == identifier.patient == to
        assert Prediction.objects.active().get().image == image  # the sex changed
        assert leads_to(Patient, personas.patient.pk, personas.viewer) == to

    def test_and_their_own_again(self, personas, lesion):
        to = PatientFactory(clinic=personas.clinic)
        mine = LesionFactory(patient=to)
        merges.merge_patients(user=personas.admin, patient=personas.patient, into=to)
        services.restore(user=personas.admin, record=personas.patient)
        assert Patient.objects.get(pk=personas.patient.pk).lesions.get() == lesion
        assert to.lesions.get() == mine

    def test_what_goes_back_and_what_does_not_is_told(self, personas, lesion):
        to = PatientFactory(clinic=personas.clinic)
        back, stays = LesionImageFactory(lesion=lesion), LesionImageFactory(lesion=lesion)
        merges.merge_patients(user=personas.admin, patient=personas.patient, into=to)
        assert merges.at_stake(personas.patient, personas.admin) == ""
        moves.move_image(user=personas.admin, image=stays, lesion=LesionFactory(patient=to))
        PredictionFactory(image=back)
        ReviewFactory(image=back)
        with pytest.raises(ValidationError) as refused:
            services.restore(user=personas.admin, record=personas.patient)
        (text,) = refused.value.message_dict["acknowledged"]
        assert "This picture has 1 reading and 1 conclusion here." in text
        assert "1 picture that came with it, or came since, will not go back with it." in text
        with pytest.raises(ValidationError, match="1 conclusion"):
            undo(user=personas.admin, correction=Correction.objects.get(kind="merged"))
        services.restore(user=personas.admin, record=personas.patient, acknowledged=True)
        assert LesionImage.objects.get(lesion__patient=personas.patient) == back

    def test_numbers_are_told_apart_and_given_back(self, personas):
        to = PatientFactory(clinic=personas.clinic)
        for patient in (personas.patient, to):
            for _ in range(2):
                record_services.open_lesion(user=personas.admin, patient=patient)
        named = LesionFactory(patient=personas.patient, label="Shoulder")
        merges.merge_patients(user=personas.admin, patient=personas.patient, into=to)

        def labels(patient):
            return sorted(patient.lesions.values_list("label", flat=True))

        assert labels(to) == ["Lesion 1", "Lesion 2", "Lesion 3", "Lesion 4", "Shoulder"]
        (edited,) = of_lesion(to.lesions.get(label="Lesion 3"), personas.viewer)
        assert in_words(edited) == "Lesion 3: name Lesion 3, before Lesion 1."
        opened = record_services.open_lesion(user=personas.admin, patient=to)
        assert opened.label == "Lesion 6"
        record_services.edit_lesion(
            user=personas.admin, lesion=to.lesions.get(label="Lesion 4"), label="Elbow"
        )
        undo(user=personas.admin, correction=Correction.objects.get(kind="merged"))
        assert labels(personas.patient) == ["Elbow", "Lesion 1", "Shoulder"]
        assert labels(to) == ["Lesion 1", "Lesion 2", "Lesion 6"]
        assert record_services.open_lesion(user=personas.admin, patient=to).label == "Lesion 7"
        assert named.label == "Shoulder"

    def test_a_lesion_that_is_moved_takes_a_free_number_and_gets_its_own_back(self, personas):
        to = PatientFactory(clinic=personas.clinic)
        record_services.open_lesion(user=personas.admin, patient=to)
        lesion = record_services.open_lesion(user=personas.admin, patient=personas.patient)
        moved = moves.move_lesion(user=personas.admin, lesion=lesion, patient=to)
        assert moved.label == "Lesion 2"
        # Its number is not reused at its former place either.
        next_one = record_services.open_lesion(user=personas.admin, patient=personas.patient)
        assert next_one.label == "Lesion 2"
        correction = Correction.objects.filter(kind="moved", patient=personas.patient).get()
        assert undo(user=personas.admin, correction=correction).label == "Lesion 1"

    def test_a_lesion_that_is_moved_back_by_hand_gets_its_own_number_too(self, personas):
        to = PatientFactory(clinic=personas.clinic)
        for _ in range(2):
            record_services.open_lesion(user=personas.admin, patient=to)
        lesion = record_services.open_lesion(user=personas.admin, patient=personas.patient)
        by = {"user": personas.admin}
        for patient, label in (
            (to, "Lesion 3"),
            (personas.patient, "Lesion 1"),
            (to, "Lesion 3"),
        ):
            lesion = moves.move_lesion(lesion=lesion, patient=patient, **by)
            assert lesion.label == label
        other = record_services.open_lesion(patient=personas.patient, **by)
        record_services.edit_lesion(lesion=other, label="Lesion 1", **by)
        back = moves.move_lesion(lesion=lesion, patient=personas.patient, **by)
        assert back.label not in ("Lesion 1", "Lesion 2")

    def test_only_where_the_same_people_see_both(self, personas):
        elsewhere = PatientFactory(clinic=personas.clinic, owner=personas.admin)
        with pytest.raises(ValidationError, match="same clinic"):
            merges.merge_patients(user=personas.admin, patient=elsewhere, into=personas.patient)
        with pytest.raises(PermissionDenied):
            merges.merge_patients(
                user=personas.admin, patient=personas.patient, into=personas.own_patient
            )

    def test_the_history_of_all_that_were_merged_is_theirs(self, personas):
        chain = [personas.patient, *PatientFactory.create_batch(3, clinic=personas.clinic)]
        for patient, into in pairwise(chain):
            merges.merge_patients(user=personas.admin, patient=patient, into=into)
        assert {one.patient for one in of_patient(chain[-1], personas.viewer)} == set(chain[:-1])
        assert Patient.objects.filter(is_corrected(Patient, personas.viewer)).get() == chain[-1]

    def test_who_differs_in_age_or_sex_is_merged_only_knowingly(self, personas, lesion):
        child = PatientFactory(clinic=personas.clinic, birth_year=2015, sex="male")
        two = {"user": personas.admin, "patient": child, "into": personas.patient}
        with pytest.raises(ValidationError) as refused:
            merges.merge_patients(**two)
        (text,) = refused.value.message_dict["acknowledged"]
        for word in ("2015", "1960", "male", "female", str(child), str(personas.patient)):
            assert word in text
        merges.merge_patients(**two, acknowledged=True)
        assert Patient.everything.get(pk=child.pk).merged_into == personas.patient

    def test_two_records_of_one_person(self, personas):
        second = PatientFactory(own=True, owner=personas.self_tracker, label="My skin")
        image = LesionImageFactory(lesion__patient=second)
        merges.merge_patients(user=personas.self_tracker, patient=second, into=personas.own_patient)
        image = LesionImage.objects.get(pk=image.pk)
        assert image.lesion.patient == personas.own_patient
        assert Correction.objects.visible_to(personas.self_tracker).count() == 1
        assert not Correction.objects.visible_to(personas.admin).exists()


def test_an_undo_gives_back_what_a_merger_changed(personas):
    user, patient = personas.clinician, personas.patient
    one = LesionFactory(patient=patient, bleeding=True)
    into = LesionFactory(patient=patient)
    image = LesionImageFactory(lesion=into, captured_on=date(2026, 3, 1))
    visit = DoctorVisitFactory(lesion=one, recorded_by=user)
    merges.merge_lesions(user=user, lesion=one, into=into)
    merged = Lesion.objects.get(pk=into.pk)
    assert merged.bleeding
    services.restore(user=user, record=Lesion.everything.get(pk=one.pk))
    into.refresh_from_db()
    assert (into.bleeding, into.symptoms_at) == (False, None)
    visit.refresh_from_db()
    assert visit.lesion == one
    assert LesionImage.objects.get().placed_at == image.placed_at


def test_an_undo_gives_back_the_details_of_a_patient(personas):
    one = PatientFactory(clinic=personas.clinic, birth_year=1992, sex="female")
    into = PatientFactory(clinic=personas.clinic, birth_year=None, sex="")
    merges.merge_patients(user=personas.clinician, patient=one, into=into)
    into.refresh_from_db()
    assert (into.birth_year, into.sex) == (1992, "female")
    into.sex = "male"  # set on this record itself, since
    into.save()
    services.restore(user=personas.clinician, record=Patient.everything.get(pk=one.pk))
    into.refresh_from_db()
    assert (into.birth_year, into.sex) == (None, "male")
