"""Our own codes, mapped to SNOMED CT and ICD-10-CM where verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.diagnoses import Diagnosis
from screening.interop.codes import DIAGNOSES
from screening.interop.fhir.elements import Json, canonical, concept, resource
from screening.models import Management, Outcome

PUBLISHED = "2026-11-24"
CLASSES = "ham10000-class"

CLASS_NAMES = {diagnosis.value: diagnosis.about.label for diagnosis in Diagnosis}
OBSERVATIONS = {
    "model-reading": "Reading of a dermatoscopic image by a model",
    "clinician-conclusion": "A clinician's conclusion on an image",
    "histology": "Histology of a lesion",
    "p-malignant": "Probability of a malignant or premalignant lesion",
    "management": "What is to be done",
    "breslow": "Breslow thickness",
    "lesion-report": "Report on a skin lesion",
}
_SYSTEMS: dict[str, tuple[str, Mapping[str, str]]] = {
    CLASSES: (
        "The diagnoses of HAM10000. Some hold more than one disorder, so that no code of "
        "another system says the same: see the concept map.",
        CLASS_NAMES,
    ),
    "outcome": (
        "What the person is told of a reading. None of them is an all-clear.",
        {value: str(label) for value, label in Outcome.choices},
    ),
    "management": (
        "What a clinician wants to be done about a lesion.",
        {value: str(label) for value, label in Management.choices},
    ),
    "observation": ("What an Observation or a report of ours is about.", OBSERVATIONS),
}


def system(name: str) -> str:
    return canonical(f"CodeSystem/{name}")


def of(name: str, code: str, text: str = "") -> Json:
    """The concept for a code of one of our code systems."""
    return concept(system(name), code, _SYSTEMS[name][1][code], text)


def diagnosis(code: str) -> Json:
    return of(CLASSES, code)


def code_systems() -> list[Json]:
    return [
        _published(
            "CodeSystem",
            name,
            description,
            caseSensitive=True,
            content="complete",
            count=len(concepts),
            valueSet=canonical(f"ValueSet/{name}"),
            concept=[{"code": code, "display": text} for code, text in concepts.items()],
        )
        for name, (description, concepts) in _SYSTEMS.items()
    ]


def value_sets() -> list[Json]:
    return [
        _published("ValueSet", name, description, compose={"include": [{"system": system(name)}]})
        for name, (description, _) in _SYSTEMS.items()
    ]


def concept_maps() -> list[Json]:
    """Verified codes only: a class missing from a group has no code there."""
    return [
        _published(
            "ConceptMap",
            CLASSES,
            "HAM10000's classes in SNOMED CT and ICD-10-CM. What is not in a group has no "
            "verified code there.",
            sourceUri=canonical(f"ValueSet/{CLASSES}"),
            group=[
                {
                    "source": system(CLASSES),
                    "target": target,
                    "element": [
                        {
                            "code": code.value,
                            "display": CLASS_NAMES[code],
                            "target": [
                                {
                                    "code": mapped.code,
                                    "display": mapped.meaning,
                                    "equivalence": mapped.equivalence,
                                    "comment": mapped.comment,
                                }
                                for mapped in by_class[code]
                            ],
                        }
                        for code in Diagnosis
                        if code in by_class
                    ],
                }
                for target, by_class in DIAGNOSES.items()
            ],
        )
    ]


def _published(kind: str, name: str, description: str, **fields: Any) -> Json:
    return resource(
        kind,
        name,
        url=canonical(f"{kind}/{name}"),
        version="1",
        name="".join(word.capitalize() for word in name.split("-")) + kind,
        status="active",
        experimental=False,
        date=PUBLISHED,
        description=description,
        **fields,
    )
