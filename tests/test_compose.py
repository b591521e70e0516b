"""docker-compose.yml and Dockerfile: valid, locked down, and consistent with the settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber

from script.make_bucket import make_bucket

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "docker-compose.yml"
CHECK = (sys.executable, "-m", "check_jsonschema")
OURS = ("web", "uploads", "worker", "courier", "sweeper", "beat", "migrate")
# Read by boto3 and by Celery themselves.
OTHERS_VARIABLES = {"AWS_SHARED_CREDENTIALS_FILE", "CELERY_SKIP_CHECKS"}
# The number of components in a full version of each.
NUMBERS = {"python": 3, "nginx-unprivileged": 3, "valkey": 3, "postgres": 2, "seaweedfs": 2}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_it_follows_the_compose_schema() -> None:
    checked = subprocess.run(
        [*CHECK, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_all_parts_are_there(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, "nginx", "postgres", "broker", "s3"}


def test_only_nginx_is_reachable_and_only_from_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert list(published) == ["nginx"]
    assert all(port.startswith("127.0.0.1:") for port in published["nginx"])


def test_every_part_that_stays_is_watched_and_restarted(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_ours_wait_for_the_stores_and_the_tables(services: dict[str, Any]) -> None:
    for name in OURS:
        waits = {key: value["condition"] for key, value in services[name]["depends_on"].items()}
        stores = dict.fromkeys(("postgres", "broker", "s3"), "service_healthy")
        tables = {} if name == "migrate" else {"migrate": "service_completed_successfully"}
        assert waits == stores | tables


def test_the_release_adopts_its_model_version_after_the_migrations(
    services: dict[str, Any],
) -> None:
    steps = services["migrate"]["command"][-1].split(" && ")
    assert steps[:2] == ["python manage.py migrate --no-input", "python manage.py adopt"]


def test_secrets_are_files_that_only_those_see_who_need_them(services: dict[str, Any]) -> None:
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET|KEY|EMAIL_URL)", COMPOSE.read_text())
    for name, service in services.items():
        given = {f"/run/secrets/{secret}" for secret in service.get("secrets", [])}
        variables = service.get("environment", {})
        for variable, value in variables.items():
            if re.search(r"PASSWORD|SECRET|CREDENTIALS|EMAIL_URL|DATABASE_URL|REDIS", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value in given, f"{name}: {variable}"
        used = " ".join([*map(str, variables.values()), *service.get("command", [])])
        assert all(path in used for path in given), name


def test_one_command_makes_all_secrets_once(tmp_path: Path) -> None:
    environment = {**os.environ, "SECRETS_DIR": str(tmp_path / "secrets")}
    run = [ROOT / "script" / "secrets", "consolemail://"]
    subprocess.run(run, env=environment, check=True, capture_output=True)
    made = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    named = yaml.safe_load(COMPOSE.read_text())["secrets"]
    assert set(made) == set(named)
    assert {secret["file"] for secret in named.values()} == {f"./secrets/{name}" for name in made}
    assert made["postgres_password"] in made["database_url"]
    assert made["broker_conf"].split()[1] in made["redis_url"]
    assert (
        json.loads(made["s3_config"])["identities"][0]["credentials"][0]["secretKey"]
        in (made["s3_credentials"])
    )
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700

    subprocess.run(run, env=environment, check=True, capture_output=True)
    assert made == {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}


def test_the_settings_read_them(services: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run(
        [ROOT / "script" / "secrets", "smtp+tls://a:b@mail.example:587"],
        env={**os.environ, "SECRETS_DIR": str(folder)},
        check=True,
        capture_output=True,
    )
    variables = {
        name: value.replace("/run/secrets", str(folder))
        for name, value in services["web"]["environment"].items()
        if name.endswith("_FILE")
    }
    code = (
        "from skincheck_site import settings as s; import boto3; "
        "print(s.SECRET_KEY, s.DATABASES['default']['PASSWORD'], s.REDIS_URL, s.EMAIL_HOST, "
        "boto3.Session().get_credentials().secret_key)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    made = {file.name: file.read_text() for file in folder.iterdir()}
    assert told[:3] == [made["secret_key"], made["postgres_password"], made["redis_url"]]
    assert told[3] == "mail.example"
    assert told[4] in made["s3_credentials"]


def test_every_variable_is_one_that_the_settings_read(services: dict[str, Any]) -> None:
    settings = (ROOT / "skincheck_site" / "settings.py").read_text()
    read = set(re.findall(r'env(?:\.\w+)?\(\s*"(\w+)"', settings))
    assert read > {"SECRET_KEY", "HTTPS", "TRUSTED_PROXIES"}
    for name in OURS:
        variables = set(services[name]["environment"]) - OTHERS_VARIABLES
        assert {variable.removesuffix("_FILE") for variable in variables} <= read


def test_every_part_is_shut(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert "cap_add" not in service, name


def test_no_part_runs_as_root(services: dict[str, Any]) -> None:
    steps = (ROOT / "Dockerfile").read_text().splitlines()
    assert [step.split()[1] for step in steps if step.startswith("USER ")] == ["skincheck"]
    for name, service in services.items():
        if name == "nginx":
            assert "unprivileged" in service["image"]
        elif name not in OURS:
            assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name


def test_every_part_has_limits(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["memswap_limit"] == service["mem_limit"], name  # no swap beside it
        assert 0 < service["cpus"] <= 2, name
        assert 0 < service["pids_limit"] <= 200, name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        for folder in service["tmpfs"]:
            assert re.search(r":size=\d+m,", folder), name
        assert any(folder.startswith("/tmp:") for folder in service["tmpfs"]), name


def test_whoever_mails_reaches_the_outside_and_whoever_keeps_files_has_room(
    services: dict[str, Any],
) -> None:
    """Workers mail reminders and put exports together, and the sweeper does both without them."""
    for name in ("web", "uploads", "worker", "sweeper"):
        assert "outside" in services[name]["networks"], name
        assert "uploads:/srv/var/uploads" in services[name]["volumes"], name
    assert "outside" in services["courier"]["networks"]
    # The sweeper reads, and opens the pictures of batches, where no worker does.
    for limit in ("mem_limit", "memswap_limit", "cpus"):
        assert services["sweeper"][limit] == services["worker"][limit]


def test_images_are_pinned_to_full_versions(services: dict[str, Any]) -> None:
    first = re.search(r"^FROM (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert first is not None
    images = [service["image"] for name, service in services.items() if name not in OURS]
    for image in (first[1], *images):
        found = re.fullmatch(r"(?:\w+/)?([\w-]+):(\d+(?:\.\d+)*)(-[\w.-]+)?(@sha256:\w+)?", image)
        assert found, image
        assert len(found[2].split(".")) == NUMBERS[found[1]], image


def test_one_command_pins_them_to_digests(tmp_path: Path) -> None:
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\nprintf "sha256:%s\n" "$(echo "$4" | sha256sum | cut -c1-64)"\n')
    docker.chmod(0o755)
    path = f"{docker.parent}:{os.environ['PATH']}"
    for _ in range(2):  # and again
        subprocess.run(
            [ROOT / "script" / "digests", tmp_path],
            env={**os.environ, "PATH": path},
            check=True,
            capture_output=True,
        )
    pinned = re.compile(r"^(?: *image:|FROM) +(\S+)@sha256:[0-9a-f]{64}$", re.MULTILINE)
    text = (tmp_path / "docker-compose.yml").read_text()
    assert len(pinned.findall(text)) == 4
    assert len(pinned.findall((tmp_path / "Dockerfile").read_text())) == 1
    assert yaml.safe_load(text)["services"]["web"]["image"] == "skincheck"


def test_the_image_holds_the_serving_requirements_only() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"requirements[\w.-]*", dockerfile) == ["requirements-serve.lock"] * 2
    assert "--require-hashes" in dockerfile
    assert "\ntensorflow" not in (ROOT / "requirements-serve.lock").read_text()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert "*" in ignored  # everything is excluded except what is named
    needed = {
        "!requirements-serve.lock",
        "!accounts",
        "!ml",
        "!screening",
        "!skincheck_site",
        "!static",
        "!templates",
    }
    assert needed <= set(ignored)


@pytest.mark.parametrize("there", [True, False])
def test_the_bucket_is_made_once(there: bool) -> None:
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as stub:
        if there:
            stub.add_response("head_bucket", {}, {"Bucket": "skincheck"})
        else:
            stub.add_client_error("head_bucket", "404", http_status_code=404)
            stub.add_response("create_bucket", {}, {"Bucket": "skincheck"})
        assert make_bucket(client, "skincheck") is not there
        stub.assert_no_pending_responses()
    client.close()
