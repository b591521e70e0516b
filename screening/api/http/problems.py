"""Every kind of error. Its ``type`` is a URL of ours with a page that explains it."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from ml.opening.limits import IN_BYTES, size_in_words

JSON_LIMIT = size_in_words(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


@dataclass(frozen=True, slots=True)
class Kind:
    """slug: never changes. meaning: what happened. remedy: what to do about it."""

    slug: str
    status: int
    title: str
    meaning: str
    remedy: str

    @property
    def type(self) -> str:
        return f"/problems/{self.slug}"


VALIDATION = Kind(
    "validation",
    400,
    "The request has errors",
    "Fields of the body or parameters of the address are wrong, unknown or missing. `errors` has "
    "one entry for each: `pointer` is a JSON pointer into the body, `parameter` a name in the "
    "query string.",
    "Correct what is named and send it again. The same request will fail again.",
)
MALFORMED = Kind(
    "malformed",
    400,
    "The request cannot be read",
    "The body is no JSON or no multipart/form-data, is cut off, or the host is not one of ours.",
    "Check the body and its Content-Type. Nothing of it was read.",
)
NOT_AUTHENTICATED = Kind(
    "not-authenticated",
    401,
    "You are not logged in",
    "There was no key or token, or one that is unknown, has expired or has been revoked.",
    "Send `Authorization: Bearer …` with a key from the account page, or get a new token.",
)
PERMISSION_DENIED = Kind(
    "permission-denied",
    403,
    "You may not do that",
    "You may see the record, but your role does not allow what you asked for.",
    "Ask an admin of the clinic for a role that does.",
)
MISSING_SCOPE = Kind(
    "missing-scope",
    403,
    "The key or token may not do that",
    "The key or token was made without the scope that this needs; `scope` names it.",
    "Make a key, or register a system, that has it. Neither gets more than the role allows.",
)
NOT_FOUND = Kind(
    "not-found",
    404,
    "There is nothing here",
    "It does not exist, or is not for you to see: the answer does not tell the two apart.",
    "Check the identifier and the address: addresses of resources end with a slash.",
)
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed",
    405,
    "This cannot be done here",
    "The address exists, but not for this method.",
    "`Allow` lists the methods that it takes. Nothing is deleted over the API.",
)
NOT_ACCEPTABLE = Kind(
    "not-acceptable",
    406,
    "The answer cannot be given in this format",
    "`Accept` names a format that this address does not have.",
    "Accept `application/json`, or what the operation is documented to answer with.",
)
CONFLICT = Kind(
    "conflict",
    409,
    "Someone else was faster",
    "The same was stored at the same moment, or an identifier belongs to another record already.",
    "Look at what is there now, then decide whether to try again.",
)
SAME_PICTURE = Kind(
    "same-picture",
    409,
    "The same picture is on another lesion",
    "The same bytes are on another lesion that you may see. `image` and `lesion` are the addresses "
    "of that one. Nothing was stored.",
    "If it belongs there only, there is nothing to do. If it was put there by mistake, move it. To "
    "have it here as well, send it again with `allow_duplicate=true`.",
)
IN_PROGRESS = Kind(
    "in-progress",
    409,
    "The first request with this key is still running",
    "Another request with this `Idempotency-Key` has not been answered yet.",
    "Wait for `Retry-After` seconds and send the same request again: it gets the same answer.",
)
PRECONDITION_FAILED = Kind(
    "precondition-failed",
    412,
    "It has changed since you looked",
    "`If-Match` names another version of the record than the one that is there now. Nothing was "
    "changed.",
    "Get the record again, apply your change to it, and send it with the new `ETag`.",
)
TOO_LARGE = Kind(
    "too-large",
    413,
    "The request is too large",
    f"JSON is over {JSON_LIMIT}, or a picture over {IN_BYTES}.",
    "Send less at a time, or export the picture smaller.",
)
UNSUPPORTED_MEDIA_TYPE = Kind(
    "unsupported-media-type",
    415,
    "The request is in the wrong format",
    "The Content-Type of the body is not one that this address reads.",
    "Send JSON; pictures also as multipart/form-data.",
)
KEY_REUSED = Kind(
    "key-reused",
    422,
    "The key was used for another request",
    "This `Idempotency-Key` came within the last 24 hours with another address or another body.",
    "Use a new key for each new thing to do, and the same one only to repeat it.",
)
TOO_MANY_REQUESTS = Kind(
    "too-many-requests",
    429,
    "Too many requests",
    "The caller has used up what `RateLimit-Policy` allows.",
    "Wait for `Retry-After` seconds. `RateLimit` tells with every answer how many are left.",
)
SERVER_ERROR = Kind(
    "server-error",
    500,
    "Something went wrong here",
    "A bug of ours. It has been logged under `request_id`; nothing was changed.",
    "Try again later. If it stays, tell the operator the request id.",
)
BUSY = Kind(
    "busy",
    503,
    "Too much arrives at the moment",
    "So many pictures are being opened that this one's turn did not come. Nothing was changed.",
    "Send the same request again after `Retry-After` seconds.",
)
UNAVAILABLE = Kind(
    "unavailable",
    503,
    "What this needs cannot be reached at the moment",
    "The database or the storage of pictures is away or too busy. Nothing was changed.",
    "Send the same request again after `Retry-After` seconds.",
)
NO_ROOM = Kind(
    "no-room",
    507,
    "There is no room left",
    "The disk is full. Nothing was changed, and nothing of the request was kept.",
    "Send the same request again after `Retry-After` seconds; if it stays, tell the operator.",
)

ALL = (
    VALIDATION,
    MALFORMED,
    NOT_AUTHENTICATED,
    PERMISSION_DENIED,
    MISSING_SCOPE,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    CONFLICT,
    SAME_PICTURE,
    IN_PROGRESS,
    PRECONDITION_FAILED,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    KEY_REUSED,
    TOO_MANY_REQUESTS,
    SERVER_ERROR,
    BUSY,
    UNAVAILABLE,
    NO_ROOM,
)
BY_SLUG = {kind.slug: kind for kind in ALL}
# The default kind for each status.
BY_STATUS = {kind.status: kind for kind in reversed(ALL)} | {
    kind.status: kind for kind in (MALFORMED, PERMISSION_DENIED, CONFLICT)
}
