"""Images and lesions moved to where they belong."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone

from screening.corrections import merges, moves, services
from screening.corrections.undo import may_be_undone, undo
from screening.models import Alert, Comparison, Correction, Lesion, Prediction
from screening.predictions import outcomes
from screening.records import visits
from tests.factories import (
    AlertFactory,
    ComparisonFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
)


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion__patient=personas.patient, captured_on=date(2026, 3, 1))


@pytest.fixture
def other(personas):
    return LesionFactory(patient=personas.patient)


def move(user, image, lesion, **more):
    return moves.move_image(user=user, image=image, lesion=lesion, acknowledged=True, **more)


class TestMoveImage:
    def test_it_goes_with_all_there_is_of_it(self, personas, image, other):
        before = image.lesion
        reading, review = PredictionFactory(image=image), ReviewFactory(image=image)
        moved = move(personas.assistant, image, other, reason="Wrong spot.")
        assert moved.lesion == other
        assert moved.placed_at > reading.created
        assert list(other.images.get().predictions.all()) == [reading]
        assert list(other.images.get().reviews.all()) == [review]
        correction = Correction.objects.get()
        assert (correction.lesion, correction.reason) == (before, "Wrong spot.")
        assert correction.before["lesion"] == str(before.pk)
        assert correction.after["lesion"] == str(other.pk)

    def test_two_patients_have_a_line_each_without_the_others_name(self, personas, image):
        to = LesionFactory(patient__clinic=personas.clinic)
        before = image.lesion
        move(personas.admin, image, to)
        of_old = Correction.objects.get(patient=personas.patient)
        of_new = Correction.objects.get(patient=to.patient)
        assert to.label not in str(of_old.after)
        assert of_new.before == {}
        assert before.label not in str(of_new.after)

    def test_one_that_was_read_is_moved_knowingly_only(self, personas, image, other):
        PredictionFactory(image=image)
        with pytest.raises(ValidationError) as caught:
            moves.move_image(user=personas.admin, image=image, lesion=other)
        assert "1 reading here" in caught.value.message_dict["acknowledged"][0]

    def test_one_that_nobody_looked_at_just_goes(self, personas, image, other):
        assert moves.move_image(user=personas.admin, image=image, lesion=other).lesion == other

    def test_not_to_where_the_same_picture_is(self, personas, image, other):
        LesionImageFactory(lesion=other, sha256=image.sha256)
        with pytest.raises(ValidationError, match="The same picture is on"):
            move(personas.admin, image, other)

    def test_not_to_where_it_is(self, personas, image):
        with pytest.raises(ValidationError, match="already"):
            move(personas.admin, image, image.lesion)

    def test_both_sides_must_be_writable(self, personas, image):
        theirs = LesionFactory(patient__clinic=MembershipFactory(user=personas.viewer).clinic)
        for user in (personas.admin, personas.viewer):
            with pytest.raises(PermissionDenied):
                move(user, image, theirs)

    def test_it_is_read_again_for_a_patient_of_another_age(self, personas, image):
        PredictionFactory(image=image)
        same = PatientFactory(clinic=personas.clinic)
        move(personas.admin, image, LesionFactory(patient=same))
        assert not Prediction.objects.active().exists()
        older = PatientFactory(clinic=personas.clinic, birth_year=1930)
        move(personas.admin, image, LesionFactory(patient=older))
        assert Prediction.objects.active().get().image == image

    def test_alert_and_comparison_hold_between_images_of_one_lesion_only(
        self, personas, image, other
    ):
        alert = AlertFactory(later=image)
        comparison = ComparisonFactory(earlier=alert.earlier, later=image)
        visible = Comparison.objects.visible_to(personas.admin)
        move(personas.admin, image, other)
        assert not Alert.objects.exists()
        assert not visible.exists()
        move(personas.admin, alert.earlier, other)
        assert Alert.objects.get().lesion == other
        assert visible.get() == comparison

    def test_both_reminders_count_from_what_is_there(self, personas, image, other):
        LesionImageFactory(lesion=image.lesion, captured_on=date(2026, 1, 1))
        LesionImageFactory(lesion=other, captured_on=date(2025, 12, 1))
        of_old = ReminderFactory(lesion=image.lesion, due_on=date(2026, 6, 1))
        of_new = ReminderFactory(lesion=other, due_on=date(2026, 3, 1))
        move(personas.admin, image, other)
        of_old.refresh_from_db()
        of_new.refresh_from_db()
        assert (of_old.due_on, of_new.due_on) == (date(2026, 4, 1), date(2026, 6, 1))

    def test_a_symptom_is_not_settled_by_what_comes_along(self, personas, image, other):
        review = ReviewFactory(image=image, management="excise")
        type(other).objects.filter(pk=other.pk).update(bleeding=True, symptoms_at=review.created)
        move(personas.admin, image, other)
        found = outcomes.with_standing(type(other).objects.filter(pk=other.pk), personas.admin)
        assert found.get().standing_rank == outcomes.rank("see_doctor")


class TestNothingLeaves:
    """Its clinic or owner, not even by users who may write both records."""

    @pytest.fixture
    def elsewhere(self, personas):
        there = MembershipFactory(user=personas.assistant, role="clinician").clinic
        return [
            PatientFactory(own=True, owner=personas.assistant),
            PatientFactory(clinic=there),
            PatientFactory(clinic=personas.clinic, owner=personas.self_tracker),
        ]

    def test_it_stays(self, personas, image, elsewhere):
        for patient in elsewhere:
            user, lesion = personas.assistant, LesionFactory(patient=patient)
            acts = (
                lambda user=user, lesion=lesion: move(user, image, lesion),
                lambda user=user, to=patient: moves.move_lesion(
                    user=user, lesion=image.lesion, patient=to
                ),
                lambda user=user, to=patient: merges.merge_patients(
                    user=user, patient=personas.patient, into=to, acknowledged=True
                ),
            )
            for act in acts:
                with pytest.raises(ValidationError, match="same clinic and the same person"):
                    act()
        assert not Correction.objects.exists()

    def test_no_such_record_is_offered(self, personas, image, elsewhere, client):
        near = PatientFactory(clinic=personas.clinic)
        client.force_login(personas.assistant)
        page = client.get(reverse("lesion_correct", args=[image.lesion_id])).text
        assert str(near.pk) in page
        assert not any(str(patient.pk) in page for patient in elsewhere)


class TestMoveLesion:
    def test_it_goes_with_its_images(self, personas, image):
        PredictionFactory(image=image)
        to = PatientFactory(clinic=personas.clinic, birth_year=1930)
        move = {"user": personas.assistant, "lesion": image.lesion, "patient": to}
        with pytest.raises(ValidationError, match="1 reading here"):
            moves.move_lesion(**move)
        moved = moves.move_lesion(**move, acknowledged=True)
        assert moved.patient == to
        image.refresh_from_db()
        assert image.lesion.patient == to
        assert Prediction.objects.active().get().image == image
        of_old, of_new = Correction.objects.order_by("created")
        assert (of_old.patient, of_new.patient) == (personas.patient, to)

    def test_both_sides_must_be_writable(self, personas, image):
        for user in (personas.admin, personas.self_tracker):
            with pytest.raises(PermissionDenied):
                moves.move_lesion(user=user, lesion=image.lesion, patient=personas.own_patient)


class TestUndo:
    def test_a_moved_image_goes_back(self, personas, image, other):
        before = image.lesion
        move(personas.admin, image, other)
        last = Correction.objects.filter(lesion=before).get()
        assert may_be_undone(last)
        undo(user=personas.assistant, correction=last)
        image.refresh_from_db()
        assert image.lesion == before
        assert not may_be_undone(Correction.objects.get(pk=last.pk))
        with pytest.raises(ValidationError, match="can no longer be undone"):
            undo(user=personas.admin, correction=Correction.objects.get(pk=last.pk))

    def test_a_moved_lesion_goes_back(self, personas, other):
        to = PatientFactory(clinic=personas.clinic)
        moves.move_lesion(user=personas.admin, lesion=other, patient=to)
        undo(user=personas.admin, correction=Correction.objects.get(patient=personas.patient))
        other.refresh_from_db()
        assert other.patient == personas.patient

    def test_a_corrected_day_is_as_it_was(self, personas, image):
        from screening.corrections import services

        services.correct_image(user=personas.admin, image=image, captured_on=date(2025, 1, 1))
        undo(user=personas.admin, correction=Correction.objects.get())
        image.refresh_from_db()
        assert image.captured_on == date(2026, 3, 1)

    def test_where_it_was_may_be_gone(self, personas, image, other):
        before = image.lesion
        move(personas.admin, image, other)
        type(before).objects.filter(pk=before.pk).update(
            withdrawn_at=timezone.now(), withdrawn_by=personas.admin, withdrawn_because="x"
        )
        with pytest.raises(ValidationError, match="Put that back first"):
            undo(user=personas.admin, correction=Correction.objects.get(lesion=before))


class TestUndoneOutOfOrder:
    """What was said before an image had its present day and place settles nothing of it."""

    @pytest.fixture
    def own(self, personas):
        image = LesionImageFactory(
            lesion__patient=personas.own_patient, captured_on=date(2026, 3, 10)
        )
        PredictionFactory(image=image, outcome="urgent")
        return image

    def visit(self, user, lesion):
        visits.record_visit(
            user=user, lesion=lesion, visited_on=date(2026, 3, 5), finding="harmless"
        )

    def told(self, lesion, user):
        found = outcomes.with_standing(Lesion.objects.filter(pk=lesion.pk), user)
        return outcomes.of_rank(found.get().standing_rank)

    def redate(self, user, image, day):
        services.correct_image(user=user, image=image, captured_on=day)

    def test_a_move_from_before_another_day(self, personas, own):
        me, lesion = personas.self_tracker, own.lesion
        self.visit(me, lesion)
        move(me, own, LesionFactory(patient=lesion.patient))
        moved = Correction.objects.get(kind="moved")
        self.redate(me, own, date(2026, 3, 1))
        undo(user=me, correction=moved)
        assert self.told(lesion, me) == "urgent"

    def test_a_day_from_before_a_move(self, personas, own):
        me, other = personas.self_tracker, LesionFactory(patient=own.lesion.patient)
        own.captured_on = date(2026, 3, 1)
        own.save()
        self.visit(me, other)
        self.redate(me, own, date(2026, 3, 2))
        dated = Correction.objects.get(kind="edited")
        move(me, own, other)
        undo(user=me, correction=dated)
        assert self.told(other, me) == "urgent"
