from screening.models.access_log import AccessLog
from screening.models.alert import Alert, Rule
from screening.models.comparison import ChangeMark, Comparison
from screening.models.histology import Histology
from screening.models.image import LesionImage, Modality
from screening.models.lesion import SYMPTOMS, BodySite, Lesion
from screening.models.maps import PredictionMaps
from screening.models.measurement import ImageScale, Measurement, Outline
from screening.models.patient import Patient, Sex, SkinType
from screening.models.position import BodyView, LesionPosition, Side
from screening.models.prediction import MAX_ATTEMPTS, Outcome, Prediction, State
from screening.models.reminder import CalendarFeed, Interval, Reminder, Standing
from screening.models.review import Conclusion, Management, Review

__all__ = [
    "MAX_ATTEMPTS",
    "SYMPTOMS",
    "AccessLog",
    "Alert",
    "BodySite",
    "BodyView",
    "CalendarFeed",
    "ChangeMark",
    "Comparison",
    "Conclusion",
    "Histology",
    "ImageScale",
    "Interval",
    "Lesion",
    "LesionImage",
    "LesionPosition",
    "Management",
    "Measurement",
    "Modality",
    "Outcome",
    "Outline",
    "Patient",
    "Prediction",
    "PredictionMaps",
    "Reminder",
    "Review",
    "Rule",
    "Sex",
    "Side",
    "SkinType",
    "Standing",
    "State",
]
