"""Forms on pages: two tabs, two clicks, and a session that ends while someone types."""

from __future__ import annotations

import json
import re
from datetime import date
from threading import Barrier, Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.urls import reverse

from accounts.models import ApiKey, Clinic
from screening.models import (
    DicomNode,
    ImageScale,
    Lesion,
    LesionImage,
    LesionPosition,
    Outline,
    Patient,
    Reminder,
    Webhook,
)
from screening.web import form_tokens
from tests.access import MATRIX
from tests.clients import Browser
from tests.factories import (
    DicomNodeFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    OutlineFactory,
    ReminderFactory,
    WebhookFactory,
)

pytestmark = pytest.mark.django_db

# The page that shows the form, and its record. The form is sent to the URL of that name.
EDITS = {
    "patient_edit": ("patient_edit", "patient"),
    "lesion_edit": ("lesion_edit", "lesion"),
    "lesion_place": ("lesion_place", "lesion"),
    "lesion_reminder": ("lesion", "lesion"),
    "image_outline": ("image_outline", "image"),
    "image_scale": ("image_scale", "image"),
    "webhook_edit": ("webhook_edit", "webhook"),
    "dicom_node_edit": ("dicom_node_edit", "dicom_node"),
    "clinic_reviewing": ("clinic", "clinic"),
    "clinic_second_factor": ("clinic", "clinic"),
    "clinic_bound_keys": ("clinic", "clinic"),
    "image_correct": ("image_correct", "image"),
}
MAKES = {
    "account_erase",  # a word is typed, which is kept nowhere
    "account",  # a person's own name, which only they change
    "api_key_new",
    "application_keys",  # the whole of it, typed anew
    "application_new",
    "batch_new",
    "clinic_invite",
    "clinic_new",
    "clinic_webhook_new",
    "comparison_mark",
    "dicom_node_new",
    "image_new",
    "image_review",
    "lesion_histology",
    "lesion_new",
    "lesion_visit",
    "patient_access",
    "patient_clinic",
    "patient_erase",
    "patient_new",
    "webhook_new",
    "worklist_item",
}
ACTS = {
    # Buttons: they name an action, and overwrite no input.
    "accept_invitation",
    "account_export",
    "alert_close",
    "api_key_revoke",
    "application_renew",
    "application_revoke",
    "application_take_over",
    "batch_cancel",
    "batch_resume",
    "calendar_link",
    "calendar_revoke",
    "correction_undo",
    "delivery_resend",
    "erasure_confirm",
    "erasure_undo",
    "export_remove",
    "histology_correct",
    "image_read",
    "invitation_withdraw",
    "lesion_correct",
    "lesion_reopen",
    "lesion_send",
    "dicom_delivery_send_again",
    "dicom_node_remove",
    "dicom_node_test",
    "membership_remove",
    "membership_role",
    "patient_correct",
    "patient_export",
    "agree",
    "agreement_withdraw",
    "mail_off",
    "mail_switch",
    "patient_research",
    "clinic_code",
    "following_accept",
    "following_decline",
    "following_end",
    "share_revoke",
    "shared",
    "reminder_snooze",
    "reminder_stop",
    "session_end",
    "visit_correct",
    "webhook_off",
    "webhook_on",
    "webhook_remove",
    "webhook_resend_failed",
    "webhook_rotate",
    "webhook_test",
}


@pytest.fixture
def records(personas):
    lesion = LesionFactory(patient=personas.patient)
    return {
        "patient": personas.patient,
        "lesion": lesion,
        "image": LesionImageFactory(lesion=lesion),
        "webhook": WebhookFactory(clinic=personas.clinic),
        "dicom_node": DicomNodeFactory(clinic=personas.clinic),
        "clinic": personas.clinic,
    }


@pytest.fixture
def admin(client, personas):
    client.force_login(personas.admin)
    return client


def hidden(text, name):
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, f"no {name}"
    return found[1].replace("&quot;", '"').replace("&amp;", "&")


def opened(client, url, to=""):
    """What a browser sends back from a page: the hidden fields of its form, or of the one with the
    action ``to`` if the page has several.
    """
    text = client.get(url).content.decode()
    text = text.partition(f'action="{to}"')[2] or text
    return {
        name: hidden(text, name) for name in ("form_token", "opened") if f'name="{name}"' in text
    }


def test_every_form_of_a_page_edits_makes_or_acts():
    """A new form fails here: classify it, and the tests below cover it."""
    pages = {
        name
        for name, line in MATRIX.items()
        if "POST" in line.methods and not name.startswith(("api:", "fhir:", "dicomweb:", "oauth_"))
    }
    assert not pages - (EDITS.keys() | MAKES | ACTS)


@pytest.mark.parametrize("name", sorted(EDITS))
def test_every_edit_form_carries_what_it_was_opened_with(admin, records, name):
    page, record = EDITS[name]
    text = admin.get(reverse(page, args=[records[record].pk])).content.decode()
    action = reverse(name, args=[records[record].pk])
    forms = re.findall(r"<form method=\"post\".*?</form>", text, re.S)
    own = [form for form in forms if f'action="{action}"' in form or page == name]
    own = [form for form in own if "/logout/" not in form]
    # Moving and withdrawing, on the same page, overwrite nothing.
    own = [form for form in own if 'name="act"' not in form or 'value="details"' in form]
    assert own
    for form in own:
        assert isinstance(json.loads(hidden(form, "opened")), dict)


def test_every_form_of_every_page_can_be_told_from_another(admin, records, personas):
    LesionPositionFactory(lesion=records["lesion"])
    ReminderFactory(lesion=records["lesion"])
    pages = [reverse(page, args=[records[kind].pk]) for page, kind in EDITS.values()]
    pages += [reverse("image", args=[records["image"].pk]), reverse("account")]
    pages += [reverse("patient_new"), reverse("webhook", args=[records["webhook"].pk])]
    for page in pages:
        text = admin.get(page).content.decode()
        assert text.count('name="csrfmiddlewaretoken"') == text.count('name="form_token"') > 0


# Two tabs


def test_a_stale_tab_overwrites_nothing_and_shows_both(admin, records):
    lesion = records["lesion"]
    url = reverse("lesion_edit", args=[lesion.pk])
    mine = opened(admin, url)
    Lesion.objects.filter(pk=lesion.pk).update(bleeding=True, body_site="face")
    typed = {"label": "Other", "body_site": lesion.body_site, "notes": ""}
    response = admin.post(url, mine | typed)
    text = response.content.decode()
    assert response.status_code == 200
    assert "This was changed since you opened the page" in text
    assert "Now: “Face”. You entered: “Back”." in text
    assert "Now: marked. You entered: not marked." in text
    lesion.refresh_from_db()
    assert (lesion.bleeding, lesion.body_site, lesion.label != "Other") == (True, "face", True)
    assert re.search(r'name="bleeding"[^>]* checked', text), "only who sees it unticks it"
    assert 'value="Other"' in text

    again = {name: hidden(text, name) for name in ("form_token", "opened")}
    assert (
        admin.post(url, again | typed | {"body_site": "face", "bleeding": "on"}).status_code == 302
    )
    lesion.refresh_from_db()
    assert (lesion.bleeding, lesion.body_site, lesion.label) == (True, "face", "Other")


def test_what_nobody_else_touched_is_saved_without_asking(admin, records):
    patient = records["patient"]
    url = reverse("patient_edit", args=[patient.pk])
    mine = opened(admin, url)
    patient.save()  # another time, the same values
    typed = {"label": "N-9", "birth_year": "1960", "sex": "female"}
    assert admin.post(url, mine | typed).status_code == 302
    assert Patient.objects.get(pk=patient.pk).label == "N-9"


def test_the_same_change_in_two_tabs_is_no_contradiction(admin, records):
    url = reverse("patient_edit", args=[records["patient"].pk])
    mine = opened(admin, url)
    typed = {"label": "N-1", "birth_year": "1946", "sex": "female"}
    Patient.objects.filter(pk=records["patient"].pk).update(birth_year=1946)
    assert admin.post(url, mine | typed).status_code == 302


@pytest.mark.parametrize(
    ("name", "meanwhile", "typed", "kept"),
    [
        (
            "patient_edit",
            lambda r: Patient.objects.update(birth_year=1946),
            {"label": "N-1", "birth_year": "1960", "sex": "female"},
            lambda: Patient.objects.filter(birth_year=1946).exists(),
        ),
        (
            "image_correct",
            lambda r: LesionImage.objects.update(captured_on=date(2026, 2, 1)),
            {"act": "details", "captured_on": "2026-01-01", "modality": "dermatoscopic"},
            lambda: LesionImage.objects.get().captured_on == date(2026, 2, 1),
        ),
        (
            "lesion_place",
            lambda r: LesionPositionFactory(lesion=r["lesion"]),
            {"view": "front", "x": "0.5", "y": "0.3"},
            lambda: LesionPosition.objects.count() == 1,
        ),
        (
            "lesion_reminder",
            lambda r: ReminderFactory(lesion=r["lesion"]),
            {"interval_months": "12"},
            lambda: Reminder.objects.get().interval_months == 3,
        ),
        (
            "lesion_reminder",
            lambda r: ReminderFactory(lesion=r["lesion"]),
            {"interval_months": ""},
            lambda: Reminder.objects.get().is_active,
        ),
        (
            "image_outline",
            lambda r: OutlineFactory(image=r["image"]),
            {"points": "0.2,0.2 0.8,0.2 0.5,0.8"},
            lambda: Outline.objects.count() == 1,
        ),
        (
            "image_scale",
            lambda r: ImageScaleFactory(image=r["image"]),
            {"source": "field_of_view", "millimetres": "20"},
            lambda: ImageScale.objects.count() == 1,
        ),
        (
            "webhook_edit",
            lambda r: Webhook.objects.update(target="https://other.example.org/"),
            {"name": "W", "target": "https://practice.example.org/", "events": ["alert.opened"]},
            lambda: Webhook.objects.get().target == "https://other.example.org/",
        ),
        (
            "dicom_node_edit",
            lambda r: DicomNode.objects.update(address="https://other.example.org"),
            {"name": "A", "address": "https://archive.example.org", "authorization": "none"},
            lambda: DicomNode.objects.get().address == "https://other.example.org",
        ),
        (
            "clinic_reviewing",
            lambda r: Clinic.objects.filter(pk=r["clinic"].pk).update(review_before_reading=True),
            {},
            lambda: Clinic.objects.filter(review_before_reading=True).exists(),
        ),
    ],
)
def test_no_edit_form_overwrites_what_its_writer_has_not_seen(
    admin, records, name, meanwhile, typed, kept
):
    page, record = EDITS[name]
    address = reverse(name, args=[records[record].pk])
    mine = opened(admin, reverse(page, args=[records[record].pk]), to=address)
    meanwhile(records)
    response = admin.post(address, mine | typed, follow=True)
    assert "changed since you opened the page" in response.content.decode()
    assert kept()


@pytest.mark.parametrize(
    ("name", "record", "meanwhile", "typed", "told"),
    [
        (
            "lesion_place",
            "lesion",
            lambda lesion: LesionPositionFactory(lesion=lesion),
            {"view": "front", "x": "0.5", "y": "0.3"},
            r"Now: [A-Z][a-z ,]+\. You entered: [A-Z][a-z ,]+\.",
        ),
        (
            "image_outline",
            "image",
            lambda image: OutlineFactory(image=image),
            {"points": "0.2,0.2 0.8,0.2 0.5,0.8"},
            r"Now: .+&#x27;s outline of .+, [0-9]+ points\. You entered: the one below, 3 points\.",
        ),
        (
            "image_scale",
            "image",
            lambda image: ImageScaleFactory(image=image),
            {"source": "pixel_spacing", "millimetres": "0.03"},
            r"Now: 0\.1000 mm a pixel\. You entered: 0\.0300 mm a pixel\.",
        ),
    ],
)
def test_both_values_are_told_of_what_no_field_shows(
    admin, records, name, record, meanwhile, typed, told
):
    url = reverse(name, args=[records[record].pk])
    mine = opened(admin, url)
    meanwhile(records[record])
    page = admin.post(url, mine | typed).text
    assert re.search(told, page)
    again = {name: hidden(page, name) for name in ("form_token", "opened")}
    assert admin.post(url, again | typed).status_code == 302


def test_the_outline_that_was_drawn_is_kept_beside_the_one_that_stands(admin, records):
    image, drawn = records["image"], "0.2,0.2 0.8,0.2 0.5,0.8"
    url = reverse("image_outline", args=[image.pk])
    mine = opened(admin, url)
    standing = OutlineFactory(image=image)
    page = admin.post(url, mine | {"points": drawn}).text
    assert f'name="points" value="{drawn}"' in page
    theirs = " ".join(f"{x:.5f},{y:.5f}" for x, y in standing.points)
    assert f'data-reset="{theirs}">The outline in use' in page


def test_the_same_scale_in_two_tabs_is_no_contradiction(admin, records):
    image = records["image"]
    url = reverse("image_scale", args=[image.pk])
    mine = opened(admin, url)
    ImageScaleFactory(image=image, mm_per_pixel=0.03)
    typed = {"source": "pixel_spacing", "millimetres": "0.03"}
    assert admin.post(url, mine | typed).status_code == 302


# Two clicks


def test_a_form_sent_twice_makes_one_record_and_leads_to_the_same_place(admin, records):
    url = reverse("lesion_new", args=[records["patient"].pk])
    typed = opened(admin, url) | {"label": "Left knee"}
    first, second = admin.post(url, typed), admin.post(url, typed)
    assert Lesion.objects.filter(label="Left knee").count() == 1
    assert (first.status_code, second.status_code) == (302, 302)
    assert first.url == second.url


def test_sent_again_after_another_tab_it_says_that_nothing_was_done(admin, records):
    """And shows the current values, which the other tab has stored."""
    patient = records["patient"]
    url = reverse("patient_edit", args=[patient.pk])
    mine = opened(admin, url) | {"label": "Mine"}
    place = admin.post(url, mine).url
    assert "sent before" not in admin.get(place).text
    other = opened(admin, url) | {"label": "Theirs"}
    admin.post(url, other)
    again = admin.post(url, mine, follow=True)
    assert "You already sent this form" in again.text
    assert "Nothing was done now" in again.text
    assert "Theirs" in again.text
    patient.refresh_from_db()
    assert patient.label == "Theirs"


def test_gone_back_to_and_changed_it_is_another_one(admin, records):
    url = reverse("lesion_new", args=[records["patient"].pk])
    mine = opened(admin, url)
    for label in ("Left knee", "Right knee"):
        admin.post(url, mine | {"label": label})
    assert set(Lesion.objects.values_list("label", flat=True)) >= {"Left knee", "Right knee"}


def test_a_form_that_was_refused_can_be_sent_again(admin, records):
    url = reverse("patient_new")
    mine = opened(admin, url)
    assert admin.post(url, mine | {"label": ""}).status_code == 200
    assert (
        admin.post(
            url, mine | {"label": "N-5", "clinic": records["clinic"].pk, "confirms": "on"}
        ).status_code
        == 302
    )


def test_a_secret_is_not_kept_to_be_shown_again(admin):
    mine = opened(admin, reverse("account"))
    typed = mine | {"name": "Practice software", "access": "read", "days": "30"}
    before = ApiKey.objects.count()
    first = admin.post(reverse("api_key_new"), typed)
    second = admin.post(reverse("api_key_new"), typed)
    assert ApiKey.objects.count() == before + 1, first.content
    assert (second.status_code, second.url) == (302, reverse("account"))


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="a database in memory has no second connection"
)
@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_one_moment_make_one_record(personas):
    url = reverse("lesion_new", args=[personas.patient.pk])
    client = Browser()
    client.force_login(personas.clinician)
    typed = opened(client, url) | {"label": "Left knee"}
    barrier, places = Barrier(2), []

    def click():
        own = Browser()
        own.cookies = client.cookies
        barrier.wait()
        try:
            places.append(own.post(url, typed).url)
        finally:
            connection.close()

    clicks = [Thread(target=click) for _ in range(2)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert Lesion.objects.filter(label="Left knee").count() == 1
    assert len(places) == 2
    assert len(set(places)) == 1


# A session that ends while someone types


def test_what_was_typed_comes_back_after_the_login(client, personas, records):
    client.force_login(personas.clinician)
    url = reverse("lesion_edit", args=[records["lesion"].pk])
    typed = opened(client, url) | {"label": "Left knee", "notes": "It itched on Sunday."}
    client.logout()
    response = client.post(url, typed)
    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))
    back = parse_qs(urlsplit(response.url).query)["next"][0]
    assert "Sunday" not in response.url
    assert "Sunday" not in str(client.session.items())

    client.force_login(personas.clinician)
    text = client.get(back).content.decode()
    assert "Not saved yet." in text
    assert 'value="Left knee"' in text
    assert "It itched on Sunday.</textarea>" in text
    assert not Lesion.objects.filter(label="Left knee").exists()

    again = {name: hidden(text, name) for name in ("form_token", "opened")}
    saved = client.post(back, again | {"label": "Left knee", "notes": "It itched on Sunday."})
    assert saved.status_code == 302
    assert Lesion.objects.get(label="Left knee").notes == "It itched on Sunday."
    assert "Not saved yet." not in client.get(back).content.decode()


@pytest.mark.parametrize("other", ["admin", "stranger"])
def test_nobody_else_on_the_same_browser_sees_it(client, personas, records, other):
    client.force_login(personas.clinician)
    url = reverse("patient_edit", args=[records["patient"].pk])
    typed = opened(client, url) | {"label": "A secret word"}
    client.logout()
    back = parse_qs(urlsplit(client.post(url, typed).url).query)["next"][0]
    client.force_login(getattr(personas, other))
    assert "A secret word" not in client.get(back).content.decode()
    assert "A secret word" not in client.post(url, typed, follow=True).content.decode()
    assert not Patient.objects.filter(label="A secret word").exists()


def test_a_conclusion_comes_back_on_the_page_where_its_form_stands(client, personas, records):
    client.force_login(personas.clinician)
    page = reverse("image", args=[records["image"].pk])
    typed = opened(client, page) | {"conclusion": "mel", "note": "Blue-white veil."}
    client.logout()
    url = reverse("image_review", args=[records["image"].pk])
    back = parse_qs(urlsplit(client.post(url, typed).url).query)["next"][0]
    assert back.startswith(page)
    client.force_login(personas.clinician)
    assert "Blue-white veil.</textarea>" in client.get(back).content.decode()


def test_a_form_from_before_a_new_login_loses_nothing(personas, records):
    client = Browser()
    client.force_login(personas.clinician)
    url = reverse("lesion_edit", args=[records["lesion"].pk])
    page = client.get(url).content.decode()
    typed = {name: hidden(page, name) for name in ("csrfmiddlewaretoken", "form_token", "opened")}
    client.cookies["csrftoken"] = "a" * 32  # as a login in another tab sets it
    response = client.post(url, typed | {"label": "Left knee"}, HTTP_X_CSRFTOKEN="")
    assert response.status_code == 302
    assert "Left knee" in client.get(response.url).content.decode()
    assert not Lesion.objects.filter(label="Left knee").exists()


def test_without_a_word_of_ours_a_forged_form_is_refused_as_ever(personas, records):
    client = Browser()
    client.force_login(personas.clinician)
    url = reverse("lesion_edit", args=[records["lesion"].pk])
    assert client.post(url, {"label": "x"}, HTTP_X_CSRFTOKEN="").status_code == 403
    forged = {"label": "x", "form_token": "forged"}
    assert client.post(url, forged, HTTP_X_CSRFTOKEN="").status_code == 403


def test_what_was_kept_is_gone_after_an_hour(client, personas, records, monkeypatch):
    monkeypatch.setattr(form_tokens, "KEPT", 0)
    client.force_login(personas.clinician)
    url = reverse("lesion_edit", args=[records["lesion"].pk])
    typed = opened(client, url) | {"label": "Left knee"}
    client.logout()
    back = parse_qs(urlsplit(client.post(url, typed).url).query)["next"][0]
    client.force_login(personas.clinician)
    text = client.get(back).content.decode()
    assert "Left knee" not in text
