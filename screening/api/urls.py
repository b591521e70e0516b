"""Everything under ``/api/``."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from screening.api import batches, exports, viewsets, webhooks
from screening.api.agreement import AgreementView
from screening.api.alerts import AlertViewSet
from screening.api.change_marks import ChangeMarkViewSet
from screening.api.comparisons import ComparisonViewSet
from screening.api.corrections import (
    CorrectionViewSet,
    HistologyCorrections,
    ImageCorrections,
    LesionCorrections,
    PatientCorrections,
    VisitCorrections,
)
from screening.api.dicom import DicomView, ReadingMaskView, ReadingReportView
from screening.api.dicom_nodes import DicomDeliveryViewSet, DicomNodeViewSet, SendLesionView
from screening.api.events import EventViewSet
from screening.api.followings import FollowingViewSet
from screening.api.histologies import HistologyViewSet
from screening.api.http.errors import nothing_here
from screening.api.measurements import MeasurementViewSet
from screening.api.openapi import SchemaView
from screening.api.outlines import OutlineViewSet
from screening.api.positions import PositionViewSet
from screening.api.record_exports import ExportFileView, ExportViewSet
from screening.api.reminders import CalendarView, LesionReminderView, ReminderViewSet
from screening.api.reports import LesionReportView, PatientReportView
from screening.api.scales import ScaleViewSet
from screening.api.ugly_duckling import UglyDucklingView
from screening.api.visits import VisitViewSet
from screening.api.worklist import WorklistViewSet

app_name = "api"

READ = ["get", "head"]

router = SimpleRouter(use_regex_path=False)
router.register("clinics", viewsets.ClinicViewSet, basename="clinic")
router.register("patients", viewsets.PatientViewSet, basename="patient")
router.register("lesions", viewsets.LesionViewSet, basename="lesion")
router.register("images", viewsets.ImageViewSet, basename="image")
router.register("predictions", viewsets.PredictionViewSet, basename="prediction")
router.register("reviews", viewsets.ReviewViewSet, basename="review")
router.register("webhooks", webhooks.WebhookViewSet, basename="webhook")
router.register("deliveries", webhooks.DeliveryViewSet, basename="delivery")
router.register("dicom-nodes", DicomNodeViewSet, basename="dicom-node")
router.register("dicom-deliveries", DicomDeliveryViewSet, basename="dicom-delivery")
router.register("followings", FollowingViewSet, basename="following")
router.register("histologies", HistologyViewSet, basename="histology")
router.register("worklist", WorklistViewSet, basename="worklist")
router.register("positions", PositionViewSet, basename="position")
router.register("batches", batches.BatchViewSet, basename="batch")
router.register("exports", ExportViewSet, basename="export")
router.register("measurements", MeasurementViewSet, basename="measurement")
router.register("scales", ScaleViewSet, basename="scale")
router.register("outlines", OutlineViewSet, basename="outline")
router.register("comparisons", ComparisonViewSet, basename="comparison")
router.register("change-marks", ChangeMarkViewSet, basename="change-mark")
router.register("alerts", AlertViewSet, basename="alert")
router.register("visits", VisitViewSet, basename="visit")
router.register("events", EventViewSet, basename="event")
router.register("reminders", ReminderViewSet, basename="reminder")
corrections = SimpleRouter(use_regex_path=False)  # at the same URLs
corrections.register("patients", PatientCorrections, basename="patient")
corrections.register("lesions", LesionCorrections, basename="lesion")
corrections.register("images", ImageCorrections, basename="image")
corrections.register("visits", VisitCorrections, basename="visit")
corrections.register("histologies", HistologyCorrections, basename="histology")
corrections.register("corrections", CorrectionViewSet, basename="correction")

urlpatterns = [
    path("v1/", include(router.urls)),
    path("v1/", include(corrections.urls)),
    path(
        "v1/images/<uuid:pk>/file",
        viewsets.PictureView.as_view(rendition="image"),
        name="image-file",
    ),
    path(
        "v1/images/<uuid:pk>/thumbnail",
        viewsets.PictureView.as_view(rendition="thumbnail"),
        name="image-thumbnail",
    ),
    path(
        "v1/patients/<uuid:pk>/ugly-duckling/",
        UglyDucklingView.as_view(),
        name="patient-ugly-duckling",
    ),
    path("v1/clinics/<uuid:pk>/agreement/", AgreementView.as_view(), name="clinic-agreement"),
    path("v1/exports/<uuid:pk>/file/", ExportFileView.as_view(), name="export-file"),
    path("v1/images/<uuid:pk>/dicom", DicomView.as_view(), name="image-dicom"),
    path(
        "v1/images/<uuid:pk>/dicom/report", ReadingReportView.as_view(), name="image-dicom-report"
    ),
    path("v1/images/<uuid:pk>/dicom/mask", ReadingMaskView.as_view(), name="image-dicom-mask"),
    path("v1/lesions/<uuid:pk>/reminder/", LesionReminderView.as_view(), name="lesion-reminder"),
    path("v1/lesions/<uuid:pk>/send/", SendLesionView.as_view(), name="lesion-send"),
    path("v1/calendar-feed/", CalendarView.as_view(), name="calendar-feed"),
    path("v1/lesions/<uuid:pk>/report/", LesionReportView.as_view(), name="lesion-report"),
    path("v1/patients/<uuid:pk>/report/", PatientReportView.as_view(), name="patient-report"),
    path("v1/predictions/<uuid:pk>/maps/", viewsets.MapsView.as_view(), name="prediction-maps"),
    path("v1/predictions/<uuid:pk>/mask/", viewsets.MaskView.as_view(), name="prediction-mask"),
    path(
        "v1/webhooks/<uuid:pk>/secret/",
        webhooks.WebhookSecretView.as_view(),
        name="webhook-secret",
    ),
    path(
        "v1/predictions/export/", exports.PredictionExportView.as_view(), name="prediction-export"
    ),
    path("v1/images/isic/", exports.IsicExportView.as_view(), name="image-isic"),
    path("v1/schema/", SchemaView.as_view(), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api:schema", http_method_names=READ),
        name="docs",
    ),
    path(
        "redoc/",
        SpectacularRedocView.as_view(url_name="api:schema", http_method_names=READ),
        name="redoc",
    ),
    # Last: catches URLs without a trailing slash too, which would otherwise redirect and lose the
    # body.
    re_path(r"^(?P<path>[\s\S]*)$", nothing_here, name="nothing"),
]
