"""The body map's drawing, for the templates."""

from __future__ import annotations

from django import template

from screening import body
from screening.models import LesionPosition

register = template.Library()


@register.simple_tag
def body_figures() -> list[body.Figure]:
    return body.figures()


@register.filter
def middle_x(region: body.Region) -> float:
    return body.middles()[region.key][0] * body.WIDTH


@register.filter
def middle_y(region: body.Region) -> float:
    return body.middles()[region.key][1] * body.HEIGHT


@register.filter
def where_on_body(position: LesionPosition) -> str:
    return body.where(position.view, position.region, position.side)


@register.filter
def figure_of(position: LesionPosition) -> body.Figure:
    return next(figure for figure in body.figures() if figure.view == position.view)


@register.filter
def figure_x(position: LesionPosition) -> float:
    return position.x * body.WIDTH


@register.filter
def figure_y(position: LesionPosition) -> float:
    return position.y * body.HEIGHT
