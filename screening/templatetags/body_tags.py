"""The body map's drawing, for the templates."""

from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from screening.body_map import regions
from screening.body_map.queries import STATES, MapPoint
from screening.models import LesionPosition

register = template.Library()


@register.simple_tag
def body_figures() -> list[regions.Figure]:
    return regions.figures()


@register.simple_tag
def map_point(point: MapPoint) -> SafeString:
    """A numbered point, which leads to its row in the list or to its own page. In Python: a map may
    have hundreds, and a template takes ten times as long.
    """
    key, number = point.lesion.pk, point.lesion.number
    return format_html(
        '<a class="map-point outcome-{shape}" id="point-{key}" data-lesion="{key}" href="{address}"'
        ' transform="translate({x} {y})" aria-label="{number}: {lesion}, {where}, {word}">'
        '<g class="mark"><circle class="ring" r="15"/><use href="#shape-{state}"/>'
        "<text>{number}</text></g></a>",
        shape=point.state or "none",
        key=key,
        address=f"#lesion-{key}" if point.is_listed else reverse("lesion", args=[key]),
        x=f"{point.x:.1f}",
        y=f"{point.y:.1f}",
        number=number,
        lesion=point.lesion,
        where=point.where,
        word=STATES[point.state],
        state=point.state,
    )


@register.filter
def middle_x(region: regions.Region) -> float:
    return regions.middles()[region.key][0] * regions.WIDTH


@register.filter
def middle_y(region: regions.Region) -> float:
    return regions.middles()[region.key][1] * regions.HEIGHT


@register.filter
def where_on_body(position: LesionPosition) -> str:
    return regions.where(position.view, position.region, position.side)


@register.filter
def figure_of(position: LesionPosition) -> regions.Figure:
    return next(figure for figure in regions.figures() if figure.view == position.view)


@register.filter
def figure_x(position: LesionPosition) -> float:
    return position.x * regions.WIDTH


@register.filter
def figure_y(position: LesionPosition) -> float:
    return position.y * regions.HEIGHT
