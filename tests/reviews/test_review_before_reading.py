"""Where a clinic reviews before reading: until clinicians have concluded, nothing they see depends
on what a model or a colleague found, or on whether anything was found at all.
"""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO

import pytest
from django.db.models import F
from django.urls import reverse
from pypdf import PdfReader

from ml.types import MEASURES_VERSION
from screening.comparisons import services as comparison_services
from screening.corrections import merges
from screening.models import (
    Alert,
    Announcement,
    Correction,
    Histology,
    LesionImage,
    Measurement,
    Prediction,
    PredictionMaps,
    Review,
)
from screening.records import closing
from tests.access import MATRIX
from tests.factories import (
    BatchRowFactory,
    HistologyFactory,
    LesionFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReviewFactory,
    measures,
)
from tests.test_access_matrix import world_of
from tests.web.test_page_forms import opened

pytestmark = pytest.mark.django_db

FINDINGS = (Alert, Measurement, PredictionMaps, Review, Prediction, Histology)
# The same for everyone, or different at each request.
PASSING = re.compile(
    rb'(?:csrfmiddlewaretoken|form_token)" value="[^"]*"'
    rb'|"request_id": ?"[^"]*"'
    rb'|"resourceType": ?"Bundle".*?"lastUpdated": ?"[^"]*"'
    rb"| Last fetched [^.]*\."  # by the first round
    rb"|--[0-9a-f]{32}"  # between the parts of a response
)


@pytest.fixture
def world(personas):
    """Of the clinic; both images of its lesion are read as urgent, measured and reviewed."""
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    world = world_of(personas, "clinician")
    Prediction.objects.update(outcome="urgent", reason="", p_malignant=0.4321)
    PredictionMapsFactory(
        prediction=PredictionFactory(
            image=world.comparison.earlier, outcome="urgent", p_malignant=0.4321
        )
    )
    Alert.objects.update(
        rule="risk_rise", before={"p_malignant": 0.0123}, after={"p_malignant": 0.4321}
    )
    for maps in PredictionMaps.objects.select_related("prediction"):
        _measured(maps.prediction)
    ReviewFactory(image=world.comparison.earlier, conclusion="df", note="Firm to the touch.")
    _corrected(personas, world.lesion)
    comparison_services.compare(
        world.comparison.earlier, world.comparison.later
    )  # an outline was drawn
    # The change feed shows an event ten seconds late.
    Announcement.objects.update(created=F("created") - timedelta(minutes=1))
    return world


def _corrected(personas, lesion):
    """A lesion with histology is merged into it; colleagues close and reopen it."""
    other = LesionFactory(patient=lesion.patient)
    HistologyFactory(lesion=other, diagnosis="mel")
    closing.close(user=personas.colleague, lesion=other, on=other.created.date())
    closing.close(user=personas.colleague, lesion=lesion, on=lesion.created.date())
    merges.merge_lesions(user=personas.assistant, lesion=other, into=lesion)
    closing.reopen(user=personas.assistant, lesion=lesion)


def _measured(prediction):
    values = measures(area_px=7770.0, area_share=0.115)
    found, _ = Measurement.objects.get_or_create(
        image=prediction.image, prediction=prediction, algorithm_version=MEASURES_VERSION
    )
    Measurement.objects.filter(pk=found.pk).update(values=values)


def everything():
    """Every page, chart, map, export and API response for logged-in users."""
    # A DICOM file contains the picture and its scale, no findings.
    return [
        name
        for name, line in MATRIX.items()
        if "GET" in line.methods and not line.is_public and not name.endswith("dicom")
    ]


def surfaces(client, world, names, corrections=()):
    """The responses of the URLs in ``names``, and of the pages that undo ``corrections``."""
    shown = {}
    for correction in corrections:
        name = f"undo {correction}"
        response = client.get(reverse("correction_undo", args=[correction]))
        shown[name] = response.status_code, PASSING.sub(b"", response.content)
    for name in names:
        response = client.get(reverse(name, args=MATRIX[name].args(world)))
        shown[name] = response.status_code, PASSING.sub(b"", _body(response))
    return shown


def _body(response):
    """The bytes; of a report its text, without the time of creation."""
    body = response.getvalue() if response.streaming else response.content
    if not body.startswith(b"%PDF"):
        return body
    words = "\n".join(page.extract_text() for page in PdfReader(BytesIO(body)).pages)
    return re.sub(r"\d\d:\d\d", "", words).encode()


def delete_findings():
    for model in FINDINGS:
        model.objects.all().delete()
    Correction.objects.filter(kind__in=("closed", "reopened")).delete()
    for correction in Correction.objects.filter(before__has_key="moved"):
        correction.before["moved"]["histologies"] = []
        correction.save()


def differing(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("role", ["clinician", "admin"])
def test_what_was_found_makes_no_difference_to_who_has_not_concluded(client, personas, world, role):
    client.force_login(getattr(personas, role))
    corrections = list(Correction.objects.values_list("pk", flat=True))
    with_findings = surfaces(client, world, everything(), corrections)
    delete_findings()
    without = surfaces(client, world, everything(), corrections)
    changed = differing(with_findings, without)
    assert not changed, {name: (with_findings[name][0], *without[name]) for name in changed}


@pytest.mark.parametrize("role", ["assistant", "viewer"])
def test_it_does_to_those_who_never_conclude(client, personas, world, role):
    _sees_everything(client, getattr(personas, role), world)


def test_it_does_once_an_own_conclusion_is_recorded(client, personas, world):
    for image in LesionImage.objects.all():
        ReviewFactory(image=image, reviewer=personas.clinician)
    _sees_everything(client, personas.clinician, world)


def test_it_does_where_the_clinic_has_not_set_so(client, personas, world):
    personas.clinic.review_before_reading = False
    personas.clinic.save()
    _sees_everything(client, personas.clinician, world)


def test_it_does_to_the_person_whose_skin_it_is(client, personas, world):
    """Even if they are a clinician there."""
    world.patient.owner = personas.clinician
    world.patient.save()
    _sees_everything(client, personas.clinician, world)


def _sees_everything(client, user, world):
    client.force_login(user)
    names = [
        "home",
        "patient",
        "lesion",
        "lesion_compare",
        "image",
        "image_status",
        "image_outline" if user.memberships.get().role != "viewer" else "image",
        "api:lesion-list",
        "api:lesion-detail",
        "api:image-list",
        "api:image-detail",
        "api:prediction-list",
        "api:prediction-detail",
        "api:prediction-maps",
        "api:prediction-mask",
        "api:review-list",
        "api:review-detail",
    ]
    with_findings = surfaces(client, world, names)
    delete_findings()
    assert differing(with_findings, surfaces(client, world, names)) == set(names)


def test_one_image_concluded_discloses_that_one_only(personas, world):
    concluded = ReviewFactory(image=world.image, reviewer=personas.clinician)
    seen = Prediction.objects.visible_to(personas.clinician)
    assert {one.image_id for one in seen} == {world.image.pk}
    assert concluded in Review.objects.visible_to(personas.clinician)
    assert not Alert.objects.visible_to(
        personas.clinician
    ).exists()  # it involves the other image too


def test_a_colleagues_conclusion_discloses_nothing(personas, world):
    assert world.image.reviews.exists()
    assert not Review.objects.visible_to(personas.clinician).exists()
    assert not Prediction.objects.visible_to(personas.clinician).exists()


def test_what_someone_drew_is_no_finding_of_the_model(client, personas, world):
    outline = world.image.outlines.create(
        drawn_by=personas.assistant, points=[[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]]
    )
    Measurement.objects.filter(image=world.image).update(prediction=None, outline=outline)
    assert Measurement.objects.visible_to(personas.clinician).count() == 1
    client.force_login(personas.clinician)
    html = client.get(reverse("image", args=[world.image.pk])).content.decode()
    assert "within the outline drawn by" in html


def test_the_page_says_why_and_how_to_go_on(client, personas, world):
    client.force_login(personas.clinician)
    html = client.get(reverse("image", args=[world.image.pk])).content.decode()
    assert "Your conclusion comes first" in html
    assert reverse("image_review", args=[world.image.pk]) in html


def test_who_is_to_conclude_first_asks_for_no_reading(client, personas, world):
    """Neither in a response that shows it, nor at the URL of one hidden from them."""
    client.force_login(personas.clinician)
    before = set(Prediction.objects.values_list("pk", flat=True))
    for preference in ({}, {"Prefer": "wait=1"}):
        answer = client.post(
            "/api/v1/predictions/",
            {"image": str(world.image.pk)},
            content_type="application/json",
            headers=preference,
        )
        assert answer.status_code == 403
        assert "conclusion" in answer.json()["detail"]
    assert client.post(reverse("image_read", args=[world.image.pk])).status_code == 403
    assert set(Prediction.objects.values_list("pk", flat=True)) == before


def test_histology_is_told_once_no_picture_waits(personas, world):
    seen = Histology.objects.visible_to(personas.clinician)
    assert not seen.exists()
    ReviewFactory(image=world.image, reviewer=personas.clinician)
    assert not seen.exists()  # the earlier picture still awaits them
    ReviewFactory(image=world.comparison.earlier, reviewer=personas.clinician)
    assert seen.exists()


def test_histology_is_known_to_who_recorded_it(personas, world):
    Histology.objects.update(recorded_by=personas.clinician)
    assert Histology.objects.visible_to(personas.clinician).exists()
    assert not Histology.objects.visible_to(personas.admin).exists()


def test_an_export_tells_no_diagnosis_that_is_withheld(client, personas, world):
    """Nor a manifest's, which is the pathologist's too."""
    BatchRowFactory(image=world.image, source={"dx": "mel", "diagnosis_confirm_type": "histo"})
    client.force_login(personas.clinician)
    address = reverse("api:image-isic")
    assert "mel" not in client.get(address).getvalue().decode().split("\n", 1)[1]
    client.force_login(personas.assistant)
    assert "mel" in client.get(address).getvalue().decode().split("\n", 1)[1]


def test_an_admin_sets_it(client, personas):
    url = reverse("clinic_reviewing", args=[personas.clinic.pk])
    client.force_login(personas.admin)
    page = reverse("clinic", args=[personas.clinic.pk])
    client.post(url, {**opened(client, page, to=url), "review_before_reading": "on"})
    personas.clinic.refresh_from_db()
    assert personas.clinic.review_before_reading
    client.post(url, opened(client, page, to=url))
    personas.clinic.refresh_from_db()
    assert not personas.clinic.review_before_reading


def test_home_says_how_many_wait_for_the_own_conclusion(world, personas, client):
    """It never says that nothing is flagged while findings are withheld."""
    client.force_login(personas.clinician)
    page = client.get(reverse("home")).content.decode()
    assert "1 lesion waits for your conclusion." in page
    assert "No lesion is flagged" not in page
    for image in LesionImage.objects.filter(lesion=world.lesion):
        ReviewFactory(image=image, reviewer=personas.clinician, conclusion="nv")
    assert "for your conclusion" not in client.get(reverse("home")).content.decode()
