"""The operator's view of the record: to look at only. Clinical rows change on the write path."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import ReadOnlyAdmin
from screening.models import AccessLog, Lesion, LesionImage, Patient, Prediction, Review
from screening.models.image import present


@admin.register(Patient)
class PatientAdmin(ReadOnlyAdmin):
    list_display = ["label", "clinic", "owner", "created"]
    list_select_related = ["clinic", "owner"]
    search_fields = ["label"]


@admin.register(Lesion)
class LesionAdmin(ReadOnlyAdmin):
    list_display = ["label", "patient", "body_site", "created"]
    list_select_related = ["patient"]
    search_fields = ["label", "patient__label"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(patient__withdrawn_at=None)


@admin.register(LesionImage)
class LesionImageAdmin(ReadOnlyAdmin):
    """Without the files: a picture is shown only where its showing is logged."""

    list_display = ["id", "lesion", "captured_on", "modality", "uploaded_by", "created"]
    list_select_related = ["lesion", "uploaded_by"]
    list_filter = ["modality", "is_synthetic"]
    exclude = ["file", "thumbnail"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(present(""))


class OfImageAdmin(ReadOnlyAdmin):
    """Without what is of a withdrawn image."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(present())


@admin.register(Prediction)
class PredictionAdmin(OfImageAdmin):
    list_display = ["id", "model_version", "state", "outcome", "attempts", "failure", "created"]
    list_filter = ["state", "outcome", "model_version"]


@admin.register(Review)
class ReviewAdmin(OfImageAdmin):
    list_display = ["id", "image", "reviewer", "conclusion", "management", "created"]
    list_select_related = ["image__lesion", "reviewer"]
    list_filter = ["conclusion", "management"]


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    list_display = ["created", "user", "rendition", "image_id"]
    list_select_related = ["user"]
    date_hierarchy = "created"
