"""docker-compose.yml and Dockerfile: whole, shut, and in the settings' own words."""

from __future__ import annotations

import re
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
OURS = ("web", "worker", "courier", "sweeper", "beat", "migrate")
# Read by boto3 and by Celery themselves.
OTHERS_VARIABLES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CELERY_SKIP_CHECKS"}


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


def test_no_secret_is_written_down(services: dict[str, Any]) -> None:
    secret = re.compile(r"PASSWORD|SECRET|EMAIL_URL")
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), f"{name}: {variable}"
            # Nor in an address: what stands between user and host is a variable.
            for password in re.findall(r"://[^:@/]*:([^@]*)@", str(value)):
                assert password.startswith("${"), f"{name}: {variable}"


def test_every_variable_is_one_that_the_settings_read(services: dict[str, Any]) -> None:
    settings = (ROOT / "skincheck_site" / "settings.py").read_text()
    read = set(re.findall(r'env(?:\.\w+)?\(\s*"(\w+)"', settings))
    assert read > {"SECRET_KEY", "HTTPS", "TRUSTED_PROXIES"}
    for name in OURS:
        assert set(services[name]["environment"]) - OTHERS_VARIABLES <= read


def test_ours_run_without_privileges(services: dict[str, Any]) -> None:
    for name in (*OURS, "nginx"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    assert "unprivileged" in services["nginx"]["image"]
    steps = (ROOT / "Dockerfile").read_text().splitlines()
    users = [step.split()[1] for step in steps if step.startswith("USER ")]
    assert users == ["skincheck"]


def test_the_image_holds_the_serving_requirements_only() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"requirements[\w.-]*", dockerfile) == ["requirements-serve.lock"] * 2
    assert "--require-hashes" in dockerfile
    assert "\ntensorflow" not in (ROOT / "requirements-serve.lock").read_text()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert "*" in ignored  # all is left out but what is named
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
