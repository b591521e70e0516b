"""After an erasure, no byte of any file of the installation names the person."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

import pytest

from tests.stack.installation import installed

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="of the embedded database's file"),
]

ASK = """
import json
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from django.test import Client
from django.utils import timezone
from accounts.models import User
from screening.erasure import services
from screening.images import services as images, synthetic
from screening.models import Erasure
from screening.records import services as records
user = User.objects.create_user("quill@feather.example", first_name="Zeb", last_name="Quillfeather")
Client(enforce_csrf_checks=True).force_login(user)
patient = records.register_patient(user=user, label="Skin of Zeb")
lesion = records.open_lesion(user=user, patient=patient, label="A", notes="seen by Dr Quillfeather")
data = synthetic.jpeg(synthetic.draw_lesion(seed=7))
image = images.add_image(user=user, lesion=lesion, file=BytesIO(data)).image
with image.file.open() as file:
    stored = file.read()
services.ask_for_account(user=user)
Erasure.objects.update(erased_from=timezone.now() - timedelta(seconds=1))
print(json.dumps({
    "ids": [str(one.pk) for one in (user, patient, lesion, image)],
    "words": ["quill@feather.example", "Quillfeather", "Skin of Zeb", image.file.name],
    "digests": [image.sha256, sha256(stored).hexdigest()],
    "part": stored[-400:-360].hex(),
}))
"""


def traces(folder: Path, said: dict) -> set[str]:
    """What is found, and where."""
    sought = {word: [word.encode()] for word in said["words"]}
    sought |= {one: [one.encode(), bytes.fromhex(one)] for one in said["digests"]}
    sought["picture"] = [bytes.fromhex(said["part"])]
    for one in said["ids"]:
        sought[one] = [one.encode(), UUID(one).hex.encode(), UUID(one).bytes]
    return {
        f"{path.relative_to(folder)}: {name}"
        for path in folder.rglob("*")
        if path.is_file()
        for name, forms in sought.items()
        if any(form in path.read_bytes() for form in forms)
    }


def test_no_file_names_who_was_erased(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    folder = tmp_path / "var"
    plain = {"ENCRYPT_AT_REST": "0"}  # so that the picture is found before
    with installed(folder, EMAIL_URL=f"filemail:///{mail}", **plain) as installation:
        asked = installation.python("manage.py", "shell", "-v0", "-c", ASK)
        said = json.loads(asked.splitlines()[-1])
        before = traces(folder, said)
        assert {one.partition(": ")[2] for one in before} >= {*said["words"], "picture"}
        assert "1 erased" in installation.python("manage.py", "erase")
        assert traces(folder, said) == set()
        assert "No trace" in installation.python("manage.py", "verify_erasure")
    assert mail.exists(), "the receipt was mailed"
