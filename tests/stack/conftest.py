from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.stack.installation import Installation, installed, wait_until

# A person with a key, and an application of somebody else's clinic.
MAKE_CALLERS = """
import json
from accounts import agreements, applications, scopes, services
from accounts.models import User
person, admin = (User.objects.create_user(f"{name}@example.org") for name in ("person", "admin"))
clinic = services.found_clinic(user=admin, name="North clinic")
agreements.agree(user=admin, clinic=clinic)
application, secret = applications.register_application(
    user=admin, clinic=clinic, name="Practice", role="assistant", scopes=scopes.known()
)
print(json.dumps({
    "key": services.create_api_key(user=person, name="x")[1],
    "client_id": application.client_id,
    "client_secret": secret,
    "client_with_keys": applications.register_application(
        user=admin, clinic=clinic, name="Archive", role="viewer", scopes=["fhir:read"], keys=%r
    )[0].client_id,
}))
"""

KEYS = [
    ECKey.generate_key("P-384", {"kid": "ec", "alg": "ES384"}),
    RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS384"}),
]


@dataclass(frozen=True)
class Site:
    """A running web process and worker, and the credentials of two clients."""

    installation: Installation
    url: str
    key: str
    client_id: str
    client_secret: str
    client_with_keys: str


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path / "var") as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with installed(tmp_path_factory.mktemp("site") / "var") as made:
        keys = {"keys": [key.as_dict(private=False) for key in KEYS]}
        make_callers = MAKE_CALLERS % json.dumps(keys)
        callers = made.python("manage.py", "shell", "--no-imports", "-c", make_callers)
        with made.running("web"), made.running("worker"):
            wait_until(lambda: "Serving" in made.log("web"), "the web is ready")
            wait_until(lambda: " ready." in made.log("worker"), "the worker is ready")
            url = f"http://127.0.0.1:{made.port}"
            yield Site(made, url, **json.loads(callers.splitlines()[-1]))
