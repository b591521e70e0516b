"""Django's sessions in the database, for whatever a cookie holds."""

from __future__ import annotations

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        """Ours are letters and digits. PostgreSQL takes no NUL, which a quoted cookie may have."""
        return bool(super()._validate_session_key(key)) and str(key).isalnum()  # type: ignore[misc]
