"""What a search adds, sorts and leaves out: _include, _revinclude, _sort, _summary, _elements."""

from __future__ import annotations

from datetime import date, timedelta
from importlib import import_module

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from screening.interop.fhir import includes
from screening.interop.fhir.resources import KINDS, Stored
from screening.interop.fhir.search import sortable
from screening.interop.fhir.summaries import MANDATORY, SUMMARY, TOLD_WITH_IT
from screening.models import Lesion, LesionImage, Prediction
from tests.api.fhir.conftest import BASE, check, fetched, resources
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
)

STORED = [kind for kind, found in KINDS.items() if isinstance(found, Stored)]


def added(bundle) -> list[str]:
    return [
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in bundle.get("entry", [])
        if one["search"]["mode"] == "include"
    ]


def kinds(bundle) -> set[str]:
    return {name.partition("/")[0] for name in added(bundle)}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("Media?_include=Media:patient", {"Patient"}),
        ("Media?_include=Media:subject:Patient", {"Patient"}),
        ("Media?_include=Media:subject:Group", set()),
        ("BodyStructure?_include=BodyStructure:patient", {"Patient"}),
        (
            "Observation?_include=*",
            {"Patient", "BodyStructure", "Media", "Device"},
        ),
        ("Observation?_include=Observation:device", {"Device"}),
        ("DiagnosticReport?_include=DiagnosticReport:result", {"Observation"}),
        (
            "DiagnosticReport?_include=DiagnosticReport:media&_include:iterate=Media:subject",
            {"Media", "Patient"},
        ),
        ("Provenance?_include=Provenance:target", {"Observation", "RiskAssessment"}),
        (
            "Provenance?_include=Provenance:entity&_include=Provenance:agent",
            {"Media", "DocumentReference", "Device"},
        ),
        ("DocumentReference?_include=DocumentReference:related", {"Device"}),
        (
            "Patient?_revinclude=BodyStructure:patient&_revinclude=Media:subject",
            {"BodyStructure", "Media"},
        ),
        ("Patient?_revinclude=*", set(STORED) - {"Patient"}),
        ("BodyStructure?_revinclude=Observation:focus", {"Observation"}),
        ("Media?_revinclude=Observation:derived-from", {"Observation"}),
        (
            "Media?_revinclude=Observation:derived-from&_revinclude:iterate=Provenance:target",
            {"Observation", "Provenance"},
        ),
        ("Observation?_revinclude=Provenance:target", {"Provenance"}),
    ],
)
def test_what_results_refer_to_comes_along(clinician, record, query, wanted):
    alone = resources(fetched(clinician, query.partition("?")[0]))
    bundle = fetched(clinician, query, HTTP_PREFER="handling=strict")
    assert resources(bundle) == alone
    assert kinds(bundle) == wanted
    names = added(bundle)
    assert len(set(names)) == len(names)
    assert not set(names) & {f"{one['resourceType']}/{one['id']}" for one in alone}


def test_only_what_refers_to_the_page(clinician, record, personas):
    other = LesionImageFactory(lesion__patient=PatientFactory(clinic=personas.clinic))
    bundle = fetched(clinician, f"Patient?_id={record.patient.pk}&_revinclude=Media:patient")
    assert kinds(bundle) == {"Media"}
    assert f"Media/{other.pk}" not in added(bundle)
    assert f"Media/{other.pk}" in added(fetched(clinician, "Patient?_revinclude=Media:patient"))


def test_nothing_comes_along_that_is_not_to_be_seen(client_of, personas, record):
    """Who concludes blind sees no reading, by whatever way."""
    PredictionFactory(image=LesionImageFactory(lesion=record.lesion))
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    clinician = client_of(personas.clinician)
    seen = {one["id"] for one in resources(fetched(clinician, "Observation"))}
    hidden = {str(pk) for pk in Prediction.objects.values_list("pk", flat=True)} - seen
    assert hidden
    bundle = fetched(clinician, "Media?_revinclude=Observation:derived-from")
    found = {name.partition("/")[2] for name in added(bundle)}
    assert not hidden & found
    outsider = client_of(personas.colleague)
    assert not added(fetched(outsider, "Device?_revinclude=*"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_inclusion_that_is_told_is_understood(clinician, record, kind):
    (rest,) = fetched(Program(), "metadata")["rest"]
    told = next(one for one in rest["resource"] if one["type"] == kind)
    for parameter, values in (
        ("_include", told.get("searchInclude", [])),
        ("_revinclude", told.get("searchRevInclude", [])),
    ):
        for value in values:
            fetched(clinician, f"{kind}?{parameter}={value}", HTTP_PREFER="handling=strict")


def test_too_much_is_refused_not_cut_off(clinician, record, monkeypatch):
    monkeypatch.setattr(includes, "AT_MOST", 2)
    response = clinician.get(f"{BASE}/Patient?_revinclude=Observation:patient")
    assert response.status_code == 400
    check(response.json())
    assert response.json()["issue"][0]["code"] == "too-costly"


@pytest.mark.parametrize(
    "again",
    ["_revinclude=*", "_revinclude:iterate=*", "_sort=_id", f"_sort={','.join(['_id'] * 200)}"],
)
def test_what_is_asked_for_again_costs_nothing(clinician, record, again):
    once, often = f"Patient?{again.partition(',')[0]}", f"Patient?{'&'.join([again] * 200)}"
    found = fetched(clinician, once)
    with CaptureQueriesContext(connection) as few:
        fetched(clinician, once)
    with CaptureQueriesContext(connection) as many:
        assert resources(fetched(clinician, often)) == resources(found)
    assert len(many) == len(few)


@pytest.mark.parametrize(
    "query", ["Observation?_include=*", "Patient?_revinclude=*", "Media?_revinclude=*"]
)
def test_as_many_queries_for_many_rows_as_for_few(
    clinician, record, query, django_assert_max_num_queries
):
    clinician.get(f"{BASE}/{query}")
    with django_assert_max_num_queries(60) as few:
        clinician.get(f"{BASE}/{query}")
    for _ in range(3):
        image = LesionImageFactory(lesion=LesionFactory(patient=record.patient))
        PredictionFactory(image=image)
        ReviewFactory(image=image)
    cache.clear()
    with django_assert_max_num_queries(60) as many:
        clinician.get(f"{BASE}/{query}")
    assert len(many) == len(few) > 0


@pytest.mark.parametrize("kind", STORED)
def test_every_order_reaches_every_row_once(clinician, record, kind):
    expected = sorted(one["id"] for one in resources(fetched(clinician, kind)))
    for name in sortable(kind):
        for order in (name, f"-{name}", f"{name},-_id"):
            address = f"{BASE}/{kind}?_sort={order}&_count=2"
            found, pages = [], 0
            while address:
                cache.clear()
                bundle = clinician.get(address, HTTP_PREFER="handling=strict").json()
                check(bundle)
                found += [one["id"] for one in resources(bundle)]
                links = {link["relation"]: link["url"] for link in bundle["link"]}
                assert f"_sort={order}".replace(",", "%2C") in links["self"]
                address = links.get("next", "").removeprefix("http://testserver")
                pages += 1
            assert sorted(found) == expected, order
            assert pages == max(1, -(-len(expected) // 2))


def test_sorted_by_day_and_by_change(clinician, lesion):
    days = [date(2026, 3, day) for day in (2, 1, 3)]
    images = [LesionImageFactory(lesion=lesion, captured_on=day) for day in days]
    for number, image in enumerate(images):
        PredictionFactory(image=image)
        changed = timezone.now() + timedelta(hours=3 - number)
        LesionImage.objects.filter(pk=image.pk).update(modified=changed)

    def order(query):
        return [one["id"] for one in resources(fetched(clinician, query))]

    pks = [str(image.pk) for image in images]
    assert order("Media?_sort=created") == [pks[1], pks[0], pks[2]]
    assert order("Media?_sort=-created") == [pks[2], pks[0], pks[1]]
    assert order("Media?_sort=_lastUpdated") == [pks[2], pks[1], pks[0]]
    told = [
        one["effectiveDateTime"] for one in resources(fetched(clinician, "Observation?_sort=date"))
    ]
    assert told == sorted(told)


def test_three_tables_are_sorted_as_one(clinician, record):
    for query in ("date", "-date"):
        found = resources(fetched(clinician, f"Observation?_sort={query}"))
        days = [one["effectiveDateTime"] for one in found]
        assert days == sorted(days, reverse=query.startswith("-"))
        assert len({one["code"]["coding"][0]["code"] for one in found}) == 3


def test_a_report_without_a_picture_has_its_place(clinician, record):
    bare = LesionFactory(patient=record.patient, bleeding=True)
    Lesion.objects.filter(pk=bare.pk).update(symptoms_at=timezone.now())
    found = resources(fetched(clinician, "DiagnosticReport?_sort=date"))
    assert found[0]["id"] == str(bare.pk)


def test_the_page_of_another_order_is_refused(clinician, record):
    bundle = clinician.get(f"{BASE}/Observation?_sort=date&_count=1").json()
    (following,) = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
    page = following.partition("_page=")[2]
    assert clinician.get(f"{BASE}/Observation?_sort=_id,date&_page={page}").status_code == 400


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_is_what_r4_says(clinician, record, kind):
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    of_r4 = {*model.summary_elements_sequence(), "resourceType"}
    required = {
        field.alias or name
        for name, field in model.model_fields.items()
        if field.is_required() or (field.json_schema_extra or {}).get("element_required")
    }
    assert set(MANDATORY.get(kind, ())) == required
    assert set(SUMMARY.get(kind, ())) <= of_r4
    whole = fetched(clinician, kind)
    short = fetched(clinician, f"{kind}?_summary=true")
    for full, cut in zip(resources(whole), resources(short), strict=True):
        kept = of_r4 | required | set(TOLD_WITH_IT.get(kind, ()))
        assert cut.keys() - {"meta"} == (full.keys() - {"meta"}) & kept
        assert cut["meta"]["tag"][0]["code"] == "SUBSETTED"
        assert all(cut[name] == full[name] for name in cut if name != "meta")
        one = fetched(clinician, f"{kind}/{full['id']}?_summary=true")
        assert one == cut


def test_a_summary_keeps_what_is_told_with_a_reading(clinician, record):
    for one in resources(fetched(clinician, "Observation?code=model-reading&_summary=true")):
        assert one["meta"]["security"][0]["code"] == "AIAST"
        if one["status"] == "preliminary":
            assert "cannot diagnose" in one["note"][-1]["text"]
        assert "valueCodeableConcept" in one or "dataAbsentReason" in one


def test_some_elements(clinician, record):
    for cut in resources(fetched(clinician, "Media?_elements=height,width")):
        assert cut.keys() == {"resourceType", "id", "meta", "height", "width", "status", "content"}
    text = resources(fetched(clinician, "Media?_summary=text"))
    assert all(one.keys() == {"resourceType", "id", "meta", "status", "content"} for one in text)
    whole = fetched(clinician, "Media")
    assert resources(fetched(clinician, "Media?_summary=data")) == resources(whole)
    refused = clinician.get(f"{BASE}/Patient/{record.patient.pk}?_summary=brief")
    assert refused.status_code == 400


def test_names_stay_when_the_site_moves(clinician, record, settings):
    def names(**extra):
        one = fetched(clinician, f"Patient/{record.patient.pk}", **extra)
        listed = resources(fetched(clinician, "CodeSystem", **extra))
        statement = fetched(Program(), "metadata", **extra)
        return one["identifier"], [code["url"] for code in listed], statement["url"]

    settings.ALLOWED_HOSTS = ["testserver", "new.example"]
    before = names()
    settings.SITE_URL = "https://new.example"
    assert names(HTTP_HOST="new.example") == before
    moved = fetched(Program(), "metadata", HTTP_HOST="new.example")
    assert moved["implementation"]["url"] == "http://new.example/fhir/R4"
