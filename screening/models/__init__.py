from screening.models.adoption import Adoption
from screening.models.alert import Alert, Rule
from screening.models.announcement import Announcement
from screening.models.audit import (
    Act,
    AuditEntry,
    AuditPart,
    AuditSegment,
    AuditSubject,
    Through,
)
from screening.models.batch import ACTIVE_BATCH, Batch, BatchRow
from screening.models.comparison import ChangeMark, Comparison
from screening.models.consent import Consent
from screening.models.correction import Correction, CorrectionKind
from screening.models.data_key import DataKey
from screening.models.dicom_node import Authorization, DicomDelivery, DicomNode
from screening.models.erasure import OPEN_ERASURE, Erasure, ErasureState, Ground, Trace
from screening.models.export import Export
from screening.models.following import Following, FollowingState
from screening.models.histology import Histology
from screening.models.idempotent_request import IdempotentRequest
from screening.models.identifier import ExternalIdentifier
from screening.models.image import LesionImage, Modality
from screening.models.lesion import SYMPTOMS, BodySite, Closing, Lesion
from screening.models.maps import PredictionMaps
from screening.models.measurement import ImageScale, Measurement, Outline
from screening.models.outbox import RETRY_HOURS, DeliveryState
from screening.models.patient import Patient, Sex, SkinType
from screening.models.position import BodyView, LesionPosition, Side
from screening.models.prediction import ACTIVE, MAX_ATTEMPTS, Outcome, Prediction, State
from screening.models.reminder import CalendarFeed, Interval, Reminder, Standing
from screening.models.review import Conclusion, Management, Review, ReviewSeal
from screening.models.running import Heartbeat, Setback
from screening.models.share import WRONG_CODES, Opinion, Share, ShareOpening
from screening.models.visit import DoctorVisit, Finding
from screening.models.webhook import OLD_SECRET_HOURS, Event, Webhook
from screening.models.webhook_delivery import (
    ANSWER_KEPT,
    TEST_EVENT,
    Delivery,
    DeliveryAttempt,
)

__all__ = [
    "ACTIVE",
    "ACTIVE_BATCH",
    "ANSWER_KEPT",
    "MAX_ATTEMPTS",
    "OLD_SECRET_HOURS",
    "OPEN_ERASURE",
    "RETRY_HOURS",
    "SYMPTOMS",
    "TEST_EVENT",
    "WRONG_CODES",
    "Act",
    "Adoption",
    "Alert",
    "Announcement",
    "AuditEntry",
    "AuditPart",
    "AuditSegment",
    "AuditSubject",
    "Authorization",
    "Batch",
    "BatchRow",
    "BodySite",
    "BodyView",
    "CalendarFeed",
    "ChangeMark",
    "Closing",
    "Comparison",
    "Conclusion",
    "Consent",
    "Correction",
    "CorrectionKind",
    "DataKey",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryState",
    "DicomDelivery",
    "DicomNode",
    "DoctorVisit",
    "Erasure",
    "ErasureState",
    "Event",
    "Export",
    "ExternalIdentifier",
    "Finding",
    "Following",
    "FollowingState",
    "Ground",
    "Heartbeat",
    "Histology",
    "IdempotentRequest",
    "ImageScale",
    "Interval",
    "Lesion",
    "LesionImage",
    "LesionPosition",
    "Management",
    "Measurement",
    "Modality",
    "Opinion",
    "Outcome",
    "Outline",
    "Patient",
    "Prediction",
    "PredictionMaps",
    "Reminder",
    "Review",
    "ReviewSeal",
    "Rule",
    "Setback",
    "Sex",
    "Share",
    "ShareOpening",
    "Side",
    "SkinType",
    "Standing",
    "State",
    "Through",
    "Trace",
    "Webhook",
]
