"""oauthlib's server for client credentials."""

from __future__ import annotations

from typing import Any

from oauthlib.oauth2 import BackendApplicationServer


class Server(BackendApplicationServer):
    """Revokes a token whatever kind the client takes it for: a hint is no reason to leave it valid
    (RFC 7009, 2.1).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supported_token_types = self.valid_token_types
