"""What the browser reads is what Python reads: the same pixels, the same outcome and reason."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from ml import on_device, reader
from tests import reading_vectors
from tests.reading_vectors import Vector

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SITE = "https://reading.test"
START = """async (rules) => {
  const { Network } = await import("/static/js/reading/network.js");
  const { read } = await import("/static/js/reading/look.js");
  const model = new Uint8Array(await (await fetch("/model")).arrayBuffer());
  const runtime = "/static/vendor/litert/litert_wasm_compat_internal.js";
  const network = await Network.load(runtime, model, rules);
  window.readPixels = async (width, height, context) => {
    const data = new Uint8ClampedArray(await (await fetch("/pixels")).arrayBuffer());
    const found = await read(network, { width, height, channels: 3, data }, context);
    const mask = found.mask.reduce((sum, one) => sum + one, 0) / found.mask.length;
    return { ...found, mask, evidence: [...found.evidence.values] };
  };
}"""


class Shelf:
    """Answers for a site that is only these files."""

    pixels = b""

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        if path == "/":
            route.fulfill(body="<!doctype html><title>Reading</title>", content_type="text/html")
        elif path == "/pixels":
            route.fulfill(body=self.pixels, content_type="application/octet-stream")
        elif path == "/model":
            route.fulfill(path=reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite")
        else:
            kind = "application/wasm" if path.endswith(".wasm") else mimetypes.guess_type(path)[0]
            route.fulfill(path=ROOT / path.removeprefix("/"), content_type=kind)


@pytest.fixture(scope="module")
def reading(browser: Browser) -> Iterator[tuple[Page, Shelf]]:
    page, shelf = browser.new_page(), Shelf()
    page.route(f"{SITE}/**", shelf.answer)
    page.goto(f"{SITE}/")
    page.evaluate(START, on_device.rules_of(reader.card()))
    yield page, shelf
    page.close()


def test_drawn_pictures_are_read_alike(reading: tuple[Page, Shelf]) -> None:
    outcomes = _all_alike(reading, list(reading_vectors.vectors(reading_vectors.drawn())))
    assert len(outcomes) >= 3


def test_real_pictures_are_read_alike(reading: tuple[Page, Shelf], shared_data: Path) -> None:
    found = list(reading_vectors.vectors(reading_vectors.real(80)))
    assert len(found) >= 75
    assert set(_all_alike(reading, found)) == {"urgent", "see_doctor", "monitor", "not_assessable"}


def _all_alike(reading: tuple[Page, Shelf], vectors: list[Vector]) -> Counter[str]:
    page, shelf = reading
    for vector in vectors:
        shelf.pixels = vector.pixels.tobytes()
        height, width = vector.pixels.shape[:2]
        context = {
            name: value for name, value in asdict(vector.context).items() if value is not None
        }
        found: dict[str, Any] = page.evaluate(
            "(given) => readPixels(...given)", [width, height, context]
        )
        for name, expected in vector.expected.items():
            if isinstance(expected, float) or name in ("probabilities", "balanced", "evidence"):
                expected = pytest.approx(expected, abs=1e-3)
            assert found[name] == expected, f"{vector.name}: {name}"
    return Counter(vector.expected["outcome"] for vector in vectors)
