"""Images corrected; images, lesions and patients withdrawn and restored."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from screening.corrections import services
from screening.corrections.undo import undo
from screening.models import (
    Alert,
    Correction,
    DoctorVisit,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
)
from screening.records import services as record_services
from tests.factories import (
    AlertFactory,
    DoctorVisitFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
)

REASON = "Taken of another spot."


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion__patient=personas.patient, captured_on=date(2026, 3, 1))


def withdraw(user, record):
    services.withdraw(user=user, record=record, reason=REASON)


class TestCorrectImage:
    def test_it_corrects_day_time_and_kind(self, personas, image):
        placed_at = image.placed_at
        services.correct_image(
            user=personas.assistant,
            image=image,
            captured_on=date(2025, 12, 24),
            captured_time=time(9, 30),
            modality="clinical",
            reason="The camera's clock was wrong.",
        )
        image.refresh_from_db()
        assert (image.captured_on, image.captured_time) == (date(2025, 12, 24), time(9, 30))
        assert image.modality == "clinical"
        assert image.placed_at > placed_at
        correction = Correction.objects.get()
        assert correction.image == image
        assert correction.made_by == personas.assistant
        assert correction.before == {
            "placed_at": placed_at.isoformat(),
            "captured_on": "2026-03-01",
            "captured_time": None,
            "modality": "dermatoscopic",
        }
        assert correction.after["captured_time"] == "09:30:00"

    def test_what_is_as_it_was_is_no_correction(self, personas, image):
        services.correct_image(user=personas.admin, image=image, captured_on=image.captured_on)
        assert not Correction.objects.exists()

    def test_a_kind_alone_does_not_move_it_among_the_others(self, personas, image):
        placed_at = image.placed_at
        services.correct_image(user=personas.admin, image=image, modality="clinical")
        image.refresh_from_db()
        assert image.placed_at == placed_at

    def test_a_day_to_come_is_refused(self, personas, image):
        with pytest.raises(ValidationError, match="future"):
            services.correct_image(
                user=personas.admin,
                image=image,
                captured_on=timezone.localdate() + timedelta(days=2),
            )

    def test_another_age_is_read_again(self, personas, image):
        PredictionFactory(image=image)  # read with age 66, as the patient was in 2026
        services.correct_image(user=personas.admin, image=image, captured_on=date(2026, 1, 1))
        assert not Prediction.objects.active().exists()
        services.correct_image(user=personas.admin, image=image, captured_on=date(2020, 1, 1))
        assert Prediction.objects.active().get().image == image

    def test_a_photograph_that_is_dermatoscopic_is_read(self, personas, image):
        LesionImage.objects.update(modality="clinical")
        PredictionFactory(
            image=image, outcome="not_assessable", reason="clinical_photograph", context={}
        )
        services.correct_image(user=personas.admin, image=image, modality="dermatoscopic")
        assert Prediction.objects.active().get().image == image

    @pytest.mark.parametrize(
        ("outcome", "is_read"), [("monitor", True), ("see_doctor", False), ("urgent", False)]
    )
    def test_a_warning_does_not_go_with_the_kind(self, personas, image, outcome, is_read):
        """A photograph gets no class; only a reading without a warning is replaced by that."""
        PredictionFactory(image=image, outcome=outcome)
        services.correct_image(user=personas.admin, image=image, modality="clinical")
        assert Prediction.objects.active().exists() == is_read

    def test_the_next_picture_is_due_from_the_day_as_corrected(self, personas, image):
        reminder = ReminderFactory(lesion=image.lesion, due_on=date(2026, 6, 1))
        services.correct_image(user=personas.admin, image=image, captured_on=date(2026, 2, 1))
        reminder.refresh_from_db()
        assert reminder.due_on == date(2026, 5, 1)

    def test_an_alert_does_not_count_the_other_way_round(self, personas, image):
        alert = AlertFactory(later=image)
        services.correct_image(user=personas.admin, image=image, captured_on=date(2024, 1, 1))
        assert not Alert.objects.exists()
        services.correct_image(user=personas.admin, image=image, captured_on=date(2026, 3, 2))
        assert Alert.objects.get() == alert


@pytest.mark.parametrize("who", ["viewer", "colleague", "stranger"])
class TestWhoMayNot:
    def test_correct(self, personas, image, who):
        with pytest.raises(PermissionDenied):
            services.correct_image(
                user=getattr(personas, who), image=image, captured_on=date(2026, 1, 1)
            )

    def test_withdraw(self, personas, image, who):
        for record in (image, image.lesion, image.lesion.patient):
            with pytest.raises(PermissionDenied):
                withdraw(getattr(personas, who), record)

    def test_restore(self, personas, image, who):
        withdraw(personas.admin, image)
        with pytest.raises(PermissionDenied):
            services.restore(user=getattr(personas, who), record=image)


class TestWithdraw:
    def test_it_needs_a_reason(self, personas, image):
        with pytest.raises(ValidationError, match="Say why"):
            services.withdraw(user=personas.admin, record=image, reason="  ")

    @pytest.mark.parametrize("what", ["image", "lesion", "patient"])
    def test_a_record_goes_and_comes_back(self, personas, image, what):
        record = {"image": image, "lesion": image.lesion, "patient": image.lesion.patient}[what]
        model = type(record)
        withdraw(personas.clinician, record)
        assert not model.objects.filter(pk=record.pk).exists()
        kept = model.everything.get(pk=record.pk)
        assert (kept.withdrawn_by, kept.withdrawn_because) == (personas.clinician, REASON)
        services.restore(user=personas.assistant, record=record)
        assert model.objects.filter(pk=record.pk, withdrawn_because="").exists()
        kinds = list(Correction.objects.order_by("created").values_list("kind", flat=True))
        assert kinds == ["withdrawn", "restored"]

    def test_a_visit_goes_and_comes_back_by_whose_record_it_is(self, personas):
        owner = MembershipFactory(clinic=personas.clinic, role="viewer").user
        visit = DoctorVisitFactory(
            lesion__patient=PatientFactory(clinic=personas.clinic, owner=owner)
        )
        for user in (personas.admin, personas.assistant):
            with pytest.raises(PermissionDenied, match="whose record it is"):
                withdraw(user, visit)
        withdraw(owner, visit)
        for user in (personas.admin, personas.assistant):
            with pytest.raises(PermissionDenied, match="whose record it is"):
                services.restore(user=user, record=visit)
            with pytest.raises(PermissionDenied, match="whose record it is"):
                undo(user=user, correction=Correction.objects.get())
        services.restore(user=owner, record=visit)
        assert DoctorVisit.objects.get() == visit

    def test_not_twice(self, personas, image):
        withdraw(personas.admin, image)
        with pytest.raises(ValidationError, match="withdrawn in the meantime"):
            withdraw(personas.admin, image)

    def test_with_a_lesion_its_images_are_out_of_sight(self, personas, image):
        withdraw(personas.admin, image.lesion)
        assert not LesionImage.objects.visible_to(personas.admin).exists()
        assert not LesionImage.objects.present().exists()

    def test_alerts_count_again_when_the_picture_is_back(self, personas, image):
        alert = AlertFactory(later=image)
        withdraw(personas.admin, image)
        assert not Alert.objects.exists()
        services.restore(user=personas.admin, record=image)
        assert Alert.objects.get() == alert

    def test_the_next_picture_is_due_from_the_one_before(self, personas, image):
        LesionImageFactory(lesion=image.lesion, captured_on=date(2026, 1, 15))
        reminder = ReminderFactory(lesion=image.lesion, due_on=date(2026, 6, 1))
        withdraw(personas.admin, image)
        reminder.refresh_from_db()
        assert reminder.due_on == date(2026, 4, 15)


class TestRestore:
    def test_what_is_there_cannot_be_put_back(self, personas, image):
        with pytest.raises(ValidationError, match="not withdrawn"):
            services.restore(user=personas.admin, record=image)

    def test_the_same_picture_is_in_the_way(self, personas, image):
        withdraw(personas.admin, image)
        LesionImageFactory(lesion=image.lesion, sha256=image.sha256)
        with pytest.raises(ValidationError, match="same picture"):
            services.restore(user=personas.admin, record=image)

    def test_nobody_is_over_120_years_old_in_a_picture(self, personas, image):
        """A birth year from before the rule must be corrected before the picture is restored."""
        withdraw(personas.admin, image)
        patients = Patient.objects.filter(pk=image.lesion.patient_id)
        patients.update(birth_year=image.captured_on.year - 121)
        with pytest.raises(ValidationError, match="over 120 years old"):
            services.restore(user=personas.admin, record=image)
        assert not LesionImage.objects.filter(pk=image.pk).exists()
        patients.update(birth_year=image.captured_on.year - 120)
        services.restore(user=personas.admin, record=image)

    def test_the_lesion_comes_first(self, personas, image):
        withdraw(personas.admin, image)
        withdraw(personas.admin, image.lesion)
        with pytest.raises(ValidationError, match="Put the spot back first"):
            services.restore(user=personas.admin, record=image)
        withdraw(personas.admin, image.lesion.patient)
        for record in (image, image.lesion):
            with pytest.raises(ValidationError, match="Put the patient back first"):
                services.restore(user=personas.admin, record=record)

    def test_a_label_that_was_given_away_needs_a_new_one(self, personas):
        patient = personas.patient
        withdraw(personas.admin, patient)
        PatientFactory(clinic=personas.clinic, label=patient.label)
        with pytest.raises(ValidationError, match="Another record of this clinic has this name"):
            services.restore(user=personas.admin, record=patient)
        services.restore(user=personas.admin, record=patient, label="N-1 again")
        assert Patient.objects.get(pk=patient.pk).label == "N-1 again"

    def test_what_was_corrected_meanwhile_is_read_again(self, personas, image):
        PredictionFactory(image=image)
        withdraw(personas.admin, image)
        Patient.objects.filter(pk=personas.patient.pk).update(birth_year=1940)
        services.restore(user=personas.admin, record=image)
        assert Prediction.objects.active().get().image == image


def test_an_own_record_is_corrected_by_its_owner(personas):
    lesion = LesionFactory(patient=personas.own_patient)
    withdraw(personas.self_tracker, lesion)
    services.restore(user=personas.self_tracker, record=lesion)
    assert Lesion.objects.get() == lesion


def test_what_is_put_back_fits_the_patient_as_it_is_now(personas, image):
    user, patient = personas.assistant, image.lesion.patient
    services.withdraw(user=user, record=image, reason="A slip.")
    patient.birth_year = image.captured_on.year + 1
    patient.save()
    with pytest.raises(ValidationError, match="before this birth year"):
        services.restore(user=user, record=image)
    assert not LesionImage.objects.exists()


def test_an_edit_of_what_a_reading_used_is_noted(personas, image):
    user, patient = personas.assistant, image.lesion.patient
    record_services.edit_patient(user=user, patient=patient, birth_year=1946)
    record_services.edit_patient(user=user, patient=patient, birth_year=1992)
    record_services.edit_patient(user=user, patient=patient, birth_year=1992)
    last = Correction.objects.filter(patient=patient, lesion=None).order_by("-created").first()
    assert (last.before, last.after) == ({"birth_year": 1946}, {"birth_year": 1992})
    assert last.made_by == user
    record_services.edit_lesion(user=user, lesion=image.lesion, body_site="back")
    record_services.edit_lesion(user=user, lesion=image.lesion, body_site="chest")
    found = Correction.objects.filter(lesion=image.lesion).order_by("-created").first()
    assert found.after == {"body_site": "chest"}
