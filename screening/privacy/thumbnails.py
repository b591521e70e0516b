"""Thumbnails in the audit log: a page's thumbnails belong to the page's entry.

The page adds a mark to the URL that only this site can make, for this person, this picture and this
day. A thumbnail that is requested without it gets its own entry.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from screening.models.signatures import AUDIT_THUMBNAIL, sign

_CURRENT, _WITHDRAWN = ("media", "thumbnail"), ("withdrawn_thumbnail", "")
_LETTERS = 16


def address_of(image: UUID, user: UUID, *, is_withdrawn: bool = False) -> str:
    """The mark for a page that shows the image to the user."""
    name, rendition = _WITHDRAWN if is_withdrawn else _CURRENT
    path = reverse(name, args=[image, rendition] if rendition else [image])
    return f"{path}?shown={_mark(image, user, 0)}"


def is_part_of_a_page(request: HttpRequest) -> bool:
    """Whether the request is for a thumbnail that a page showed today or yesterday."""
    found, mark = request.resolver_match, request.GET.get("shown", "")
    if found is None or not mark or not mark.isascii():
        return False
    if (found.view_name, str(found.kwargs.get("rendition", ""))) not in (_CURRENT, _WITHDRAWN):
        return False
    image, user = found.kwargs["pk"], request.user.pk
    return user is not None and any(
        hmac.compare_digest(mark, _mark(image, user, ago)) for ago in (0, 1)
    )


def _mark(image: UUID, user: UUID, days_ago: int) -> str:
    day = timezone.now().date() - timedelta(days=days_ago)
    content = {"image": str(image), "user": str(user), "day": day.isoformat()}
    return sign(content, AUDIT_THUMBNAIL)[:_LETTERS]
