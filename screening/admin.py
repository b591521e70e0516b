"""The operator's read-only view of the record. Clinical rows change only through the write path.

Withdrawn rows, and what belongs to them, are left out as everywhere. So are pictures and other
files, which are shown only where each access is logged.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.admin import ReadOnlyAdmin, ReadOnlyInline
from screening.models import (
    Adoption,
    Alert,
    Announcement,
    AuditEntry,
    AuditPart,
    AuditSegment,
    AuditSubject,
    Batch,
    BatchRow,
    CalendarFeed,
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
    Heartbeat,
    Histology,
    IdempotentRequest,
    ImageScale,
    Lesion,
    LesionImage,
    LesionPosition,
    Measurement,
    Opinion,
    Outline,
    Patient,
    Prediction,
    PredictionMaps,
    Reminder,
    Review,
    ReviewSeal,
    Setback,
    Share,
    ShareOpening,
    Trace,
    Webhook,
)
from screening.models.image import present

OF_LESION = Q(lesion__withdrawn_at=None, lesion__patient__withdrawn_at=None)


class RecordAdmin(ReadOnlyAdmin):
    """Shows the rows that meet ``kept``: those not withdrawn."""

    kept: Q

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(self.kept)


# Records


@admin.register(Patient)
class PatientAdmin(ReadOnlyAdmin):
    list_display = ["label", "clinic", "owner", "created"]
    list_select_related = ["clinic", "owner"]
    list_filter = ["clinic"]
    search_fields = ["label", "id"]


@admin.register(Lesion)
class LesionAdmin(RecordAdmin):
    kept = Q(patient__withdrawn_at=None)
    list_display = ["label", "patient", "body_site", "closed_on", "created"]
    list_select_related = ["patient"]
    list_filter = ["body_site"]
    search_fields = ["label", "patient__label", "id"]


@admin.register(LesionImage)
class LesionImageAdmin(RecordAdmin):
    kept = present("")
    list_display = ["id", "lesion", "captured_on", "modality", "uploaded_by", "created"]
    list_select_related = ["lesion", "uploaded_by"]
    list_filter = ["modality", "is_synthetic"]
    search_fields = ["id", "sha256"]
    exclude = ["file", "thumbnail", "screen"]


@admin.register(LesionPosition)
class LesionPositionAdmin(RecordAdmin):
    kept = OF_LESION
    list_display = ["lesion", "view", "region", "side", "placed_by", "created"]
    list_select_related = ["lesion", "placed_by"]


@admin.register(ExternalIdentifier)
class ExternalIdentifierAdmin(RecordAdmin):
    kept = (
        Q(patient__withdrawn_at=None)
        & present("image")
        & Q(lesion__withdrawn_at=None, lesion__patient__withdrawn_at=None)
    )
    list_display = ["system", "value", "kind", "clinic", "created"]
    list_select_related = ["clinic"]
    list_filter = ["kind"]
    search_fields = ["value"]


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    """Leaves out the corrected values, which may belong to a withdrawn record."""

    list_display = ["kind", "made_by", "created"]
    list_select_related = ["made_by"]
    list_filter = ["kind"]
    date_hierarchy = "created"
    fields = ["id", "kind", "made_by", "created"]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["number", "at", "act", "through", "what", "actor", "address"]
    list_filter = ["act", "through"]
    search_fields = ["what", "actor", "request"]
    date_hierarchy = "at"


@admin.register(AuditSubject)
class AuditSubjectAdmin(ReadOnlyAdmin):
    list_display = ["entry_id", "patient", "clinic"]
    search_fields = ["patient", "clinic"]


@admin.register(AuditPart)
class AuditPartAdmin(ReadOnlyAdmin):
    """Entries that wait to be chained."""

    list_display = ["unit", "at", "is_last"]


@admin.register(AuditSegment)
class AuditSegmentAdmin(ReadOnlyAdmin):
    list_display = ["first", "last", "closed_at"]


# Readings, measurements and comparisons


@admin.register(Prediction)
class PredictionAdmin(RecordAdmin):
    kept = present()
    list_display = ["id", "model_version", "state", "outcome", "attempts", "failure", "created"]
    list_filter = ["state", "outcome", "is_bulk", "model_version"]
    search_fields = ["id", "image__id", "failure"]


@admin.register(PredictionMaps)
class PredictionMapsAdmin(RecordAdmin):
    kept = present("prediction__image")
    list_display = ["prediction", "evidence_cell", "created"]
    list_select_related = ["prediction"]
    fields = ["prediction", "evidence_cell", "created"]


@admin.register(Outline)
class OutlineAdmin(RecordAdmin):
    kept = present()
    list_display = ["id", "image", "drawn_by", "created"]
    list_select_related = ["image__lesion", "drawn_by"]
    exclude = ["points"]


@admin.register(ImageScale)
class ImageScaleAdmin(RecordAdmin):
    kept = present()
    list_display = ["id", "image", "source", "mm_per_pixel", "set_by", "created"]
    list_select_related = ["image__lesion", "set_by"]
    list_filter = ["source"]


@admin.register(Measurement)
class MeasurementAdmin(RecordAdmin):
    kept = present()
    list_display = ["id", "image", "algorithm_version", "failure", "created"]
    list_select_related = ["image__lesion"]
    list_filter = ["algorithm_version", ("failure", admin.EmptyFieldListFilter)]


@admin.register(Comparison)
class ComparisonAdmin(RecordAdmin):
    kept = present("earlier") & present("later")
    list_display = ["id", "algorithm_version", "aligned", "score", "reason", "created"]
    list_filter = ["aligned", "algorithm_version"]


@admin.register(ChangeMark)
class ChangeMarkAdmin(RecordAdmin):
    kept = present("comparison__earlier") & present("comparison__later")
    list_display = ["id", "verdict", "marked_by", "created"]
    list_select_related = ["marked_by"]
    list_filter = ["verdict"]


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    kept = OF_LESION & present("earlier") & present("later")
    list_display = ["id", "lesion", "rule", "closed_at", "created"]
    list_select_related = ["lesion"]
    list_filter = ["rule", ("closed_at", admin.EmptyFieldListFilter)]


# People's conclusions


@admin.register(Review)
class ReviewAdmin(RecordAdmin):
    kept = present()
    list_display = ["id", "image", "reviewer", "conclusion", "management", "created"]
    list_select_related = ["image__lesion", "reviewer"]
    list_filter = ["conclusion", "management"]


@admin.register(Histology)
class HistologyAdmin(RecordAdmin):
    kept = OF_LESION
    list_display = ["id", "lesion", "diagnosis", "recorded_by", "created"]
    list_select_related = ["lesion", "recorded_by"]
    list_filter = ["diagnosis"]


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    exclude = ["patient", "user", "receipt", "files", "parted", "mail_to"]
    list_display = ["state", "clinic", "ground", "created", "erased_from", "erased_at", "failures"]
    list_filter = ["state"]
    list_select_related = ["clinic"]


@admin.register(DataKey)
class DataKeyAdmin(ReadOnlyAdmin):
    """Shows neither keys nor whose they are."""

    fields = ["id", "wrapped_by", "created", "lost_at"]
    list_display = ["id", "wrapped_by", "created", "lost_at"]
    list_filter = ["wrapped_by"]


@admin.register(Trace)
class TraceAdmin(ReadOnlyAdmin):
    list_display = ["digest", "kind", "erased_at"]
    list_filter = ["kind"]


@admin.register(ReviewSeal)
class ReviewSealAdmin(ReadOnlyAdmin):
    exclude = ["review"]
    list_display = ["number", "held", "created"]


@admin.register(Consent)
class ConsentAdmin(RecordAdmin):
    kept = Q(patient__withdrawn_at=None)
    list_display = ["patient", "recorded_by", "version", "created", "withdrawn_at"]
    list_select_related = ["patient", "recorded_by"]


@admin.register(Following)
class FollowingAdmin(RecordAdmin):
    kept = Q(patient__withdrawn_at=None)
    list_display = ["patient", "clinic", "invited_by", "created", "accepted_at", "ended_at"]
    list_select_related = ["patient", "clinic", "invited_by"]
    list_filter = ["clinic"]


class OfShare(RecordAdmin):
    kept = Q(share__patient__withdrawn_at=None)
    list_select_related = ["share"]


@admin.register(Share)
class ShareAdmin(RecordAdmin):
    kept = Q(patient__withdrawn_at=None)
    list_display = ["recipient", "patient", "shared_by", "created", "expires_at", "revoked_at"]
    list_select_related = ["patient", "shared_by"]
    exclude = ["secret_sha256", "code_hash"]


@admin.register(ShareOpening)
class ShareOpeningAdmin(OfShare):
    list_display = ["share", "what", "created"]


@admin.register(Opinion)
class OpinionAdmin(OfShare):
    list_display = ["share", "name", "author", "created"]


@admin.register(DoctorVisit)
class DoctorVisitAdmin(RecordAdmin):
    kept = OF_LESION
    list_display = ["id", "lesion", "finding", "visited_on", "recorded_by", "created"]
    list_select_related = ["lesion", "recorded_by"]
    list_filter = ["finding"]


# Reminders, deliveries and feeds


@admin.register(Reminder)
class ReminderAdmin(RecordAdmin):
    kept = OF_LESION
    list_display = ["lesion", "due_on", "snoozed_until", "stopped_at", "mailed_for", "set_by"]
    list_select_related = ["lesion", "set_by"]
    list_filter = [("stopped_at", admin.EmptyFieldListFilter)]
    date_hierarchy = "due_on"


@admin.register(CalendarFeed)
class CalendarFeedAdmin(ReadOnlyAdmin):
    list_display = ["user", "created"]
    list_select_related = ["user"]
    exclude = ["secret_sha256"]


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ["id", "clinic", "created_by", "state", "attempts", "failure", "created"]
    list_select_related = ["clinic", "created_by"]
    list_filter = ["state", "dry_run"]
    search_fields = ["id", "failure"]
    exclude = ["archive"]


@admin.register(Export)
class ExportAdmin(RecordAdmin):
    kept = Q(patient=None) | Q(patient__withdrawn_at=None)
    list_display = ["id", "requested_by", "state", "attempts", "failure", "created", "expires_at"]
    list_select_related = ["requested_by"]
    list_filter = ["state"]
    search_fields = ["id", "failure"]
    exclude = ["file"]


@admin.register(BatchRow)
class BatchRowAdmin(RecordAdmin):
    """Leaves out the manifest's text, which may contain names."""

    kept = present()
    list_display = ["id", "batch", "number", "state", "attempts", "lease_expires_at"]
    list_select_related = ["batch"]
    list_filter = ["state"]
    search_fields = ["batch__id"]
    exclude = ["picture", "values", "source", "problems"]


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    list_display = ["name", "target", "clinic", "owner", "failures", "rests_until", "disabled_at"]
    list_select_related = ["clinic", "owner"]
    list_filter = [("disabled_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "target"]


class DeliveryAttemptInline(ReadOnlyInline):
    model = DeliveryAttempt
    fields = ["created", "status_code", "duration_ms", "error", "answer"]
    readonly_fields = ["created", "status_code", "duration_ms", "error", "answer"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["id", "event", "webhook", "state", "tries", "due_at", "finished_at"]
    list_select_related = ["webhook"]
    list_filter = ["state", "event"]
    search_fields = ["id", "webhook__name"]
    inlines = [DeliveryAttemptInline]


@admin.register(DicomNode)
class DicomNodeAdmin(ReadOnlyAdmin):
    """Leaves out the credentials."""

    list_display = ["name", "clinic", "address", "for_research", "failures", "removed_at"]
    list_select_related = ["clinic"]
    list_filter = [("removed_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "address"]
    exclude = ["encrypted_credentials"]


@admin.register(DicomDelivery)
class DicomDeliveryAdmin(ReadOnlyAdmin):
    list_display = ["id", "node", "image", "state", "tries", "due_at", "finished_at", "message"]
    list_select_related = ["node", "image"]
    list_filter = ["state"]
    search_fields = ["id", "node__name", "image__id"]


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin):
    """Leaves out the response, which is part of the record."""

    list_display = ["key", "caller", "status", "locked_until", "answered_at"]
    search_fields = ["key", "caller"]
    exclude = ["body", "headers"]


@admin.register(Adoption)
class AdoptionAdmin(ReadOnlyAdmin):
    list_display = ["number", "model_version", "created"]


@admin.register(Announcement)
class AnnouncementAdmin(ReadOnlyAdmin):
    """Shows identifiers only, also of the patient, who may be withdrawn."""

    fields = ["event", "clinic", "owner", "patient_id", "data", "created"]
    readonly_fields = ["patient_id"]
    list_display = ["event", "clinic", "owner", "created"]
    list_select_related = ["clinic", "owner"]
    list_filter = ["event"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "beat_at"]


@admin.register(Setback)
class SetbackAdmin(RecordAdmin):
    """Images whose measurement or comparison failed, and when it is retried."""

    kept = present("image")
    list_display = ["image", "count", "rests_until"]
    list_select_related = ["image__lesion__patient"]
