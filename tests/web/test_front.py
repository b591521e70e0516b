"""What strangers get: the landing page, and the one page that may compile WebAssembly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse
from PIL import Image

from ml import reader
from screening.management.commands import example
from screening.web.navigation import FOR_PEOPLE
from screening.web.views.front import EXAMPLE
from tests.clients import Browser
from tests.conftest import Personas

pytestmark = pytest.mark.django_db
LOOSER = "'wasm-unsafe-eval'"


def test_a_stranger_gets_the_landing_page_and_a_person_their_home(
    client: Browser, personas: Personas
) -> None:
    page = client.get("/").content.decode()
    assert "it never leaves your device" in page
    assert FOR_PEOPLE in page
    client.force_login(personas.self_tracker)
    assert "it never leaves your device" not in client.get("/").content.decode()


def test_one_page_alone_may_compile_webassembly(client: Browser, personas: Personas) -> None:
    strict = _directives(client.get("/"))
    tried = _directives(client.get(reverse("try_picture")))
    assert tried.pop("script-src") == {"'self'", LOOSER}
    assert tried == strict
    client.force_login(personas.self_tracker)
    for name in ("home", "patients", "model", "account", "reminders"):
        assert _directives(client.get(reverse(name))) == strict
    client.logout()
    for address in ("/accounts/login/", "/accounts/signup/", "/no-such-page/"):
        assert LOOSER not in client.get(address).headers["Content-Security-Policy"]


def test_the_try_is_the_same_for_all(client: Browser, personas: Personas) -> None:
    page = client.get(reverse("try_picture")).content
    client.force_login(personas.self_tracker)
    assert client.get(reverse("try_picture")).content == page


def test_the_network_is_given_as_it_is(client: Browser) -> None:
    answer = client.get(reverse("model_network", args=[reader.DEFAULT_VERSION]))
    network = reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite"
    assert b"".join(answer.streaming_content) == network.read_bytes()
    assert "immutable" in answer.headers["Cache-Control"]
    assert client.get(reverse("model_network", args=["2026.11.1"])).status_code == 404


def test_the_worker_keeps_what_is_there(client: Browser) -> None:
    script = client.get(reverse("try_worker")).content.decode()
    kept = json.loads(script.partition("= ")[2].partition(";\n")[0])
    assert kept["page"] == "/try/"
    assert "/static/js/reading/look.js" in kept["first"]


def test_the_example_is_what_the_default_version_reads() -> None:
    """Else: ``manage.py example``."""
    shown = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    found = example.read(example.PICTURE.read_bytes())
    assert shown["model_version"] == reader.DEFAULT_VERSION
    for field in ("probabilities", "balanced_probabilities"):
        assert shown.pop(field) == pytest.approx(found.pop(field), abs=1e-4)
    assert shown == found


def _directives(answer: object) -> dict[str, set[str]]:
    told = answer.headers["Content-Security-Policy"]
    parts = [part.split() for part in told.split(";")]
    return {name: set(values) for name, *values in parts}


def test_it_can_be_installed(client: Browser) -> None:
    """What a browser asks for: a name, an address to start at, and icons as large as they say."""
    assert '<link rel="manifest"' in client.get("/").text
    manifest = Path(str(finders.find("manifest.webmanifest")))
    told = json.loads(manifest.read_text(encoding="utf-8"))
    assert told["name"] and told["start_url"] == "/" and told["display"] == "standalone"
    drawn = [icon for icon in told["icons"] if icon["type"] == "image/png"]
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in drawn}
    for icon in drawn:
        with Image.open(manifest.parent / icon["src"]) as picture:
            assert f"{picture.width}x{picture.height}" == icon["sizes"]
