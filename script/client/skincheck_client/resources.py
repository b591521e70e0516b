"""The records of the API in JSON: identifiers, days and times are text.

The site may add fields at any time. ``docs/api.md`` and ``/api/docs/`` of the site explain each
field. A field of another resource is ``None`` without the scope to read that resource.
"""

from __future__ import annotations

from typing import Literal, TypedDict

Outcome = Literal["urgent", "see_doctor", "monitor", "not_assessable"]
Modality = Literal["dermatoscopic", "clinical"]
Sex = Literal["female", "male", ""]
SkinType = Literal["I", "II", "III", "IV", "V", "VI", ""]
BodySite = Literal[
    "abdomen",
    "acral",
    "back",
    "chest",
    "ear",
    "face",
    "foot",
    "genital",
    "hand",
    "lower extremity",
    "neck",
    "scalp",
    "trunk",
    "upper extremity",
    "",
]
ReadingState = Literal["queued", "running", "succeeded", "failed"]
ExportState = Literal["queued", "running", "ready", "failed", "ended"]
DeliveryState = Literal["waiting", "sending", "delivered", "failed"]
DicomAuthorization = Literal["none", "basic", "bearer"]
HistologyDiagnosis = Literal["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "other"]
Conclusion = Literal["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "other", "uncertain"]
Management = Literal["none", "monitor", "excise", "refer", "done"]
EventType = Literal[
    "prediction.finished",
    "prediction.failed",
    "alert.opened",
    "review.recorded",
    "batch.finished",
    "patient.created",
    "patient.changed",
    "patient.withdrawn",
    "lesion.created",
    "lesion.changed",
    "lesion.withdrawn",
    "image.created",
    "image.changed",
    "image.withdrawn",
    "histology.created",
    "histology.changed",
    "histology.withdrawn",
]


class Identifier(TypedDict):
    """system: a URI of yours."""

    system: str
    value: str


class Clinic(TypedDict):
    id: str
    name: str
    role: str
    review_before_reading: bool


class Patient(TypedDict):
    id: str
    url: str
    created: str
    modified: str
    clinic: str | None
    identifiers: list[Identifier]
    label: str
    birth_year: int | None
    sex: Sex
    skin_type: SkinType


class Act(TypedDict):
    kind: Literal["review", "histology", "visit"]
    id: str
    created: str
    by: str
    text: str


class Lesion(TypedDict):
    """``standing_outcome`` is the lesion's: show ``unread``, ``earlier_outcome`` and ``awaits``
    beside it.
    """

    id: str
    url: str
    created: str
    modified: str
    patient: str
    identifiers: list[Identifier]
    label: str
    body_site: BodySite
    notes: str
    raised: bool
    bleeding: bool
    itching: bool
    changing: bool
    image_count: int
    latest_image: str | None
    latest_outcome: Outcome | None
    standing_outcome: Outcome | None
    standing_image: str | None
    earlier_outcome: Outcome | None
    unread: Literal["not_read", "being_read"] | None
    awaits: Literal["treatment", "removal", "result"] | None
    settled_by: list[Act] | None
    closed_on: str | None
    closed_day_is_known: bool


class Advice(TypedDict):
    """Show all of it."""

    title: str
    text: list[str]


class ByDiagnosis(TypedDict):
    akiec: float
    bcc: float
    bkl: float
    df: float
    mel: float
    nv: float
    vasc: float


class Context(TypedDict):
    age: float | None
    sex: str | None
    localization: str | None


class ContextTerms(TypedDict):
    age: ByDiagnosis | None
    sex: ByDiagnosis | None
    localization: ByDiagnosis | None


class Prediction(TypedDict):
    """Show ``outcome`` with the whole ``advice`` and the ``disclaimer``."""

    id: str
    url: str
    image: str
    lesion: str
    state: ReadingState
    counts: bool
    outcome: Outcome | None
    model_outcome: Outcome | None
    advice: Advice | None
    reason: str | None
    remarks: list[str]
    p_malignant: float | None
    probabilities: ByDiagnosis | None
    balanced_probabilities: ByDiagnosis | None
    image_logits: ByDiagnosis | None
    context: Context | None
    details_now: Context | None
    read_with_other_details: bool
    told_until: str | None
    context_terms: ContextTerms | None
    in_distribution: float | None
    model_version: str
    weights_sha256: str | None
    thresholds_version: str | None
    duration_ms: int | None
    queued_at: str
    started_at: str | None
    finished_at: str | None
    failure: str | None
    disclaimer: str


class Mask(TypedDict):
    url: str
    width: int
    height: int
    outline: list[list[float]]


class Measures(TypedDict):
    algorithm_version: str
    area_share: float
    area_px: float
    longest_diameter_px: float
    shortest_diameter_px: float
    perimeter_px: float
    area_mm2: float | None
    longest_diameter_mm: float | None
    shortest_diameter_mm: float | None
    perimeter_mm: float | None
    asymmetry_shape: float
    asymmetry_colour: float
    border_irregularity: float
    colour_variegation: float
    colours: dict[str, float]
    touches_border: bool


class PredictionDetail(Prediction):
    mask: Mask | None
    maps_url: str | None
    maps_unreadable: bool
    measures: Measures | None


class Review(TypedDict):
    id: str
    url: str
    created: str
    image: str
    lesion: str
    reviewer: str
    conclusion: Conclusion
    management: Management
    note: str
    shown_at: str | None
    supersedes: str | None
    superseded_by: str | None
    signature: str
    signature_holds: bool


class Image(TypedDict):
    id: str
    url: str
    created: str
    modified: str
    lesion: str
    identifiers: list[Identifier]
    captured_on: str
    captured_time: str | None
    modality: Modality
    width: int
    height: int
    sha256: str
    camera_model: str
    is_synthetic: bool
    image_url: str
    thumbnail_url: str
    latest_prediction: Prediction | None
    latest_review: Review | None


class AddedImage(Image):
    """remark: a notice in words, or empty."""

    remark: str


class Histology(TypedDict):
    id: str
    url: str
    created: str
    lesion: str
    patient: str
    recorded_by: str
    diagnosis: HistologyDiagnosis
    examined_on: str
    breslow_mm: str | None
    note: str
    shown_at: str | None
    supersedes: str | None
    superseded_by: str | None


class Event(TypedDict):
    """data: identifiers by kind, as ``{"patient": ..., "lesion": ...}``."""

    id: str
    type: EventType
    timestamp: str
    data: dict[str, str | None]


class DicomNode(TypedDict):
    """failures: attempts that got no answer since the last that did."""

    id: str
    url: str
    created: str
    modified: str
    clinic: str
    name: str
    address: str
    authorization: DicomAuthorization
    for_research: bool
    failures: int


class Tested(TypedDict):
    """answers: as DICOMweb does. message: what came back, in words."""

    answers: bool
    message: str


class DicomDelivery(TypedDict):
    """One picture on its way to one DICOM node. message: what came back, in words."""

    id: str
    url: str
    created: str
    modified: str
    node: str
    image: str
    with_readings: bool
    state: DeliveryState
    tries: int
    due_at: str
    given_up_at: str
    finished_at: str | None
    study_uid: str | None
    series_uid: str | None
    instance_uid: str | None
    status_code: int | None
    message: str | None


class Sent(TypedDict):
    deliveries: list[DicomDelivery]


class Export(TypedDict):
    id: str
    url: str
    created: str
    patient: str | None
    state: ExportState
    steps: int
    steps_done: int
    failure: str | None
    file_url: str | None
    file_bytes: int | None
    sha256: str | None
    finished_at: str | None
    expires_at: str | None
