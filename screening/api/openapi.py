"""The OpenAPI document. Building it takes seconds, so each process builds and writes it once."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request


class SchemaView(SpectacularAPIView):
    http_method_names = ["get", "head"]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        name = self._get_filename(request, request.version)
        return HttpResponse(
            _written(renderer.__class__),
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="{name}"'},
        )


def prepare() -> None:
    """Build the document, so that no request waits for it."""
    _written(OpenApiYamlRenderer)


@cache
def _written(renderer: Any) -> bytes:
    """The document in the renderer's format."""
    text: bytes = renderer().render(document(), renderer_context={})
    return text


@cache
def document() -> dict[str, Any]:
    """The document of all operations. Read-only, because all callers share it."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made
