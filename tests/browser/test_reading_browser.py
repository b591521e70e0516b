"""What the browser reads is what Python reads: the same pixels, the same outcome and reason."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route

from ml import reader
from ml.opening.pictures import InvalidImage, open_picture
from ml.types import NotAssessable, Outcome, PatientContext
from screening.images import synthetic
from screening.models import Lesion, LesionImage, Patient, Prediction, PredictionMaps
from screening.predictions import on_device
from screening.predictions.advice import advise
from screening.predictions.overlays import overlays_of
from tests import cases, reading_vectors
from tests.reading_vectors import Vector

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SITE = "https://reading.test"
START = """async (rules) => {
  const { Network } = await import("/static/js/reading/network.js");
  const { read } = await import("/static/js/reading/look.js");
  const model = new Uint8Array(await (await fetch("/model")).arrayBuffer());
  const runtime = "/static/vendor/litert/litert_wasm_compat_internal";
  const network = await Network.load(`${runtime}.js`, `${runtime}.wasm`, model, rules);
  window.readPixels = async (width, height, context) => {
    const data = new Uint8ClampedArray(await (await fetch("/pixels")).arrayBuffer());
    const found = await read(network, { width, height, channels: 3, data }, context);
    const mask = found.mask.reduce((sum, one) => sum + one, 0) / found.mask.length;
    return { ...found, mask, evidence: [...found.evidence.values] };
  };
  const { evidenceGrid } = await import("/static/js/reading/maps.js");
  window.mapsOf = async (width, height) => {
    const data = new Uint8ClampedArray(await (await fetch("/pixels")).arrayBuffer());
    const found = await read(network, { width, height, channels: 3, data }, {});
    return evidenceGrid(found, rules);
  };
  const { advise } = await import("/static/js/reading/advice.js");
  window.adviceOn = (reading, about) => advise(reading, about, rules);
  const { Refused, open } = await import("/static/js/reading/opening.js");
  window.pixelsOf = async () => {
    try {
      const opened = await open(new File([await (await fetch("/pixels")).blob()], "it"), rules);
      return { width: opened.width, height: opened.height, data: [...opened.data] };
    } catch (error) {
      if (error instanceof Refused) return error.message;
      throw error;
    }
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
    page.evaluate(START, on_device.rules())
    yield page, shelf
    page.close()


def test_drawn_pictures_are_read_alike(reading: tuple[Page, Shelf]) -> None:
    outcomes = _all_alike(reading, list(reading_vectors.vectors(reading_vectors.drawn())))
    assert len(outcomes) >= 3


def test_real_pictures_are_read_alike(reading: tuple[Page, Shelf], shared_data: Path) -> None:
    found = list(reading_vectors.vectors(reading_vectors.real(80)))
    assert len(found) >= 75
    assert set(_all_alike(reading, found)) == {"urgent", "see_doctor", "monitor", "not_assessable"}


def test_the_same_words_are_told(reading: tuple[Page, Shelf]) -> None:
    page, _ = reading
    faults = tuple(one.value for one in NotAssessable)
    remarks = ((), ("lesion_cut_off",), ("more_than_one_lesion", "not_dermatoscopic"))
    cases_told = [
        *product((Outcome.URGENT, Outcome.SEE_DOCTOR, Outcome.MONITOR), ("",), remarks),
        *product((Outcome.NOT_ASSESSABLE,), faults, remarks),
    ]
    marked = ((), ("raised",), ("bleeding", "itching", "changing"))
    told = set()
    for (outcome, reason, beside), symptoms, age in product(cases_told, marked, (None, 16, 17)):
        born = None if age is None else 2026 - age
        lesion = Lesion(patient=Patient(birth_year=born), **dict.fromkeys(symptoms, True))
        prediction = Prediction(
            image=LesionImage(lesion=lesion, captured_on=date(2026, 5, 1)),
            model_version=reader.DEFAULT_VERSION,
            outcome=outcome.value,
            reason=reason,
            remarks=list(beside),
        )
        expected = advise(prediction)
        assert expected is not None
        found = page.evaluate(
            "([reading, about]) => adviceOn(reading, { ...about, age: about.age ?? undefined })",
            [
                {"outcome": outcome.value, "reason": reason, "remarks": list(beside)},
                {"symptoms": list(symptoms), "age": age},
            ],
        )
        assert found == {
            "outcome": expected.outcome,
            "title": expected.title,
            "text": list(expected.text),
            "aboutPercent": expected.about_percent,
            "falseAlarms": expected.false_alarms,
        }
        told.add(found["outcome"])
    assert told == set(Outcome)


def test_the_same_is_laid_over_the_picture(reading: tuple[Page, Shelf]) -> None:
    page, shelf = reading
    pixels = np.asarray(synthetic.draw_lesion(seed=3, size=(531, 402)))
    found = reader.load().read(pixels, PatientContext())
    mask = BytesIO()
    Image.fromarray(found.mask).save(mask, "PNG")
    maps = PredictionMaps(
        mask=mask.getvalue(),
        evidence=found.evidence.tolist(),
        evidence_cell=on_device.rules()["views"]["evidence_cell"],
    )
    expected = overlays_of(maps)
    shelf.pixels = pixels.tobytes()
    grid = page.evaluate("mapsOf(531, 402)")
    for code, levels in expected.grid["levels"].items():
        assert grid["levels"][code] == pytest.approx(levels, abs=1)
    assert grid["words"] == expected.grid["words"]
    assert grid["across"] == pytest.approx(expected.across)
    assert grid["down"] == pytest.approx(expected.down)


def _opened(reading: tuple[Page, Shelf], data: bytes) -> Any:
    page, shelf = reading
    shelf.pixels = data
    return page.evaluate("pixelsOf()")


def test_a_png_is_opened_to_the_same_pixels(reading: tuple[Page, Shelf]) -> None:
    spot = synthetic.draw_lesion(seed=2, size=(313, 271))
    for picture in (spot, spot.convert("L"), spot.quantize(200)):
        data = cases.encoded(picture, "PNG")
        found = _opened(reading, data)
        expected = np.asarray(open_picture(data).image)
        assert (found["height"], found["width"], 3) == expected.shape
        assert found["data"] == expected.ravel().tolist()


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_jpeg_is_opened_upright_and_almost_alike(
    reading: tuple[Page, Shelf], orientation: int
) -> None:
    spot = synthetic.draw_lesion(seed=2, size=(313, 271))
    data = cases.encoded(spot, quality=92, exif=cases.exif(orientation))
    found = _opened(reading, data)
    expected = np.asarray(open_picture(data).image).astype(int)
    assert (found["height"], found["width"], 3) == expected.shape
    difference = np.abs(np.array(found["data"]).reshape(expected.shape) - expected)
    assert difference.mean() < 0.5
    assert difference.max() <= 8


def test_what_the_site_refuses_is_refused_in_its_words(reading: tuple[Page, Shelf]) -> None:
    spot = cases.spot()
    moving = {"save_all": True, "append_images": [cases.spot((160, 120)).resize(spot.size)]}
    hostile = (
        cases.encoded(spot, "PNG", **moving),
        cases.encoded(spot, "WEBP", **moving),
        cases.encoded(spot)[:300],
        b"no picture at all",
    )
    for data in hostile:
        with pytest.raises(InvalidImage) as refused:
            open_picture(data)
        assert _opened(reading, data) == str(refused.value)
    assert isinstance(_opened(reading, cases.heic()), str)  # not decoded here, and said so


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
