"""Pages show a large picture in the size of a screen, and the stored one when it is zoomed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from ml.opening.limits import SCREEN_SIDE
from screening import bells
from screening.comparisons import setbacks
from screening.comparisons.follow_up import follow_up
from screening.corrections.services import withdraw
from screening.images import cleaning, quota
from screening.images import services as image_services
from screening.models import LesionImage, Setback
from tests.clients import Browser
from tests.factories import LesionFactory, LesionImageFactory
from tests.privacy.entries import close, looks_at

pytestmark = pytest.mark.django_db
LARGE = (2000, 1500)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def files(media: Path) -> set[str]:
    return {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}


def jpeg(size: tuple[int, int] = LARGE) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def added(personas: Any) -> LesionImage:
    lesion = LesionFactory(patient=personas.patient)
    return image_services.add_image(
        user=personas.clinician, lesion=lesion, file=BytesIO(jpeg())
    ).image


@pytest.fixture
def older(personas: Any) -> LesionImage:
    """From before there were any."""
    data = jpeg()
    return LesionImageFactory(
        lesion__patient=personas.patient,
        file=ContentFile(data, name="image.jpg"),
        width=LARGE[0],
        height=LARGE[1],
        stored_bytes=len(data),
    )


@pytest.fixture
def viewer(client: Browser, personas: Any) -> Browser:
    client.force_login(personas.viewer)
    return client


def size_of(client: Browser, image: LesionImage, rendition: str = "screen") -> tuple[int, int]:
    response = client.get(reverse("media", args=[image.pk, rendition]))
    return Image.open(BytesIO(response.getvalue())).size


@pytest.mark.parametrize(
    ("size", "shown"),
    [((2000, 1500), (1600, 1200)), ((900, 1800), (800, 1600)), ((1600, 900), None)],
)
def test_it_is_made_of_larger_pictures_alone(size, shown):
    screen = cleaning.clean(BytesIO(jpeg(size))).screen
    assert (Image.open(BytesIO(screen)).size if screen else None) == shown


def test_it_is_stored_and_counted_with_its_picture(added, personas):
    assert added.screen.size < added.file.size
    assert added.stored_bytes == sum(file.size for file in added.stored_files)
    assert len(added.stored_files) == 3
    assert quota.of_clinic(personas.clinic.pk).used == added.stored_bytes


def test_pages_show_it_and_name_the_stored_one_for_zooming(added, viewer):
    screen, stored = (reverse("media", args=[added.pk, one]) for one in ("screen", "image"))
    for page, subject in (("lesion", added.lesion), ("image", added), ("image_new", added.lesion)):
        client = viewer if page != "image_new" else _as(added.uploaded_by)
        text = client.get(reverse(page, args=[subject.pk])).content.decode()
        assert f'src="{screen}"' in text, page
        assert f'src="{stored}"' not in text, page
    assert (
        f'data-whole="{stored}"' in viewer.get(reverse("image", args=[added.pk])).content.decode()
    )


def test_a_smaller_picture_is_shown_as_it_is_stored(viewer, personas):
    image = LesionImageFactory(lesion__patient=personas.patient)
    text = viewer.get(reverse("image", args=[image.pk])).content.decode()
    assert f'src="{reverse("media", args=[image.pk, "image"])}"' in text
    assert "data-whole" not in text


def test_it_is_delivered_as_every_picture(added, viewer, personas):
    url = reverse("media", args=[added.pk, "screen"])
    response = viewer.get(url)
    assert Image.open(BytesIO(response.getvalue())).size == (1600, 1200)
    assert response["Cache-Control"] == "private, no-cache"
    assert viewer.get(url, headers={"if-none-match": response["ETag"]}).status_code == 304
    assert len(looks_at(added, actor=personas.viewer.pk, act="read")) == 2
    assert _as(personas.colleague).get(url).status_code == 404
    withdraw(user=personas.clinician, record=added, reason="another_person")
    assert viewer.get(url).status_code == 404


def test_of_an_older_picture_a_worker_makes_it_once_it_is_asked_for(
    older, viewer, media, monkeypatch
):
    rung = []
    monkeypatch.setattr(bells, "remind_of_follow_up", lambda pk: rung.append(pk) or True)
    before = files(media)
    with monkeypatch.context() as patched:
        patched.setattr(cleaning, "screen", None)  # nothing is decoded for a page
        with CaptureQueriesContext(connection) as queries:
            assert size_of(viewer, older) == LARGE
    assert not [one for one in queries if '"screening_lesionimage" SET' in one["sql"]]
    assert (rung, files(media)) == ([older.pk], before)
    follow_up(older.pk)
    older.refresh_from_db()
    assert files(media) - before == {older.screen.name}
    assert older.stored_bytes == older.file.size + older.screen.size
    assert size_of(viewer, older) == (1600, 1200)
    follow_up(older.pk)
    assert rung == [older.pk]
    assert len(files(media)) == len(before) + 1, "it is made once"


def test_a_browser_that_keeps_the_stored_one_gets_the_smaller_one(older, viewer):
    url = reverse("media", args=[older.pk, "screen"])
    stored = viewer.get(url)
    close(stored)
    kept = {"if-none-match": stored["ETag"]}
    assert viewer.get(url, headers=kept).status_code == 304
    follow_up(older.pk)
    smaller = viewer.get(url, headers=kept)
    close(smaller)
    assert smaller.status_code == 200


def test_the_sweep_finds_it(older, added):
    assert image_services.without_screen() == [older]
    follow_up(older.pk)
    assert not image_services.without_screen()


def test_one_that_cannot_be_made_rests(older, viewer, monkeypatch):
    rung = []
    monkeypatch.setattr(bells, "remind_of_follow_up", lambda pk: rung.append(pk) or True)
    older.file.storage.delete(older.file.name)
    older.file.storage.save(older.file.name, ContentFile(b"no picture"))
    follow_up(older.pk)
    assert not image_services.without_screen()
    close(viewer.get(reverse("media", args=[older.pk, "screen"])))
    assert not rung
    assert not setbacks.due()


def test_one_that_is_lost_is_given_up_until_somebody_looks(older, viewer, monkeypatch, caplog):
    rung = []
    monkeypatch.setattr(bells, "remind_of_follow_up", lambda pk: rung.append(pk) or True)
    older.file.storage.delete(older.file.name)
    for times in range(setbacks.MOST):
        Setback.objects.update(rests_until=timezone.now())
        assert bool(setbacks.due()) == bool(times), "it is tried again"
        follow_up(older.pk)
    assert f"image {older.pk}: given up" in caplog.text
    Setback.objects.update(rests_until=timezone.now())
    assert not setbacks.due()
    assert not image_services.without_screen()
    assert viewer.get(reverse("media", args=[older.pk, "screen"])).status_code == 404
    assert rung == [older.pk]


def test_two_at_once_leave_one_file(older, media):
    first, second = LesionImage.objects.get(), LesionImage.objects.get()
    before = files(media)
    for one in (first, second):
        image_services.give_screen(one)
    assert first.screen.name == second.screen.name
    assert files(media) - before == {first.screen.name}


def test_an_erasure_meanwhile_leaves_none(older, media, monkeypatch):
    before = files(media)
    made = cleaning.screen

    def erased_meanwhile(file: Any) -> bytes:
        LesionImage.objects.all().delete()
        return made(file)

    monkeypatch.setattr(cleaning, "screen", erased_meanwhile)
    with pytest.raises(LesionImage.DoesNotExist):
        image_services.give_screen(older)
    assert files(media) == before


def test_without_it_the_stored_one_is_shown(older, viewer):
    assert size_of(viewer, older) == LARGE
    older.file.storage.delete(older.file.name)
    assert viewer.get(reverse("media", args=[older.pk, "screen"])).status_code == 404


def test_a_failed_upload_leaves_no_file(personas, media, monkeypatch):
    def fails(*arguments: object, **options: object) -> None:
        raise OSError("No space")

    monkeypatch.setattr(LesionImage, "save", fails)
    lesion = LesionFactory(patient=personas.patient)
    with pytest.raises(OSError, match="No space"):
        image_services.add_image(user=personas.clinician, lesion=lesion, file=BytesIO(jpeg()))
    assert not files(media)


def test_the_side_is_the_one_of_the_pages():
    assert LesionImage(width=SCREEN_SIDE, height=10).on_page == "image"
    assert LesionImage(width=10, height=SCREEN_SIDE + 1).on_page == "screen"


def _as(user: Any) -> Browser:
    client = Browser()
    client.force_login(user)
    return client
