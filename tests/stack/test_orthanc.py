"""Pictures to and from other archives: Orthanc, and another SkinCheck."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread

from tests.factories import picture
from tests.interop.dicoms import dicom, encoded
from tests.interop.dicoms import picture as drawn
from tests.stack.installation import Installation, free_port, installed, kill_group, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.any_database]

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "skincheck", "its-password"
REPORT, MASK = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.66.4"

MAKE_ADMIN = """
import json
from accounts import agreements, services
from accounts.models import User
admin = User.objects.create_user("admin@example.org")
clinic = services.found_clinic(user=admin, name="North clinic")
agreements.agree(user=admin, clinic=clinic)
key = services.create_api_key(user=admin, clinic=clinic, name="x")[1]
print(json.dumps([key, str(clinic.pk)]))
"""


@dataclass(frozen=True)
class Site:
    installation: Installation
    key: str
    clinic: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.installation.port}"

    @property
    def api(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=60)

    @property
    def dicomweb(self) -> DICOMwebClient:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.key}"
        return DICOMwebClient(f"{self.url}/dicomweb", session=session)


@contextmanager
def site(folder: Path, *parts: str) -> Iterator[Site]:
    """Running, with an admin of a clinic."""
    with installed(folder, WEBHOOK_ALLOW_PRIVATE="1") as made:
        printed = made.python("manage.py", "shell", "--no-imports", "-c", MAKE_ADMIN)
        with made.running("web"):
            wait_until(lambda: "Serving" in made.log("web"), "the web is ready")
            yield Site(made, *json.loads(printed.splitlines()[-1]))


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path / "ours") as made, made.installation.running("courier"):
        yield made


@pytest.fixture
def orthanc(tmp_path: Path, ours: Site) -> Iterator[str]:
    """The address of an archive with a password, which knows our DICOMweb service."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin")
    if program is None or not PLUGIN.exists():
        pytest.skip("needs Debian's orthanc and orthanc-dicomweb")
    port = free_port()
    bearer = {"Authorization": f"Bearer {ours.key}"}
    settings = {
        "HttpPort": port,
        "DicomServerEnabled": False,
        "StorageDirectory": str(tmp_path / "orthanc"),
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {
            "Enable": True,
            "Servers": {"ours": {"Url": f"{ours.url}/dicomweb/", "HttpHeaders": bearer}},
        },
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [program, tmp_path / "orthanc.json"], stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{address}/system"), "Orthanc is ready")
        yield address
    finally:
        kill_group(process)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, auth=(USER, PASSWORD)).status_code == 200
    except httpx.TransportError:
        return False


def add(made: Site, *pictures: bytes) -> str:
    """A lesion with these pictures."""
    with made.api as api:
        wanted = {"label": "P-1", "clinic": made.clinic}
        patient = api.post("patients/", json=wanted).raise_for_status().json()
        wanted = {"patient": patient["id"], "label": "L", "body_site": "back"}
        lesion: str = api.post("lesions/", json=wanted).raise_for_status().json()["id"]
        for number, data in enumerate(pictures):
            fields = {"lesion": lesion, "captured_on": f"2026-01-0{number + 1}"}
            api.post("images/", data=fields, files={"file": data}).raise_for_status()
    return lesion


def send(made: Site, lesion: str, *, with_readings: bool = False, **node: Any) -> list[Any]:
    """What became of each picture, once no courier has anything left to do."""
    with made.api as api:
        wanted = {"clinic": made.clinic, "name": "Archive", **node}
        node_id = api.post("dicom-nodes/", json=wanted).raise_for_status().json()["id"]
        tested = api.post(f"dicom-nodes/{node_id}/test/").json()
        assert tested["answers"], tested
        asked = {"node": node_id, "with_readings": with_readings}
        sent = api.post(f"lesions/{lesion}/send/", json=asked).raise_for_status()
        assert {one["state"] for one in sent.json()["deliveries"]} == {"waiting"}

        def outcome() -> list[Any]:
            found: list[Any] = api.get("dicom-deliveries/", params={"node": node_id}).json()[
                "results"
            ]
            return found

        wait_until(lambda: all(one["finished_at"] for one in outcome()), "they are sent")
        return outcome()


def own_file(made: Site, image: str) -> Dataset:
    with made.api as api:
        return dcmread(BytesIO(api.get(f"images/{image}/dicom").raise_for_status().content))


def test_orthanc_has_each_picture_as_we_write_it(ours: Site, orthanc: str) -> None:
    lesion = add(ours, picture(), encoded(drawn(), "PNG"))
    basic = {"authorization": "basic", "credentials": f"{USER}:{PASSWORD}"}
    sent = send(ours, lesion, address=f"{orthanc}/dicom-web", **basic)
    assert [(one["state"], one["tries"]) for one in sent] == [("delivered", 1)] * 2, sent

    session = requests.Session()
    session.auth = (USER, PASSWORD)
    archive = DICOMwebClient(f"{orthanc}/dicom-web", session=session)
    assert len(archive.search_for_instances()) == 2
    for one in sent:
        there = archive.retrieve_instance(one["study_uid"], one["series_uid"], one["instance_uid"])
        here = own_file(ours, one["image"])
        assert there == here
        assert there.file_meta.TransferSyntaxUID == here.file_meta.TransferSyntaxUID
        assert there.PatientName.family_name == "SkinCheck"

    again = send(ours, lesion, address=f"{orthanc}/dicom-web", **basic)
    assert {one["state"] for one in again} == {"delivered"}
    assert len(archive.search_for_instances()) == 2, "it recognises what it has"


def test_orthanc_has_the_reading_beside_the_picture(ours: Site, orthanc: str) -> None:
    with ours.installation.running("worker"):
        lesion = add(ours, picture())
        with ours.api as api:
            wait_until(
                lambda: api.get("predictions/").json()["results"][0]["state"] == "succeeded",
                "it is read",
            )
    basic = {"authorization": "basic", "credentials": f"{USER}:{PASSWORD}"}
    [sent] = send(ours, lesion, address=f"{orthanc}/dicom-web", with_readings=True, **basic)
    assert sent["state"] == "delivered", sent
    found = httpx.get(
        f"{orthanc}/dicom-web/studies/{sent['study_uid']}/instances",
        auth=(USER, PASSWORD),
        headers={"Accept": "application/dicom+json"},
    ).json()
    kinds = {one["00080016"]["Value"][0] for one in found}
    assert REPORT in kinds
    assert len(kinds) == len(found) == (3 if MASK in kinds else 2)


def test_a_wrong_password_is_told(ours: Site, orthanc: str) -> None:
    wanted = {
        "clinic": ours.clinic,
        "name": "Archive",
        "address": f"{orthanc}/dicom-web",
        "authorization": "basic",
        "credentials": f"{USER}:wrong",
    }
    lesion = add(ours, picture())
    with ours.api as api:
        node = api.post("dicom-nodes/", json=wanted).raise_for_status().json()["id"]
        tested = api.post(f"dicom-nodes/{node}/test/").json()
        assert not tested["answers"]
        assert "401" in tested["message"]
        api.post(f"lesions/{lesion}/send/", json={"node": node}).raise_for_status()
        states = "SELECT state, status_code, tries FROM screening_dicomdelivery"
        wait_until(lambda: ours.installation.query(states) == [("failed", 401, 1)], "it fails")


def test_orthanc_sends_to_us(ours: Site, orthanc: str) -> None:
    file = dicom(PatientID="HN-7", BurnedInAnnotation="NO")
    with httpx.Client(base_url=orthanc, auth=(USER, PASSWORD), timeout=60) as client:
        stored = client.post("/instances", content=file).raise_for_status().json()["ID"]
        sent = client.post(
            "/dicom-web/servers/ours/stow", json={"Resources": [stored], "Synchronous": True}
        )
        assert sent.status_code == 200, sent.text
    with ours.api as api:
        [patient] = api.get("patients/").json()["results"]
        [image] = api.get("images/").json()["results"]
    assert patient["label"] == "HN-7"
    kept = own_file(ours, image["id"])
    assert kept.SOPInstanceUID == dcmread(BytesIO(file)).SOPInstanceUID
    assert (kept.Rows, kept.Columns) == (225, 300)


def test_another_skincheck_is_a_node(ours: Site, tmp_path: Path) -> None:
    lesion = add(ours, picture())
    with site(tmp_path / "theirs") as theirs:
        [sent] = send(
            ours,
            lesion,
            address=f"{theirs.url}/dicomweb",
            authorization="bearer",
            credentials=theirs.key,
        )
        assert sent["state"] == "delivered", sent
        assert sent["message"] == "Stored, but: it changed data elements (B000)."
        with theirs.api as api:
            [image] = api.get("images/").json()["results"]
        assert own_file(theirs, image["id"]).SOPInstanceUID == sent["instance_uid"]
