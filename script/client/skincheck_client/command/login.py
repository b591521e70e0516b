"""The site and the key: from the environment, or from a file that only its owner can read."""

from __future__ import annotations

import getpass
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from skincheck_client import Client, NotPermitted, clinics
from skincheck_client.command.failure import Exit, Failure


def path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "skincheck" / "login.json"


def site() -> Client:
    """SKINCHECK_URL and SKINCHECK_KEY take precedence over what ``login`` has stored."""
    stored = _stored()
    url = os.environ.get("SKINCHECK_URL") or stored.get("url", "")
    key = os.environ.get("SKINCHECK_KEY") or stored.get("key", "")
    if not url or not key:
        raise Failure(
            "Log in first: skincheck login. Or set SKINCHECK_URL and SKINCHECK_KEY.", Exit.REFUSED
        )
    if stored and url != stored.get("url") and not os.environ.get("SKINCHECK_KEY"):
        raise Failure("SKINCHECK_URL names another site than the stored key's.", Exit.REFUSED)
    return Client(_checked(url), key)


def log_in(url: str | None) -> str:
    """Ask for what is missing, test the key, store both. Returns the site's address."""
    url = _checked(url or input("Address of the site, such as https://skincheck.example: "))
    asks = sys.stdin.isatty()
    key = getpass.getpass("API key, from your account page: ") if asks else sys.stdin.readline()
    if not key.strip():
        raise Failure("There is no key. Make one on your account page.", Exit.USAGE)
    # A key that may not list clinics is still valid.
    with Client(url, key.strip()) as site, suppress(NotPermitted):
        site.send(clinics.list())
    _keep(url, key.strip())
    return url


def _checked(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Failure(f"“{url}” is no address of a site.", Exit.USAGE)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        print(
            "Warning: without https, the key and the pictures can be read on the way.",
            file=sys.stderr,
        )
    return url.strip().rstrip("/")


def _stored() -> dict[str, str]:
    try:
        found = json.loads(path().read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failure(f"{path()} cannot be read: {error}", Exit.REFUSED) from None
    return found if isinstance(found, dict) else {}


def _keep(url: str, key: str) -> None:
    """Store it in a file that only its owner can access from the start."""
    target = path()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": url, "key": key}, file)
    part.replace(target)
