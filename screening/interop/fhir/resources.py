"""All resource kinds: their rows, their FHIR form, and their search parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import User
from ml import reader
from screening.interop.fhir import (
    body_structure,
    device,
    diagnostic_report,
    media,
    observation,
    patient,
    provenance,
    risk_assessment,
    terminology,
)
from screening.interop.fhir.elements import Json
from screening.interop.fhir.identifiers import by_identifier, by_label, by_uuid
from screening.interop.fhir.parameters import (
    ALL,
    NOTHING,
    Day,
    Identity,
    Moment,
    Parameter,
    Reference,
    Token,
)
from screening.models import Patient, Prediction

OBSERVATION_STATUS = "http://hl7.org/fhir/observation-status"
GENDER = "http://hl7.org/fhir/administrative-gender"


@dataclass(frozen=True, slots=True)
class Source:
    """One table's rows as resources. rows: those that the user may see, with everything that
    ``render`` reads. parameters: by name.
    """

    rows: Callable[[User], QuerySet[Any]]
    render: Callable[[Any, str], Json]
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class Stored:
    """A kind whose resources are rows of one table, or of several with the same parameters."""

    sources: tuple[Source, ...]
    about: str

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        return self.sources[0].parameters


@dataclass(frozen=True, slots=True)
class Listed:
    """A kind with so few resources that all are listed. names: of its parameters."""

    all: Callable[[User, str], list[Json]]
    about: str
    names: tuple[str, ...] = ("_id",)


def _one_of(values: Mapping[str, Q], system: str | None = None) -> Callable[[str | None, str], Q]:
    def matches(asked: str | None, value: str) -> Q:
        if asked not in (None, system):
            return NOTHING
        if asked and not value:  # any code of the system
            return reduce(or_, values.values())
        return values.get(value, NOTHING)

    return matches


def _patient_named(system: str | None, value: str) -> Q:
    return by_identifier("patient")(system, value) | by_label(system, value)


def _of_patient(field: str) -> Callable[[str | None, str], Q]:
    """Chained: the rows are those that the user may see, whoever the patients are."""

    def matches(system: str | None, value: str) -> Q:
        return Q(**{f"{field}__in": Patient.objects.filter(_patient_named(system, value))})

    return matches


def _parameters(
    patient_field: str, changed: str = "modified", identified: Any = by_uuid, **more: Parameter
) -> Any:
    """The parameters of every kind except Patient. more: with ``_`` for ``-``."""
    common: dict[str, Parameter] = {
        "_id": Identity(),
        "_lastUpdated": Moment(changed, "When it last changed."),
        "identifier": Token(identified, "Another system's, or urn:uuid: and the id."),
        "patient": Reference(patient_field, ("Patient",), "Whose it is."),
        "patient.identifier": Token(_of_patient(patient_field), "Of the patient."),
    }
    return common | {name.replace("_", "-"): parameter for name, parameter in more.items()}


def _observation(
    code: str, statuses: Mapping[str, Q], date: str, lesion: str, image: str | None, changed: str
) -> Mapping[str, Parameter]:
    """The same names for each of the three tables, so that one search covers them all."""
    code_is = _one_of({code: ALL}, terminology.system("observation"))
    from_image = Reference(image or "pk__in", ("Media",), "Of this image.")
    found: dict[str, Parameter] = _parameters(
        f"{lesion}__patient",
        changed,
        subject=Reference(f"{lesion}__patient", ("Patient",), "Whose it is."),
        date=Day(date, "When the image was captured, or the tissue examined."),
        status=Token(
            _one_of(statuses, OBSERVATION_STATUS),
            "registered, preliminary, final, amended, cancelled or entered-in-error.",
        ),
        code=Token(code_is, "model-reading, clinician-conclusion or histology."),
        focus=Reference(lesion, ("BodyStructure",), "Of this lesion."),
    )
    found["derived-from"] = from_image if image else _Never(from_image)
    return found


@dataclass(frozen=True, slots=True)
class _Never:
    """A parameter that no row of this table can match."""

    instead_of: Parameter

    @property
    def type(self) -> str:
        return self.instead_of.type

    @property
    def about(self) -> str:
        return self.instead_of.about

    def q(self, value: str, modifier: str) -> Q:
        return NOTHING


_PREDICTION_STATUS = {
    status: Q(state__in=[state for state, told in observation.STATUS.items() if told == status])
    for status in observation.STATUS.values()
}
_FINAL = {"final": Q(was_superseded=False), "amended": Q(was_superseded=True)}
_OF_TISSUE = {
    **{status: found & Q(withdrawn_at=None) for status, found in _FINAL.items()},
    observation.IN_ERROR: Q(withdrawn_at__isnull=False),
}
_IMAGE = "image__lesion"
_NAMED = ("_id", "url")


def _devices(user: User, base: str) -> list[Json]:
    """The installed versions, and those behind readings that the user may see."""
    read = Prediction.objects.visible_to(user).order_by().values_list("model_version", flat=True)
    return [
        device.render(version, base) for version in sorted({*reader.versions(), *read.distinct()})
    ]


KINDS: dict[str, Stored | Listed] = {
    "Patient": Stored(
        (
            Source(
                patient.rows,
                patient.render,
                {
                    "_id": Identity(),
                    "_lastUpdated": Moment("modified", "When it last changed."),
                    "identifier": Token(
                        _patient_named,
                        "Another system's, the label, or urn:uuid: and the id.",
                    ),
                    "gender": Token(
                        _one_of(
                            {told: Q(sex=sex) for sex, told in patient.GENDERS.items()}, GENDER
                        ),
                        "female, male or unknown.",
                    ),
                },
            ),
        ),
        "The person whose skin it is, by a pseudonym.",
    ),
    "BodyStructure": Stored(
        (
            Source(
                body_structure.rows,
                body_structure.render,
                _parameters("patient", "changed_at", identified=by_identifier("lesion")),
            ),
        ),
        "A lesion.",
    ),
    "Media": Stored(
        (
            Source(
                media.rows,
                media.render,
                _parameters(
                    "lesion__patient",
                    "changed_at",
                    identified=by_identifier("image"),
                    subject=Reference("lesion__patient", ("Patient",), "Whose it is."),
                    created=Day("captured_on", "When it was captured."),
                ),
            ),
        ),
        "A picture of a lesion.",
    ),
    "Observation": Stored(
        (
            Source(
                observation.predictions,
                observation.render_prediction,
                _observation(
                    "model-reading",
                    _PREDICTION_STATUS,
                    "image__captured_on",
                    _IMAGE,
                    "image",
                    "changed_at",
                ),
            ),
            Source(
                observation.reviews,
                observation.render_review,
                _observation(
                    "clinician-conclusion",
                    _FINAL,
                    "image__captured_on",
                    _IMAGE,
                    "image",
                    "changed_at",
                ),
            ),
            Source(
                observation.histologies,
                observation.render_histology,
                _observation("histology", _OF_TISSUE, "examined_on", "lesion", None, "changed_at"),
            ),
        ),
        "What a model read (preliminary for good), what a clinician concluded, histology (final).",
    ),
    "RiskAssessment": Stored(
        (
            Source(
                risk_assessment.rows,
                risk_assessment.render,
                _parameters(
                    f"{_IMAGE}__patient",
                    "changed_at",
                    subject=Reference(f"{_IMAGE}__patient", ("Patient",), "Whose it is."),
                    date=Day("image__captured_on", "When the image was captured."),
                ),
            ),
        ),
        "How likely a model holds a lesion to be malignant or premalignant.",
    ),
    "DiagnosticReport": Stored(
        (
            Source(
                diagnostic_report.rows,
                diagnostic_report.render,
                _parameters(
                    "patient",
                    "changed_at",
                    subject=Reference("patient", ("Patient",), "Whose it is."),
                    date=Day("captured_last", "When the last image was captured."),
                ),
            ),
        ),
        "A lesion with all that is known of it.",
    ),
    "Provenance": Stored(
        (
            Source(
                provenance.rows,
                provenance.render,
                {
                    name: parameter
                    for name, parameter in _parameters(
                        f"{_IMAGE}__patient",
                        recorded=Moment("finished_at", "When the model had read it."),
                        target=Reference("pk", ("Observation", "RiskAssessment"), "What was said."),
                    ).items()
                    if name != "identifier"
                },
            ),
        ),
        "Which model read which image.",
    ),
    "Device": Listed(_devices, "A version of the model."),
    "DocumentReference": Listed(
        lambda user, base: [device.render_card(version, base) for version in reader.versions()],
        "The card of a version of the model.",
    ),
    "CodeSystem": Listed(lambda user, base: terminology.code_systems(), "Our own codes.", _NAMED),
    "ValueSet": Listed(lambda user, base: terminology.value_sets(), "Of our own codes.", _NAMED),
    "ConceptMap": Listed(
        lambda user, base: terminology.concept_maps(),
        "The classes in SNOMED CT and ICD-10-CM, as far as that is verified.",
        _NAMED,
    ),
}
