from screening.models.access_log import AccessLog
from screening.models.image import LesionImage, Modality
from screening.models.lesion import SYMPTOMS, BodySite, Lesion
from screening.models.maps import PredictionMaps
from screening.models.patient import Patient, Sex, SkinType
from screening.models.prediction import MAX_ATTEMPTS, Outcome, Prediction, State
from screening.models.review import Conclusion, Management, Review

__all__ = [
    "MAX_ATTEMPTS",
    "SYMPTOMS",
    "AccessLog",
    "BodySite",
    "Conclusion",
    "Lesion",
    "LesionImage",
    "Management",
    "Modality",
    "Outcome",
    "Patient",
    "Prediction",
    "PredictionMaps",
    "Review",
    "Sex",
    "SkinType",
    "State",
]
