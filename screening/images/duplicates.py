"""Detects the same picture, byte for byte, on two lesions, and reports it before storing to users
who see both.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError

from accounts.models import User
from screening.models import Lesion, LesionImage


class SamePicture(ValidationError):
    """The same picture is on another lesion that the user sees. Nothing was stored."""

    def __init__(self, image: LesionImage) -> None:
        self.image = image
        where = f"“{image.lesion}” of {image.lesion.patient}"
        super().__init__({"file": f"The same picture is already on {where}."})


def require_new(*, user: User, lesion: Lesion, sha256: str) -> None:
    """Raise SamePicture if ``user`` sees it on another lesion. Lesions that they cannot see are not
    revealed.
    """
    same = LesionImage.objects.visible_to(user).filter(sha256=sha256).exclude(lesion=lesion)
    found = same.select_related("lesion__patient").order_by("created").first()
    if found is not None:
        raise SamePicture(found)
