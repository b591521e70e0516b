"""Every constraint rejects the row that it is meant to reject."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Clinic, Invitation, Membership
from screening.models import (
    Adoption,
    Alert,
    Batch,
    BatchRow,
    ChangeMark,
    Comparison,
    Consent,
    Correction,
    DataKey,
    Delivery,
    DeliveryAttempt,
    DicomDelivery,
    DicomNode,
    DoctorVisit,
    Erasure,
    Export,
    ExternalIdentifier,
    Following,
    Histology,
    IdempotentRequest,
    ImageScale,
    Lesion,
    LesionImage,
    LesionPosition,
    Measurement,
    Patient,
    Prediction,
    Reminder,
    Review,
    ReviewSeal,
    Trace,
    Webhook,
)
from tests.factories import (
    AlertFactory,
    BatchFactory,
    BatchRowFactory,
    ChangeMarkFactory,
    ClinicFactory,
    ComparisonFactory,
    ConsentFactory,
    DeliveryAttemptFactory,
    DeliveryFactory,
    DicomDeliveryFactory,
    DicomNodeFactory,
    DoctorVisitFactory,
    ErasureFactory,
    ExportFactory,
    FollowingFactory,
    HistologyFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
    UserFactory,
    WebhookFactory,
)

pytestmark = pytest.mark.django_db

MODELS = (
    Clinic,
    Membership,
    Invitation,
    Patient,
    Lesion,
    LesionPosition,
    LesionImage,
    DataKey,
    Prediction,
    Review,
    Reminder,
    Histology,
    Webhook,
    Delivery,
    DeliveryAttempt,
    DicomNode,
    DicomDelivery,
    Batch,
    BatchRow,
    ImageScale,
    Measurement,
    Comparison,
    ChangeMark,
    Alert,
    ExternalIdentifier,
    IdempotentRequest,
    Correction,
    Consent,
    Following,
    DoctorVisit,
    Export,
    Erasure,
    ReviewSeal,
    Trace,
    Adoption,
)


def two_open_erasures(**fields):
    first = ErasureFactory(**fields)
    ErasureFactory(patient=first.patient, user=first.user)


def confirmed_by_whoever_asked():
    person = UserFactory()
    ErasureFactory(asked_by=person, confirmed_by=person)


def identifier(**fields):
    patient = fields.pop("patient", None) or PatientFactory()
    row = {"kind": "patient", "clinic": patient.clinic, "patient": patient}
    ExternalIdentifier.objects.create(**row | {"system": "urn:x", "value": "1"} | fields)


def one_identifier_of_two_patients():
    patient = PatientFactory()
    identifier(patient=patient)
    identifier(patient=PatientFactory(clinic=patient.clinic))


def withdrawn_correction(factory):
    out = {"withdrawn_by": UserFactory(), "withdrawn_because": "A slip."}
    factory(supersedes=factory(), withdrawn_at=timezone.now(), **out)


def one_identifier_of_two_own_records():
    owner = UserFactory()
    for _ in range(2):
        identifier(patient=PatientFactory(own=True, owner=owner), owner=owner)


def idempotency_key_twice():
    for _ in range(2):
        IdempotentRequest.objects.create(caller="a", key="b", locked_until=timezone.now())


def answered_without_a_status():
    now = timezone.now()
    IdempotentRequest.objects.create(caller="a", key="b", locked_until=now, answered_at=now)


def two_active_exports(patient):
    first = ExportFactory(patient=patient)
    ExportFactory(patient=patient, requested_by=first.requested_by)


def two_data_keys(patient):
    for _ in range(2):
        DataKey.objects.create(patient=patient, wrapped=b"", wrapped_by="")


def same_picture_twice():
    image = LesionImageFactory()
    LesionImageFactory(lesion=image.lesion, sha256=image.sha256)


def two_active_predictions():
    first = PredictionFactory(queued=True)
    PredictionFactory(running=True, image=first.image)


def two_patients_of_one_label():
    patient = PatientFactory()
    PatientFactory(clinic=patient.clinic, label=patient.label)


def two_memberships():
    member = MembershipFactory()
    MembershipFactory(user=member.user, clinic=member.clinic, role="viewer")


def two_open_invitations():
    fields = {
        "clinic": ClinicFactory(),
        "email": "a@example.org",
        "role": "viewer",
        "invited_by": UserFactory(),
    }
    Invitation.objects.create(**fields)
    Invitation.objects.create(**fields)


def invitation_to_an_unknown_role():
    Invitation.objects.create(
        clinic=ClinicFactory(), email="a@example.org", role="owner", invited_by=UserFactory()
    )


def invitation_accepted_and_withdrawn():
    now = timezone.now()
    Invitation.objects.create(
        clinic=ClinicFactory(),
        email="a@example.org",
        role="viewer",
        invited_by=UserFactory(),
        accepted_at=now,
        withdrawn_at=now,
    )


def review_of_itself():
    review = ReviewFactory()
    Review.objects.filter(pk=review.pk).update(supersedes=review)


def two_rows_of_one_line():
    row = BatchRowFactory()
    BatchRowFactory(batch=row.batch, number=row.number)


def one_image_compared_with_itself():
    image = LesionImageFactory()
    ComparisonFactory(later=image, earlier=image)


def one_pair_compared_twice():
    first = ComparisonFactory()
    ComparisonFactory(earlier=first.earlier, later=first.later)


def two_deliveries_of_one_picture():
    first = DicomDeliveryFactory()
    DicomDeliveryFactory(node=first.node, image=first.image)


def one_rule_fires_twice():
    first = AlertFactory()
    AlertFactory(earlier=first.earlier, later=first.later)


def one_mask_measured_twice():
    first = MeasurementFactory()
    MeasurementFactory(image=first.image, prediction=first.prediction)


def one_outline_measured_twice():
    first = MeasurementFactory(by_hand=True)
    MeasurementFactory(image=first.image, prediction=None, outline=first.outline)


def two_readings_that_count():
    image = LesionImageFactory()
    for _ in range(2):
        PredictionFactory(image=image)
    Prediction.objects.filter(image=image).update(told_from=timezone.now(), told_until=None)


def correction_of_an_unknown_kind():
    patient = PatientFactory()
    Correction.objects.create(kind="erased", made_by=UserFactory(), patient=patient)


REFUSED = {
    "adoption_names_a_version": lambda: Adoption.objects.create(number=1, model_version=""),
    "running_export_has_lease": lambda: ExportFactory(state="running"),
    "ready_export_has_file": lambda: ExportFactory(ready=True, sha256=""),
    "failed_export_has_reason": lambda: ExportFactory(state="failed"),
    "only_ready_export_has_file": lambda: ExportFactory(ready=True, state="ended"),
    "export_attempts_are_capped": lambda: ExportFactory(attempts=4),
    "one_active_export_of_an_account": lambda: two_active_exports(None),
    "one_active_export_of_a_patient": lambda: two_active_exports(PatientFactory()),
    "refused_batch_has_reason": lambda: BatchFactory(state="refused"),
    "finished_batch_has_rows": lambda: BatchFactory(has_rows=False),
    "one_row_per_line": two_rows_of_one_line,
    "imported_row_has_image": lambda: BatchRowFactory(state="imported"),
    "running_row_has_lease": lambda: BatchRowFactory(state="running"),
    "row_attempts_are_capped": lambda: BatchRowFactory(attempts=4),
    "pixel_has_a_plausible_size": lambda: ImageScaleFactory(mm_per_pixel=0),
    "measurement_is_of_a_mask_or_an_outline": lambda: MeasurementFactory(prediction=None),
    "mask_is_measured_once": one_mask_measured_twice,
    "outline_is_measured_once": one_outline_measured_twice,
    "comparison_is_of_two_images": one_image_compared_with_itself,
    "pair_is_compared_once": one_pair_compared_twice,
    "failed_alignment_has_reason": lambda: ComparisonFactory(aligned=False, reason=""),
    "verdict_is_known": lambda: ChangeMarkFactory(verdict="perhaps"),
    "rule_is_known": lambda: AlertFactory(rule="magic"),
    "rule_fires_once_per_pair": one_rule_fires_twice,
    "closed_alert_has_reason": lambda: AlertFactory(
        closed_at=timezone.now(), closed_by=UserFactory()
    ),
    "patient_has_clinic_or_owner": lambda: PatientFactory(clinic=None),
    "patient_label_is_unique_in_clinic": two_patients_of_one_label,
    "patient_has_a_label": lambda: PatientFactory(label=""),
    "birth_year_is_plausible": lambda: PatientFactory(birth_year=60),
    "sex_is_known_value": lambda: PatientFactory(sex="f"),
    "lesion_has_a_label": lambda: LesionFactory(label=""),
    "body_site_is_known": lambda: LesionFactory(body_site="tail"),
    "body_view_is_known": lambda: LesionPositionFactory(view="side"),
    "side_is_known": lambda: LesionPositionFactory(side="both"),
    "position_is_on_the_figure": lambda: LesionPositionFactory(y=1.1),
    "same_picture_once_per_lesion": same_picture_twice,
    "modality_is_known": lambda: LesionImageFactory(modality="x-ray"),
    "image_has_pixels": lambda: LesionImageFactory(width=0),
    "one_active_prediction_per_image_and_model": two_active_predictions,
    "succeeded_prediction_has_result": lambda: PredictionFactory(outcome=""),
    "failed_prediction_has_reason": lambda: PredictionFactory(failed=True, failure=""),
    "running_prediction_has_lease": lambda: PredictionFactory(running=True, lease_expires_at=None),
    "only_succeeded_prediction_has_outcome": lambda: PredictionFactory(
        failed=True, outcome="monitor"
    ),
    "p_malignant_between_0_and_1": lambda: PredictionFactory(p_malignant=1.1),
    "one_reading_of_an_image_counts": two_readings_that_count,
    "only_succeeded_prediction_counts": lambda: PredictionFactory(
        queued=True, told_from=timezone.now()
    ),
    "withdrawn_patient_has_reason": lambda: PatientFactory(withdrawn_at=timezone.now()),
    "withdrawn_lesion_has_reason": lambda: LesionFactory(withdrawn_at=timezone.now()),
    "withdrawn_lesionimage_has_reason": lambda: LesionImageFactory(withdrawn_at=timezone.now()),
    "withdrawn_doctorvisit_has_reason": lambda: DoctorVisitFactory(withdrawn_at=timezone.now()),
    "patient_to_be_erased_is_withdrawn": lambda: PatientFactory(erased_from=timezone.now()),
    "erasure_state_is_known": lambda: ErasureFactory(state="lost"),
    "one_open_erasure_per_patient": two_open_erasures,
    "one_open_erasure_per_account": lambda: two_open_erasures(patient=None, user=UserFactory()),
    "another_person_confirms_an_erasure": confirmed_by_whoever_asked,
    "a_clinics_erasure_is_confirmed": lambda: ErasureFactory(clinic=ClinicFactory()),
    "an_erasure_that_is_done_names_nobody": lambda: ErasureFactory(
        state="erased", erased_at=timezone.now()
    ),
    "data_key_has_an_owner": lambda: DataKey.objects.create(wrapped=b"", wrapped_by=""),
    "one_data_key_per_patient": lambda: two_data_keys(PatientFactory()),
    "trace_kind_is_known": lambda: Trace.objects.create(digest="0" * 64, kind="smell"),
    "seal_is_of_what_is_left_of_a_review": lambda: ReviewSeal.objects.create(
        number=1, signature="0", held=True, seal="0", content_sha256="0"
    ),
    "withdrawn_histology_has_reason": lambda: HistologyFactory(withdrawn_at=timezone.now()),
    "withdrawn_doctorvisit_supersedes_nothing": lambda: withdrawn_correction(DoctorVisitFactory),
    "withdrawn_histology_supersedes_nothing": lambda: withdrawn_correction(HistologyFactory),
    "closed_lesion_says_why": lambda: LesionFactory(closed_on=timezone.localdate()),
    "code_is_of_one_clinic": lambda: [ClinicFactory(code="0123456789AB") for _ in range(2)],
    "one_waiting_following_per_patient": lambda: FollowingFactory(
        patient=FollowingFactory().patient
    ),
    "accepted_following_has_a_person": lambda: FollowingFactory(accepted_at=timezone.now()),
    "ended_following_has_a_person": lambda: FollowingFactory(ended_at=timezone.now()),
    "one_standing_consent_per_patient": lambda: ConsentFactory(patient=ConsentFactory().patient),
    "withdrawn_consent_has_a_person": lambda: ConsentFactory(withdrawn_at=timezone.now()),
    "finding_is_known": lambda: DoctorVisitFactory(finding="gone"),
    "correction_kind_is_known": correction_of_an_unknown_kind,
    "attempts_are_capped": lambda: PredictionFactory(attempts=4),
    "conclusion_is_known": lambda: ReviewFactory(conclusion="wart"),
    "management_is_known": lambda: ReviewFactory(management="wait"),
    "other_conclusion_has_a_note": lambda: ReviewFactory(conclusion="other", note=""),
    "interval_is_offered": lambda: ReminderFactory(interval_months=2),
    "review_is_signed": lambda: ReviewFactory(signature=""),
    "review_does_not_supersede_itself": review_of_itself,
    "histology_is_known": lambda: HistologyFactory(diagnosis="uncertain"),
    "only_melanoma_has_breslow": lambda: HistologyFactory(diagnosis="nv", breslow_mm="0.40"),
    "breslow_is_positive": lambda: HistologyFactory(diagnosis="mel", breslow_mm="0.00"),
    "other_histology_has_a_note": lambda: HistologyFactory(diagnosis="other"),
    "identifier_is_unique_in_clinic": one_identifier_of_two_patients,
    "identifier_is_unique_of_owner": one_identifier_of_two_own_records,
    "identifier_is_of_a_clinic_or_an_owner": lambda: identifier(owner=UserFactory()),
    "identifier_names_one_record": lambda: identifier(kind="lesion"),
    "identifier_is_whole": lambda: identifier(value=""),
    "idempotency_key_is_used_once": idempotency_key_twice,
    "answered_request_has_a_status": answered_without_a_status,
    "one_membership_per_clinic": two_memberships,
    "role_is_known": lambda: MembershipFactory(role="owner"),
    "one_open_invitation_per_clinic_and_email": two_open_invitations,
    "invited_role_is_known": invitation_to_an_unknown_role,
    "accepted_invitation_is_not_withdrawn": invitation_accepted_and_withdrawn,
    "webhook_is_a_clinics_or_a_persons": lambda: WebhookFactory(clinic=None),
    "disabled_webhook_has_a_reason": lambda: WebhookFactory(off=True, disabled_reason=""),
    "event_is_known": lambda: DeliveryFactory(event="patient.born"),
    "delivery_state_is_known": lambda: DeliveryFactory(state="lost"),
    "delivery_that_is_sent_has_lease": lambda: DeliveryFactory(sending=True, lease_expires_at=None),
    "only_a_delivery_that_is_over_is_finished": lambda: DeliveryFactory(
        failed=True, finished_at=None
    ),
    "authorization_is_known": lambda: DicomNodeFactory(
        authorization="ntlm", encrypted_credentials="x"
    ),
    "authorization_has_credentials": lambda: DicomNodeFactory(authorization="basic"),
    "removed_dicom_node_has_no_credentials": lambda: DicomNodeFactory(
        authorization="basic", encrypted_credentials="x", removed_at=timezone.now()
    ),
    "dicom_delivery_state_is_known": lambda: DicomDeliveryFactory(state="lost"),
    "dicom_delivery_that_is_sent_has_lease": lambda: DicomDeliveryFactory(
        sending=True, lease_expires_at=None
    ),
    "only_a_dicom_delivery_that_is_over_is_finished": lambda: DicomDeliveryFactory(
        delivered=True, finished_at=None
    ),
    "failed_dicom_delivery_has_a_reason": lambda: DicomDeliveryFactory(failed=True, message=""),
    "one_active_dicom_delivery_per_image_and_node": two_deliveries_of_one_picture,
    "attempt_has_an_answer_or_an_error": lambda: DeliveryAttemptFactory(status_code=None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(name):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        REFUSED[name]()
    # SQLite names a unique constraint by its columns, PostgreSQL by its name.
    assert name in str(refusal.value) or "UNIQUE constraint failed" in str(refusal.value)


def test_every_constraint_has_a_row_that_it_refuses():
    assert {c.name for model in MODELS for c in model._meta.constraints} == set(REFUSED)


def test_factories_make_rows_that_are_allowed():
    PatientFactory(own=True)
    image = ReviewFactory(conclusion="other", note="A wart.").image
    PredictionFactory(image=image)
    PredictionFactory(image=image, queued=True)
    PredictionFactory(image=image, running=True, model_version="test-2")
    PredictionFactory(image=image, failed=True)
    assert image.predictions.count() == 4


@pytest.mark.parametrize("symptom", ["raised", "bleeding", "itching", "changing"])
def test_a_lesion_with_symptoms_is_never_told_monitor(symptom):
    lesion = LesionFactory(**{symptom: True})
    prediction = PredictionFactory(image__lesion=lesion, outcome="monitor")
    assert prediction.outcome_told == "see_doctor"
    assert prediction.outcome == "monitor"


def test_a_symptom_is_told_whatever_the_picture():
    lesion = LesionFactory(bleeding=True)
    prediction = PredictionFactory(image__lesion=lesion, outcome="not_assessable")
    assert prediction.outcome_told == "see_doctor"


@pytest.mark.parametrize("outcome", ["urgent", "see_doctor"])
def test_symptoms_leave_graver_outcomes_alone(outcome):
    lesion = LesionFactory(bleeding=True)
    assert PredictionFactory(image__lesion=lesion, outcome=outcome).outcome_told == outcome


def test_nothing_of_the_person_is_in_a_file_name():
    image = LesionImageFactory(lesion__patient__label="Ada", lesion__label="Mole on the back")
    for name in (image.file.name, image.thumbnail.name):
        folder, _, file = name.partition("/")
        stem, _, extension = file.partition(".")
        assert len(folder) == 2
        assert int(stem, 16) and len(stem) == 32
        assert extension == "jpg"


def test_identifiers_are_ordered_by_time():
    first, second = UserFactory(), UserFactory()
    assert first.pk < second.pk
    assert first.date_joined <= timezone.now()
