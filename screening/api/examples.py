"""Examples for the schema: one patient from registration to a reviewed reading."""

from __future__ import annotations

from typing import Any

from ml.diagnoses import Diagnosis
from screening.predictions.advice import DISCLAIMER, NOT_AN_ALL_CLEAR

HOST = "https://skincheck.example.org/api/v1"
_CLINIC = "019ab0d2-5c8e-7d10-9f3a-5d0f6b1c2a10"
_PATIENT = "019ab0d2-7a41-7c22-8b6e-0c4d9e7f1a22"
_LESION = "019ab0d3-1f05-7e83-a1c9-7b2e8d4f6c31"
_IMAGE = "019ab0d3-92bc-7a54-b7d0-3e9f1c5a8d42"
_PREDICTION = "019ab0d3-92c1-7f66-8c2b-6a1d0e4b9f53"
_REVIEW = "019ab0e1-04d7-7b97-9e5c-1f8a3d6c2b64"
_QUEUED = "2026-03-12T09:31:07.412905Z"


def _stamps(kind: str, pk: str, moment: str) -> dict[str, str]:
    return {"id": pk, "url": f"{HOST}/{kind}/{pk}/", "created": moment}


def _by_diagnosis(*values: float) -> dict[str, float]:
    return dict(zip(map(str, Diagnosis), values, strict=True))


CLINIC: dict[str, Any] = {
    "id": _CLINIC,
    "name": "North clinic",
    "role": "clinician",
    "review_before_reading": False,
}

PATIENT_IN: dict[str, Any] = {
    "clinic": _CLINIC,
    "identifiers": [{"system": "https://practice.example.org/patients", "value": "412"}],
    "label": "N-0412",
    "birth_year": 1961,
    "sex": "female",
    "skin_type": "II",
}
PATIENT: dict[str, Any] = {
    **_stamps("patients", _PATIENT, "2026-03-12T09:30:41.120331Z"),
    "modified": "2026-03-12T09:30:41.120398Z",
    **PATIENT_IN,
}

LESION_IN: dict[str, Any] = {
    "patient": _PATIENT,
    "identifiers": [],
    "label": "Left shoulder blade",
    "body_site": "back",
    "itching": True,
}
LESION: dict[str, Any] = {
    **_stamps("lesions", _LESION, "2026-03-12T09:30:52.801733Z"),
    "modified": "2026-03-12T09:30:52.801790Z",
    **LESION_IN,
    "notes": "",
    "raised": False,
    "bleeding": False,
    "changing": False,
    "image_count": 1,
    "latest_image": _IMAGE,
    "latest_outcome": "see_doctor",
    "standing_outcome": "see_doctor",
    "standing_image": _IMAGE,
    "earlier_outcome": None,
    "unread": None,
    "awaits": None,
    "settled_by": [],
    "closed_on": None,
    "closed_day_is_known": False,
}

_WAITING: dict[str, Any] = {
    "id": _PREDICTION,
    "url": f"{HOST}/predictions/{_PREDICTION}/",
    "image": _IMAGE,
    "lesion": _LESION,
    "state": "queued",
    "counts": False,
    "outcome": None,
    "model_outcome": None,
    "advice": None,
    "reason": None,
    "remarks": [],
    "p_malignant": None,
    "probabilities": None,
    "balanced_probabilities": None,
    "image_logits": None,
    "context": None,
    "details_now": {"age": 65.0, "sex": "female", "localization": "back"},
    "read_with_other_details": False,
    "told_until": None,
    "context_terms": None,
    "in_distribution": None,
    "model_version": "2026.11.1",
    "weights_sha256": None,
    "thresholds_version": None,
    "duration_ms": None,
    "queued_at": _QUEUED,
    "started_at": None,
    "finished_at": None,
    "failure": None,
    "disclaimer": DISCLAIMER,
}
QUEUED = _WAITING
# A reading without figures in its advice: those come from the card of the version that read.
PREDICTION: dict[str, Any] = {
    **_WAITING,
    "state": "succeeded",
    "counts": True,
    "outcome": "see_doctor",
    "model_outcome": "not_assessable",
    "advice": {
        "title": "See a doctor within two weeks",
        "text": [
            "This spot is marked as itching: a doctor should look at it.",
            "The picture is blurred.",
            "Rest the dermatoscope on the skin, wait for the focus, and take it again.",
            NOT_AN_ALL_CLEAR,
        ],
    },
    "reason": "blurred",
    "p_malignant": 0.18,
    "probabilities": _by_diagnosis(0.02, 0.05, 0.13, 0.01, 0.11, 0.67, 0.01),
    "balanced_probabilities": _by_diagnosis(0.06, 0.12, 0.15, 0.07, 0.16, 0.39, 0.05),
    "image_logits": _by_diagnosis(-0.9, -0.1, 0.2, -0.7, 0.3, 1.1, -1.0),
    "context": {"age": 65.0, "sex": "female", "localization": "back"},
    "context_terms": {
        "age": _by_diagnosis(0.2, 0.1, 0.1, -0.1, 0.0, -0.2, 0.0),
        "sex": _by_diagnosis(0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0),
        "localization": _by_diagnosis(-0.1, 0.1, 0.0, -0.1, 0.1, 0.1, 0.0),
    },
    "in_distribution": 0.94,
    "weights_sha256": "6b3a55e0261b0304143f805a24924d0c1c44524821305f31d9277843b8a10f4e",
    "thresholds_version": "2026.11.1",
    "duration_ms": 41,
    "started_at": "2026-03-12T09:31:07.498120Z",
    "finished_at": "2026-03-12T09:31:07.561744Z",
}

_LOGITS: dict[str, float] = PREDICTION["image_logits"]
# A picture read at 40 x 20 pixels, so that its two rows of four cells fit on a page.
MAPS: dict[str, Any] = {
    "prediction": _PREDICTION,
    "assessable": False,
    "mask_url": f"{HOST}/predictions/{_PREDICTION}/mask/",
    "mask_width": 40,
    "mask_height": 20,
    "outline": [[0.375, 0.25], [0.625, 0.2], [0.7, 0.6], [0.5, 0.85], [0.325, 0.65]],
    "evidence": {
        code: [[0.0, share, share, 0.0], [0.0, share, share, 0.0]]
        for code, share in ((code, round((logit - 0.1) / 4, 5)) for code, logit in _LOGITS.items())
    },
    "evidence_cell": 10,
    "bias": _by_diagnosis(*[0.1] * 7),
}

QUEUED_WHOLE: dict[str, Any] = {
    **QUEUED,
    "mask": None,
    "maps_url": None,
    "maps_unreadable": False,
    "measures": None,
}
PREDICTION_WHOLE: dict[str, Any] = {
    **PREDICTION,
    "mask": {
        "url": MAPS["mask_url"],
        "width": MAPS["mask_width"],
        "height": MAPS["mask_height"],
        "outline": MAPS["outline"],
    },
    "maps_url": f"{HOST}/predictions/{_PREDICTION}/maps/",
    "maps_unreadable": False,
    "measures": None,
}

REVIEW_IN: dict[str, Any] = {
    "image": _IMAGE,
    "conclusion": "nv",
    "management": "monitor",
    "note": "Regular network. See again in three months.",
}
REVIEW: dict[str, Any] = {
    **_stamps("reviews", _REVIEW, "2026-03-12T11:02:15.330021Z"),
    "lesion": _LESION,
    "reviewer": "clinician@north.example.org",
    **REVIEW_IN,
    "supersedes": None,
    "superseded_by": None,
    "signature": "5f0c7f2d9e6a4b1c8d3e0f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c",
    "signature_holds": True,
    "shown_at": "2026-03-12T10:01:44.290551Z",
}

IMAGE_QUEUED: dict[str, Any] = {
    **_stamps("images", _IMAGE, _QUEUED),
    "modified": _QUEUED,
    "lesion": _LESION,
    "identifiers": [{"system": "urn:oid:2.25.1", "value": "IMG-77"}],
    "captured_on": "2026-03-12",
    "captured_time": None,
    "modality": "dermatoscopic",
    "width": 600,
    "height": 450,
    "sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
    "camera_model": "",
    "is_synthetic": False,
    "image_url": f"{HOST}/images/{_IMAGE}/file",
    "thumbnail_url": f"{HOST}/images/{_IMAGE}/thumbnail",
    "latest_prediction": QUEUED,
    "latest_review": None,
}
IMAGE: dict[str, Any] = {
    **IMAGE_QUEUED,
    "latest_prediction": PREDICTION,
    "latest_review": REVIEW,
}
# A one-pixel picture stands for the client's file.
IMAGE_IN: dict[str, Any] = {
    "lesion": _LESION,
    "file": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAA"
    "AABJRU5ErkJggg==",
    "captured_on": "2026-03-12",
    "identifiers": [{"system": "urn:oid:2.25.1", "value": "IMG-77"}],
}
