"""The body map's drawing, for the templates."""

from __future__ import annotations

from django import template

from screening.body_map import regions
from screening.models import LesionPosition

register = template.Library()


@register.simple_tag
def body_figures() -> list[regions.Figure]:
    return regions.figures()


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
