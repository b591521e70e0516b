"""QIDO-RS: by dicomweb-client over HTTP, and the parameters one by one."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest
from pydicom import Dataset

from accounts import services
from screening.interop.dicom import readings, uids
from screening.interop.dicomweb import search
from screening.models import Prediction
from tests.api.dicomweb.conftest import BASE, DAY, KEPT, LATER, value
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    PredictionMapsFactory,
)
from tests.privacy.entries import entries

DMS, XC = "DMS", "XC"


def study(record, day=DAY) -> str:
    return uids.study_uid(record.patient.pk, day)


def found(client, address: str, status: int = 200) -> list[dict]:
    response = client.get(f"{BASE}{address}")
    assert response.status_code == status, response.content
    return response.json()


def test_a_client_finds_studies(peer, record):
    late, early = (Dataset.from_json(one) for one in peer.search_for_studies())
    assert (late.StudyDate, early.StudyDate) == ("20260301", "20260112")
    assert early.StudyInstanceUID == study(record)
    assert early.PatientID == str(record.patient.pk)
    assert early.PatientName.family_name == "SkinCheck"
    assert sorted(early.ModalitiesInStudy) == [DMS, XC]
    assert (early.NumberOfStudyRelatedSeries, early.NumberOfStudyRelatedInstances) == (3, 3)
    # Its client sends the host without the port.
    assert early.RetrieveURL == f"http://localhost{BASE}/studies/{study(record)}"


def test_a_client_finds_series_and_instances(peer, record):
    series = [Dataset.from_json(one) for one in peer.search_for_series(study(record))]
    assert sorted(one.Modality for one in series) == [DMS, DMS, XC]
    assert {one.NumberOfSeriesRelatedInstances for one in series} == {1}
    assert len(peer.search_for_series()) == 4
    of_jpeg = uids.series_uid(record.jpeg.lesion_id, DAY, "dermatoscopic")
    assert of_jpeg in {one.SeriesInstanceUID for one in series}
    [image] = peer.search_for_instances(study(record), of_jpeg)
    told = Dataset.from_json(image)
    assert told.SOPInstanceUID == uids.uid_of(record.jpeg.pk)
    assert (told.Rows, told.Columns) == (record.jpeg.height, record.jpeg.width)
    assert len(peer.search_for_instances(study(record))) == 3
    assert len(peer.search_for_instances()) == 4
    assert len(peer.search_for_instances(get_remaining=True, limit=1)) == 4
    [kept] = peer.search_for_instances(search_filters={"SOPInstanceUID": KEPT})
    assert Dataset.from_json(kept).SOPInstanceUID == KEPT


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("StudyDate=20260112", [DAY]),
        ("StudyDate=20260113-", [LATER]),
        ("StudyDate=-20260112", [DAY]),
        ("StudyDate=20260101-20260131", [DAY]),
        ("00080020=20260301", [LATER]),
        ("StudyDate=20270101", []),
        ("StudyDate=*", [LATER, DAY]),
        ("ModalitiesInStudy=XC", [DAY]),
        ("ModalitiesInStudy=DMS", [LATER, DAY]),
        ("ModalitiesInStudy=CT", []),
        ("PatientName=SkinCheck*", [LATER, DAY]),
        ("PatientName=skincheck^*", [LATER, DAY]),
        ("PatientName=Muster^Erika", []),
        ("PatientName=*", [LATER, DAY]),
        ("AccessionNumber=7", []),
        ("AccessionNumber=", [LATER, DAY]),
        ("ReferringPhysicianName=House", []),
        ("StudyTime=1030", []),
        ("StudyID=1", [LATER, DAY]),
        ("StudyID=2", []),
        ("StudyInstanceUID=1.2.3", []),
        ("StudyInstanceUID=2.25.340282366920938463463374607431768211456.20260112", []),
        ("StudyInstanceUID=2.25.1.20261399", []),
        ("PatientID=x", []),
        ("limit=1", [LATER]),
        ("limit=1&offset=1", [DAY]),
        ("offset=2", []),
        ("limit=0", []),
        ("includefield=all", [LATER, DAY]),
        ("includefield=00081030&includefield=PatientAge,BodyPartExamined", [LATER, DAY]),
    ],
)
def test_what_matches_is_found(clinician, record, query, days):
    told = found(clinician, f"/studies?{query}")
    assert [value(one, "00080020") for one in told] == [f"{day:%Y%m%d}" for day in days]


def test_a_patient_is_found_by_the_pseudonym(clinician, record, personas):
    other = LesionFactory(patient__clinic=personas.clinic)
    LesionImageFactory(lesion=other, captured_on=DAY)
    name = f"SkinCheck^{record.patient.pk.hex[-8:].upper()}"
    for query in (
        f"PatientID={record.patient.pk}",
        f"PatientID={str(record.patient.pk)[:-2]}*",
        f"PatientName={name}",
        f"PatientName={name[:-1]}%3F",
        f"StudyInstanceUID={study(record)},{study(record, LATER)}",
        f"StudyInstanceUID={study(record)}%5C{study(record, LATER)}",
    ):
        told = found(clinician, f"/studies?{query}")
        assert {value(one, "00100020") for one in told} == {str(record.patient.pk)}, query
        assert len(told) == 2
    assert len(found(clinician, "/studies")) == 3


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("/series?Modality=XC", 1),
        ("/series?Modality=D*", 3),
        ("/series?SeriesNumber=2", 0),
        ("/series?RequestAttributesSequence.ScheduledProcedureStepID=7", 0),
        ("/series?00400275.00401001=", 4),
        ("/series?PerformedProcedureStepStartDate=20260101", 0),
        ("/series?StudyDate=20260301", 1),
        ("/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.77.1.4", 1),
        ("/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.2", 0),
        ("/instances?InstanceNumber=1&Modality=DMS", 3),
    ],
)
def test_each_level_has_its_keys(clinician, record, address, count):
    assert len(found(clinician, address)) == count


def test_more_fields_are_retrieved_of_instances(clinician, record):
    [plain] = found(clinician, f"/instances?SOPInstanceUID={KEPT}")
    [more] = found(clinician, f"/instances?SOPInstanceUID={KEPT}&includefield=ImageType")
    [whole] = found(clinician, f"/instances?SOPInstanceUID={KEPT}&includefield=all")
    assert set(more) - set(plain) == {"00080008"}
    assert set(more) < set(whole)
    assert whole["00280004"]["Value"] == ["RGB"]
    assert "7FE00010" not in whole
    jpeg = uids.instance_uid(record.jpeg)
    [whole] = found(clinician, f"/instances?SOPInstanceUID={jpeg}&includefield=all")
    assert whole["00280004"]["Value"] == ["RGB"]


def test_a_lost_file_hides_no_other(clinician, record):
    record.jpeg.file.storage.delete(record.jpeg.file.name)
    told = found(clinician, "/instances?includefield=all")
    assert len(told) == 4
    assert [("00280004" in one) for one in told].count(False) == 1


@pytest.mark.parametrize(
    ("level", "name", "kind"),
    [
        ("studies", "StudyInstanceUID", ".20260112"),
        ("series", "SeriesInstanceUID", ".20260112.1"),
        ("instances", "SOPInstanceUID", ""),
    ],
)
def test_a_long_list_of_uids_is_searched(clinician, record, level, name, kind):
    own = {
        "studies": study(record),
        "series": uids.series_uid(record.jpeg.lesion_id, DAY, "dermatoscopic"),
        "instances": uids.instance_uid(record.jpeg),
    }[level]
    many = [f"2.25.{n}{kind}" for n in range(1, search.MOST)]
    address = f"/{level}?{name}=" + ",".join([*many, own])
    assert len(found(clinician, address)) == 1
    assert "more than 500 UIDs" in str(found(clinician, f"{address},2.25.9", status=400))


@pytest.fixture
def read(record) -> dict[str, str]:
    """The UIDs of the report and the mask of ``record.jpeg``. Of ``record.late`` there is a report
    only.
    """
    reading = PredictionMapsFactory(prediction__image=record.jpeg).prediction
    reading = Prediction.objects.get(pk=reading.pk)  # with the moment as it is stored
    PredictionFactory(image=record.late)
    return {readings.MODALITIES[one]: readings.uid_of(reading, one) for one in readings.Document}


def test_a_client_finds_the_readings_beside_the_pictures(peer, record, read):
    late, early = (Dataset.from_json(one) for one in peer.search_for_studies())
    assert sorted(early.ModalitiesInStudy) == [DMS, "SEG", "SR", XC]
    assert (early.NumberOfStudyRelatedSeries, early.NumberOfStudyRelatedInstances) == (5, 5)
    assert sorted(late.ModalitiesInStudy) == [DMS, "SR"]
    series = [Dataset.from_json(one) for one in peer.search_for_series(study(record))]
    assert sorted(one.Modality for one in series) == [DMS, DMS, "SEG", "SR", XC]
    for one in series:
        if one.Modality not in read:
            continue
        [found_there] = peer.search_for_instances(study(record), one.SeriesInstanceUID)
        told = Dataset.from_json(found_there)
        assert told.SOPInstanceUID == read[one.Modality]
        # What is found is what is retrieved.
        whole = peer.retrieve_instance(study(record), one.SeriesInstanceUID, told.SOPInstanceUID)
        for element in told:
            if element.keyword not in ("InstanceAvailability", "RetrieveURL"):
                assert whole[element.tag].value == element.value, element


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("/studies?ModalitiesInStudy=SR", 2),
        ("/studies?ModalitiesInStudy=SEG", 1),
        ("/studies?ModalitiesInStudy=S*", 2),
        ("/series", 7),
        ("/series?Modality=SR", 2),
        ("/series?Modality=DMS", 3),
        ("/series?Modality=SR&StudyDate=20260301", 1),
        ("/series?SeriesNumber=4", 1),
        ("/series?ModalitiesInStudy=SEG", 5),
        ("/series?AccessionNumber=7", 0),
        ("/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.88.33", 2),
        ("/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.66.4", 1),
        ("/instances?InstanceNumber=2", 0),
        ("/instances?offset=3&limit=2", 2),
        ("/instances?offset=5", 2),
        ("/instances?offset=7", 0),
        ("/instances?Modality=SR&offset=1", 1),
    ],
)
def test_readings_have_the_keys_of_each_level(clinician, record, read, address, count):
    assert len(found(clinician, address)) == count


def test_pages_leave_no_instance_out(clinician, record, read):
    pages = [found(clinician, f"/instances?limit=2&offset={n}") for n in range(0, 8, 2)]
    uids_found = [value(one, "00080018") for page in pages for one in page]
    assert len(uids_found) == len(set(uids_found)) == 7


def test_a_reading_is_found_by_its_uids(clinician, record, read):
    for kind, document in (("SR", uids.Document.REPORT), ("SEG", uids.Document.MASK)):
        series = uids.document_series_uid(record.jpeg.lesion_id, DAY, document)
        [one] = found(clinician, f"/series?SeriesInstanceUID={series},1.2.3")
        assert value(one, "00080060") == kind
        [one] = found(clinician, f"/instances?SOPInstanceUID={read[kind]}")
        assert value(one, "0020000E") == series
        former = f"{read[kind]}1"[-64:]
        assert found(clinician, f"/instances?SOPInstanceUID={former}") == []
        found(clinician, f"/studies/{study(record, LATER)}/series/{series}/instances", status=404)


def test_more_fields_are_retrieved_of_readings(clinician, record, read):
    address = f"/instances?SOPInstanceUID={read['SEG']}&includefield=all"
    [whole] = found(clinician, address)
    assert "00620002" in whole
    assert "7FE00010" not in whole


def test_readings_are_found_by_those_only_who_may_read_them(client_of, personas, record, read):
    def kinds(client) -> set[str]:
        told = found(client, "/studies?includefield=all")
        found_there = {one for row in told for one in row["00080061"]["Value"]}
        assert {value(one, "00080060") for one in found(client, "/instances")} == found_there
        assert {value(one, "00080060") for one in found(client, "/series")} == found_there
        assert bool(found(client, "/studies?ModalitiesInStudy=SR")) == ("SR" in found_there)
        return found_there

    assert kinds(client_of(personas.clinician)) == {DMS, XC, "SR", "SEG"}
    _, secret = services.create_api_key(user=personas.clinician, name="k", scopes=["images:read"])
    assert kinds(Program(secret)) == {DMS, XC}
    assert found(Program(secret), f"/instances?SOPInstanceUID={read['SR']}") == []
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    assert kinds(client_of(personas.clinician)) == {DMS, XC}


def test_fuzzy_matching_is_declined_as_the_standard_says(clinician, record):
    response = clinician.get(f"{BASE}/studies?fuzzymatching=true&PatientName=SkinChek*")
    assert (response.status_code, response.json()) == (200, [])
    assert response["Warning"].startswith("299 ")
    assert "Only literal matching has been performed" in response["Warning"]
    assert "Warning" not in clinician.get(f"{BASE}/studies?fuzzymatching=false")


def test_a_list_that_is_cut_says_so(clinician, record, monkeypatch):
    monkeypatch.setattr(search, "MOST", 3)
    for query in ("", "?limit=50"):
        response = clinician.get(f"{BASE}/instances{query}")
        assert len(response.json()) == 3
        assert "exceeded the maximum" in response["Warning"]
    for query in ("?limit=3", "?offset=1"):
        assert "Warning" not in clinician.get(f"{BASE}/instances{query}")


@pytest.mark.parametrize(
    "query",
    [
        "StudyDate=yesterday",
        "StudyDate=20260230",
        "limit=-1",
        "limit=many",
        "offset=x",
        "fuzzymatching=perhaps",
        "Modality=DMS",  # of series
        "Nonsense=1",
        "includefield=Nonsense",
        "StudyDate=20260101&StudyDate=20260102",
        "PatientName=*a*a*a*a*a*",
        "PatientID=%00",
    ],
)
def test_what_cannot_be_asked_is_a_problem(clinician, record, query):
    response = clinician.get(f"{BASE}/studies?{query}")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["99999999999999999999", "-1", "1.5", "²"])
def test_a_number_out_of_range_is_told_the_range(clinician, record, name, value):
    response = clinician.get(f"{BASE}/studies", {name: value})
    assert f"{name} is a whole number from 0 to 999,999,999." in response.json()["detail"]


def test_only_json_is_retrieved(clinician, record):
    for accept in ("application/dicom+json", "application/json", "*/*", "application/*;q=0.5"):
        response = clinician.get(f"{BASE}/studies", HTTP_ACCEPT=accept)
        assert response["Content-Type"] == "application/dicom+json"
    for accept in ('multipart/related; type="application/dicom+xml"', "text/html"):
        response = clinician.get(f"{BASE}/studies", HTTP_ACCEPT=accept)
        assert response.status_code == 406


def test_what_is_not_to_be_seen_is_not_found(client_of, clinician, record, personas):
    for somebody in (personas.colleague, personas.stranger):
        for level in ("studies", "series", "instances"):
            assert found(client_of(somebody), f"/{level}") == []
    clinician.post(
        f"/api/v1/images/{record.late.pk}/withdraw/", {"reason": "A finger."}, format="json"
    )
    record.late.refresh_from_db()
    assert record.late.is_withdrawn
    assert len(found(clinician, "/studies")) == 1
    assert found(clinician, f"/instances?SOPInstanceUID={uids.uid_of(record.late.pk)}") == []


def test_sex_is_told_to_those_who_may_read_patients(personas, record):
    personas.patient.sex = "female"
    personas.patient.save()
    told = []
    for scopes in (["images:read"], ["images:read", "patients:read"]):
        _, secret = services.create_api_key(user=personas.clinician, name="k", scopes=scopes)
        rows = [found(Program(secret), f"/{level}")[0] for level in search.LEVELS]
        told.append({tuple(row["00100040"].get("Value", ())) for row in rows})
    assert told == [{()}, {("F",)}]


@pytest.mark.parametrize("level", search.LEVELS)
def test_a_search_takes_few_queries(clinician, record, read, level, django_assert_max_num_queries):
    with django_assert_max_num_queries(20):
        found(clinician, f"/{level}?includefield=all")


@pytest.mark.parametrize("level", search.LEVELS)
def test_only_what_is_told_is_logged(clinician, personas, record, level):
    """Not the patient of the next result, from which it is known that there are more."""
    newest = LesionImageFactory(
        lesion__patient__clinic=personas.clinic, captured_on=date(2026, 4, 1)
    )
    assert len(found(clinician, f"/{level}?limit=1")) == 1
    [entry] = entries(what=f"dicomweb:{level}" if level == "studies" else f"dicomweb:all-{level}")
    assert entry.details["patients"] == [str(newest.lesion.patient_id)]


def test_each_look_is_logged(clinician, record):
    for level in search.LEVELS:
        found(clinician, f"/{level}")
        [entry] = entries(
            what=f"dicomweb:{level}" if level == "studies" else f"dicomweb:all-{level}"
        )
        assert str(record.patient.pk) in entry.details["patients"]


def test_many_uids_of_a_day_are_one_condition():
    """PACS ask for hundreds of studies at once."""
    some = [uuid4() for _ in range(400)]
    study = uids.of_study(*(uids.study_uid(one, DAY) for one in some))
    series = uids.of_series(*(uids.series_uid(one, DAY, "clinical") for one in some))
    for condition, field in ((study, "lesion__patient__in"), (series, "lesion__in")):
        [_, of_day] = condition.children
        assert dict(of_day.children)[field] == some
