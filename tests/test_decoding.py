"""Pictures are decoded by workers and in the sandbox, never in a process that serves pages."""

from __future__ import annotations

import ast
import traceback

import pytest
from django.core.cache import cache
from django.urls import reverse
from PIL import ImageFile

from tests.access import MATRIX
from tests.clients import Browser
from tests.conftest import Everything
from tests.test_architecture import ALL

# Who calls a decoder, and in which process.
DECODES = {
    "ml.opening.pictures": "the one place that opens pictures",
    "screening.images.cleaning": "in the sandbox",
    "screening.images.decoder": "the sandbox",
    "screening.images.dicom": "in the sandbox",
    "screening.management.commands.example": "a command",
    "screening.management.commands.screen": "a command",
    "screening.measurements.masks": "workers; pages only the model's own mask, which is small",
    "screening.predictions.queue": "workers",
}
DECODERS = {"load_pixels", "open_picture", "dcmread", "imdecode", "imread", "Image.open"}
OURS = ("model_mask", "reportlab")
"""Masks that the model made, and what a report has just encoded itself, in print size."""


def test_decoders_are_called_in_known_places_only() -> None:
    found = set()
    for module, path in ALL:
        if module.startswith(("ml.training", "ml.evaluation", "ml.cases")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in DECODERS or called.rpartition(".")[2] in DECODERS:
                    found.add(module)
    assert found <= DECODES.keys(), found - DECODES.keys()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where this process decoded a picture."""
    noted: list[str] = []
    load = ImageFile.ImageFile.load

    def noting(image: ImageFile.ImageFile) -> object:
        stack = "".join(traceback.format_stack(limit=30))
        if image.tile and not any(one in stack for one in OURS):
            noted.append(stack[-1500:])
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noting)
    return noted


def test_an_outline_is_drawn_without_the_picture(
    everything: Everything, decoded: list[str]
) -> None:
    image, points = everything.clinic.image, [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8]]
    browser = Browser()
    browser.force_login(everything.personas.admin)
    written = " ".join(f"{x},{y}" for x, y in points)
    page = browser.post(reverse("image_outline", args=[image.pk]), {"points": written})
    body = {"image": str(image.pk), "points": points}
    program = browser.post(reverse("api:outline-list"), body, content_type="application/json")
    assert (page.status_code, program.status_code) == (302, 201)
    assert not decoded, decoded[0]


def test_no_address_decodes_a_picture(everything: Everything, decoded: list[str]) -> None:
    lines = {name: row for name, row in MATRIX.items() if "GET" in row.methods}
    for name, row in lines.items():
        cache.clear()
        browser = Browser()
        browser.force_login(everything.personas.admin)
        response = browser.get(reverse(name, args=row.args(everything.clinic)))
        if response.streaming:
            response.getvalue()
        assert not decoded, f"{name}: {decoded[0]}"
