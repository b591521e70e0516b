"""What anyone sees without an account: what SkinCheck is, and a reading on their own device."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from ml import reader
from ml.opening.limits import IN_BYTES
from screening.models import BodySite, Lesion, LesionImage, Patient, Prediction, Sex, State
from screening.models.lesion import SYMPTOMS
from screening.predictions import advice, explanation, on_device

EXAMPLE = Path(__file__).resolve().parents[1] / "example.json"
"""What the default version reads in ``static/img/example.jpg``: see ``manage.py example``."""
RUNTIME = "vendor/litert/litert_wasm_compat_internal"
A_YEAR = 365 * 24 * 3600


def landing(request: HttpRequest) -> HttpResponse:
    """The site's address, for those who are not logged in."""
    read = _example()
    return render(
        request,
        "front/landing.html",
        {
            "advice": advice.advise(read),
            "explanation": explanation.explain(read),
            "missed": advice.missed(reader.DEFAULT_VERSION),
        },
    )


# LiteRT is compiled from WebAssembly: on this page alone, and nothing else is loosened.
@csp_update({"script-src": [SELF, "'wasm-unsafe-eval'"]})
@login_not_required
@require_safe
def try_picture(request: HttpRequest) -> HttpResponse:
    """The page is the same for everyone, logged in or not, because a copy of it stays on the
    device.
    """
    network = _network(reader.DEFAULT_VERSION)
    downloads = {
        reverse("model_network", args=[reader.DEFAULT_VERSION]): network.stat().st_size,
        static(f"{RUNTIME}.wasm"): _size_of_runtime(),
    }
    return render(
        request,
        "front/try.html",
        {
            "user": AnonymousUser(),
            "messages": [],
            "rules": on_device.rules(),
            "version": reader.DEFAULT_VERSION,
            "sexes": [choice for choice in Sex.choices if choice[0]],
            "body_sites": [choice for choice in BodySite.choices if choice[0]],
            "symptoms": SYMPTOMS,
            "in_bytes": IN_BYTES,
            "network": reverse("model_network", args=[reader.DEFAULT_VERSION]),
            "runtime": f"{RUNTIME}.js",
            "runtime_code": f"{RUNTIME}.wasm",
            "downloads": downloads,
            "megabytes": round(sum(downloads.values()) / 1_000_000),
        },
    )


@login_not_required
@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker of that page, which requests nothing beyond the page's own URL."""
    kept = {
        "page": reverse("try_picture"),
        "static": settings.STATIC_URL,
        "network": reverse("model_network", args=[reader.DEFAULT_VERSION]),
        "first": _first(),
        "version": _version(),
    }
    script = Path(_static_file("js/reading/worker.js")).read_text(encoding="utf-8")
    body = f"const KEPT = {json.dumps(kept)};\n{script}"
    return HttpResponse(body, content_type="text/javascript; charset=utf-8")


@login_not_required
@require_safe
def network(request: HttpRequest, version: str) -> HttpResponseBase:
    """A model version's network, which never changes."""
    if version not in reader.readable():
        raise Http404("There is no such network.")
    response = FileResponse(_network(version).open("rb"), content_type="application/octet-stream")
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    return response


def _network(version: str) -> Path:
    return reader.ARTIFACTS / version / "model.tflite"


def _static_file(name: str) -> str:
    found = finders.find(name)
    if not isinstance(found, str):
        raise Http404(f"There is no {name}.")
    return found


@cache
def _size_of_runtime() -> int:
    return Path(_static_file(f"{RUNTIME}.wasm")).stat().st_size


@cache
def _first() -> list[str]:
    """The scripts that others import by name."""
    folder = Path(_static_file("js/reading/page.js")).parent
    modules = sorted(file.name for file in folder.glob("*.js") if file.name != "worker.js")
    vendored = ("litert.js", "wasm_utils.js")
    prefix = settings.STATIC_URL
    return [f"{prefix}js/reading/{name}" for name in modules] + [
        f"{prefix}vendor/litert/{name}" for name in vendored
    ]


@cache
def _version() -> str:
    """A version that changes with the scripts, the styles or the model."""
    told = [reader.DEFAULT_VERSION, getattr(staticfiles_storage, "manifest_hash", "")]
    told.append(json.dumps(on_device.rules(), sort_keys=True))
    return sha256("\n".join(told).encode()).hexdigest()[:16]


@cache
def _example() -> Prediction:
    """A reading that is stored nowhere, of a picture of nobody."""
    read: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    lesion = Lesion(label="Example", patient=Patient(label="Nobody"))
    return Prediction(image=LesionImage(lesion=lesion), state=State.SUCCEEDED, **read)
