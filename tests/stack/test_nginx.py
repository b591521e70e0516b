"""The web process as in production: behind nginx, with TLS terminated in front of both."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from getpass import getuser
from pathlib import Path

import pytest

from ml import reader
from tests.stack.attack import ask, slow_sockets
from tests.stack.installation import ROOT, free_port, installed, kill_group, wait_until

# What stands before the site knows no database.
pytestmark = [pytest.mark.stack, pytest.mark.any_database]

FRAME = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """nginx's address, with the compose file's configuration and settings behind it."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if nginx is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    server = (ROOT / "script" / "nginx.conf").read_text()
    assert "listen 8080;" in server
    server = server.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    config = folder / "nginx.conf"
    with (
        installed(folder / "var", HTTPS="1", TRUSTED_PROXIES="1") as installation,
        (folder / "nginx.log").open("wb") as log,
    ):
        for pool in ("web", "uploads"):
            assert f"http://{pool}:8000;" in server
            behind = f"http://127.0.0.1:{installation.port};"
            server = server.replace(f"http://{pool}:8000;", behind)
        config.write_text(FRAME.format(user=getuser(), folder=folder, server=server))
        with installation.running("web"):
            process = subprocess.Popen(
                [nginx, "-c", str(config)], stdout=log, stderr=log, start_new_session=True
            )
            try:
                wait_until(lambda: _answers(port), "nginx and the web process answer")
                yield "127.0.0.1", port
            finally:
                kill_group(process)


def _answers(port: int) -> bool:
    try:
        return _ask(("127.0.0.1", port), "GET", "/health/live").status == 200
    except OSError:
        return False


def _ask(
    address: tuple[str, int], method: str, path: str, **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in ({"Host": "localhost"} | headers).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def _post(address: tuple[str, int], path: str, body: bytes) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*address, timeout=20)
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", path, body, form)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_pages_are_for_https_only(address: tuple[str, int]) -> None:
    plain = _ask(address, "GET", "/accounts/login/")
    assert plain.status == 301
    assert plain.headers["Location"] == "https://localhost/accounts/login/"

    secure = _ask(address, "GET", "/accounts/login/", X_Forwarded_Proto="https")
    assert secure.status == 200
    assert "max-age=" in secure.headers["Strict-Transport-Security"]
    cookies = secure.headers.get_all("Set-Cookie")
    assert all(one.startswith("__Host-") and "Secure" in one for one in cookies), cookies


def test_an_upload_without_end_is_refused_before_it_is_sent(address: tuple[str, int]) -> None:
    refused = _ask(
        address, "POST", "/accounts/login/", X_Forwarded_Proto="https", Content_Length="120000000"
    )
    assert refused.status == 413


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/accounts/login/", 66_000),
        ("/accounts/signup/", 66_000),
        ("/accounts/password/reset/", 66_000),
        ("/oauth/token", 66_000),
        ("/patients/new/", 2_100_000),
    ],
)
def test_nginx_refuses_what_is_too_large_for_a_form(
    address: tuple[str, int], path: str, length: int
) -> None:
    sizes = {"X_Forwarded_Proto": "https", "Content_Length": str(length)}
    refused = _ask(address, "POST", path, **sizes)
    assert (refused.status, refused.headers["Content-Type"]) == (413, "text/html")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/patients/new/", "application/problem+json"),
        ("/fhir/R4/Patient/_search", "application/fhir+json"),
    ],
)
def test_the_site_refuses_what_is_too_large_for_a_stranger(
    address: tuple[str, int], path: str, kind: str
) -> None:
    refused = _post(address, path, b"a" * 66_000)
    assert (refused.status, refused.headers["Content-Type"]) == (413, kind)


def test_a_form_of_a_stranger_arrives(address: tuple[str, int]) -> None:
    """Within the limit it is the site that answers: there is no token."""
    assert _post(address, "/accounts/login/", b"login=" + b"a" * 60_000).status == 403


@pytest.mark.parametrize(
    ("path", "comes_from"),
    [
        ("/api/v1/images/", "application/problem+json"),
        ("/dicomweb/studies", "application/problem+json"),
        ("/dicomweb/studies/1.2.826.1", "application/problem+json"),
        ("/dicomweb/studies/1.2.826.1/series", "text/html"),
    ],
)
def test_large_pictures_reach_the_site(
    address: tuple[str, int], path: str, comes_from: str
) -> None:
    """Both refuse a stranger's, each in its own form: the site as a problem, nginx as a page."""
    answer = _ask(address, "POST", path, X_Forwarded_Proto="https", Content_Length="30000000")
    assert (answer.status, answer.headers["Content-Type"]) == (413, comes_from)


def test_another_host_name_is_refused(address: tuple[str, int]) -> None:
    answer = _ask(address, "GET", "/accounts/login/", Host="elsewhere.example")
    assert answer.status == 400


def test_slow_callers_hold_up_nobody(address: tuple[str, int]) -> None:
    with (
        slow_sockets(address, 12),
        slow_sockets(address, 12, path="/api/v1/batches/", length=900_000),
    ):
        answers = ask(address, ("/health/live",), 15)
    assert answers.failures == []


def test_one_caller_has_so_many_uploads_at_once(address: tuple[str, int]) -> None:
    with slow_sockets(address, 20, path="/api/v1/images/", length=60_000) as statuses:
        assert _ask(address, "GET", "/health/live").status == 200
    assert 429 in statuses


def _spooled(folder: Path) -> int:
    """Bytes of responses in files of nginx, which it deletes while they are open."""
    size = 0
    for file in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            place = str(file.readlink())
            if place.startswith(str(folder)) and "/proxy/" in place:
                size += file.stat().st_size
    return size


def test_slow_readers_fill_nothing(
    address: tuple[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each asks for the network, 14 MB, and does not read it."""
    version = reader.DEFAULT_VERSION
    head = (
        f"GET /model/{version}/model.tflite HTTP/1.1\r\nHost: localhost\r\n"
        "X-Forwarded-Proto: https\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        for _ in range(20):
            asking = stack.enter_context(socket.create_connection(address, timeout=20))
            asking.sendall(head)
            assert asking.recv(15) == b"HTTP/1.1 200 OK"
        answers = ask(address, ("/health/live",), 50)
        assert _spooled(tmp_path_factory.getbasetemp()) == 0
    assert answers.failures == []
