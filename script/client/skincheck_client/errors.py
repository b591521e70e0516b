"""Everything that a client raises.

SkinCheckError
    Unreachable          no answer after several attempts, or not SkinCheck's
    NotFinished          a reading or an export that was awaited takes longer
    Problem              the site refused: nothing was done
        Invalid          400: fields are wrong
        NotAuthenticated 401: the key or token opens nothing
        NotPermitted     403: the role, or the scope, does not allow it
        NotFound         404: it is not there, or not for you
        SamePicture      409: the picture is on another lesion
        Changed          412: somebody changed it since
"""

from __future__ import annotations

from typing import Any, TypedDict


class SkinCheckError(Exception):
    pass


class Unreachable(SkinCheckError):
    """No answer after several attempts, an error of the server, or a response that is not from
    SkinCheck's API. The request may have been executed.
    """


class NotFinished(SkinCheckError):
    """It is not finished: ask again later."""


class FieldError(TypedDict, total=False):
    """pointer: a JSON pointer into the body; parameter: a name in the query string; or neither."""

    pointer: str
    parameter: str
    detail: str


class Problem(SkinCheckError):
    """The site refused the request and did nothing (RFC 9457). The text is the site's.

    type: "/problems/validation" and the like; ``docs/api.md`` lists them. request_id: identifies
    the request in the site's log. members: the whole body, such as ``scope`` or ``image`` and
    ``lesion``.
    """

    def __init__(self, members: dict[str, Any]) -> None:
        self.type: str = members.get("type", "about:blank")
        self.status: int = members["status"]
        self.detail: str = members["detail"]
        self.errors: list[FieldError] = members.get("errors", [])
        self.request_id: str = members.get("request_id", "")
        self.members = members
        super().__init__("; ".join(map(_words, self.errors)) or self.detail)


class Invalid(Problem):
    pass


class NotAuthenticated(Problem):
    pass


class NotPermitted(Problem):
    @property
    def scope(self) -> str:
        """The missing scope of the key or token; empty if the role is the reason."""
        return str(self.members.get("scope", ""))


class NotFound(Problem):
    pass


class SamePicture(Problem):
    """The same bytes are on another lesion that you may see."""

    @property
    def image(self) -> str:
        """The address of that image."""
        return str(self.members["image"])

    @property
    def lesion(self) -> str:
        """The address of its lesion."""
        return str(self.members["lesion"])


class Changed(Problem):
    pass


_BY_STATUS = {
    400: Invalid,
    401: NotAuthenticated,
    403: NotPermitted,
    404: NotFound,
    412: Changed,
}


def problem(members: dict[str, Any]) -> Problem:
    """The exception, of the class for its type."""
    if members.get("type") == "/problems/same-picture":
        return SamePicture(members)
    return _BY_STATUS.get(members["status"], Problem)(members)


def _words(error: FieldError) -> str:
    name = (error.get("pointer") or error.get("parameter") or "").strip("/")
    return f"{name}: {error['detail']}" if name else error["detail"]
