"""Nobody can make this server connect to hosts that only it can reach, by any input or DNS
answer.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import subprocess
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError

from screening.errors import NotSent
from screening.webhooks import http, targets
from tests.webhooks.receiver import receiving

PRIVATE = (
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",  # carrier-grade NAT
    "192.0.0.192",  # where a cloud has its metadata
    "192.88.99.1",
    "3fff::1",
    "5f00::1",
    "169.254.169.254",  # the cloud's metadata
    "0.0.0.0",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",  # documentation
    "198.18.0.1",  # benchmarks
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:a00:1::",
)
PUBLIC = ("93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public(address):
    assert not targets.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_is_public(address):
    assert targets.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://practice.example.org/", "begins with https"),
        ("ftp://practice.example.org/", "begins with https"),
        ("file:///etc/passwd", "begins with https"),
        ("practice.example.org", "begins with https"),
        ("https://", "begins with https"),
        ("https://someone:secret@practice.example.org/", "user name"),
        ("https://practice.example.org/#part", "fragment"),
        ("https://practice.example.org\\@10.0.0.1/", "user name"),
        ("https://practice.example.org:99999/", "not an address"),
        ("https://[::1/", "not an address"),
        ("https://practice.example.org:22/", "443 or 8443"),
        ("https://practice.example.org:6379/", "443 or 8443"),
        ("https://practice.example.org/a b", "no spaces"),
        ("https://practice.example.org/\r\nHost: x", "no spaces"),
        ("https://prüfung.example.org/", "ASCII"),
        (f"https://practice.example.org/{'x' * 500}", "at most 500"),
        ("https://localhost/", "public internet"),
        ("https://LOCALHOST./", "public internet"),
        ("https://db.internal/", "public internet"),
        ("https://printer/", "public internet"),
        ("https://127.0.0.1/", "public internet"),
        ("https://2130706433/", "public internet"),
        ("https://0x7f000001/", "public internet"),
        ("https://127.1/", "public internet"),
        ("https://0177.0.0.1/", "public internet"),
        ("https://[::1]/", "public internet"),
        ("https://[::ffff:10.0.0.1]/", "public internet"),
        ("https://[fe80::1%25eth0]/", "public internet"),
    ],
)
def test_an_address_is_refused_when_it_is_entered(url, reason):
    with pytest.raises(ValidationError, match=reason):
        targets.check_target(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://practice.example.org/",
        "https://practice.example.org:8443/in/?key=1%20",
        "https://8.8.8.8/",
        "https://xn--prfung-mva.example.org/x",
    ],
)
def test_an_address_is_taken(url):
    targets.check_target(url)


def test_development_may_reach_its_own_machine(settings):
    settings.WEBHOOK_ALLOW_PRIVATE = True
    targets.check_target("http://localhost:9000/in")


@pytest.fixture
def names(monkeypatch):
    """The test's own name server: the answers for each name in turn; the last one repeats."""
    known: dict[str, list[list[str]]] = {}
    resolve = socket.getaddrinfo

    def answer(host, port, *args, **kwargs):
        if host not in known:
            return resolve(host, port, *args, **kwargs)
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [entry for address in found for entry in resolve(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


def listens(monkeypatch) -> list[tuple[str, int]]:
    """What is connected to from now on; nothing is."""
    asked: list[tuple[str, int]] = []

    def connect(address, *args, **kwargs):
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    return asked


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_stands_for_an_inner_address_is_not_connected_to(names, monkeypatch, address):
    names["evil.example.org"] = [[address]]
    asked = listens(monkeypatch)
    with pytest.raises(NotSent, match="not on the public internet"):
        http.post("https://evil.example.org/", {}, b"{}")
    assert asked == []


def test_one_inner_address_among_public_ones_is_enough(names, monkeypatch):
    names["evil.example.org"] = [["8.8.8.8", "10.0.0.1"]]
    asked = listens(monkeypatch)
    with pytest.raises(NotSent, match="not on the public internet"):
        http.post("https://evil.example.org/", {}, b"{}")
    assert asked == []


def test_a_name_that_changes_its_mind_leads_nowhere(names, monkeypatch):
    """DNS rebinding: public when it is checked, this machine a moment later."""
    names["evil.example.org"] = [["93.184.215.14"], ["127.0.0.1"]]
    asked = listens(monkeypatch)
    with pytest.raises(NotSent, match="nothing answers"):
        http.post("https://evil.example.org/", {}, b"{}")
    assert asked == [("93.184.215.14", 443)]
    assert names["evil.example.org"] == [["127.0.0.1"]]  # it was queried once


def test_the_port_is_checked_where_it_is_connected_to(names, monkeypatch):
    names["practice.example.org"] = [["93.184.215.14"]]
    asked = listens(monkeypatch)
    with pytest.raises(NotSent, match="443 or 8443"):
        http.post("https://practice.example.org:5432/", {}, b"{}")
    assert asked == []


def test_a_name_that_is_not_known(names, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NotSent, match="cannot be found"):
        http.post("https://nowhere.example.org/", {}, b"{}")


def test_a_redirect_is_not_followed(receiver):
    with receiving() as inner:
        receiver.status, receiver.headers = 302, {"Location": inner.url}
        assert http.post(receiver.url, {}, b"{}").status_code == 302
        assert inner.got == []


def test_an_answer_that_drips_is_cut_off(receiver):
    receiver.answer, receiver.drip = b"x" * 100, 0.1
    with pytest.raises(NotSent, match=r"No answer within 0\.5 seconds"):
        http.post(receiver.url, {}, b"{}", seconds=0.5)


def test_a_long_answer_is_kept_in_part(receiver):
    receiver.answer = b"\0\xff" + b"x" * 1_000_000
    answer = http.post(receiver.url, {}, b"{}")
    assert len(answer.text) == 1999  # without the zero byte, which PostgreSQL cannot store
    assert answer.text.startswith("\N{REPLACEMENT CHARACTER}x")


def test_nothing_listens(receiver):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotSent, match="nothing answers"):
        http.post(f"http://127.0.0.1:{port}/", {}, b"{}")


@pytest.fixture
def secured(tmp_path):
    """A server with a self-made certificate for practice.example.org."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    name = "practice.example.org"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout {key} -out {certificate}"
    command += f" -subj /CN={name} -addext subjectAltName=DNS:{name}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    with receiving(context) as receiver:
        yield urlsplit(receiver.url).port, certificate, asked, receiver


def test_the_name_stands_in_host_and_sni_and_the_certificate_is_checked(
    names, settings, secured, monkeypatch
):
    """It connects to the address, but uses the name."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    port, certificate, asked, receiver = secured
    names["practice.example.org"] = names["other.example.org"] = [["127.0.0.1"]]
    url = f"https://practice.example.org:{port}/in"
    with pytest.raises(NotSent, match="certificate is not valid"):
        http.post(url, {}, b"{}")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert http.post(url, {}, b"{}").status_code == 200
    [(path, headers, body)] = receiver.got
    assert (path, headers["host"], body) == ("/in", f"practice.example.org:{port}", b"{}")
    assert asked[-1] == "practice.example.org"
    with pytest.raises(NotSent, match="certificate is not valid"):
        http.post(f"https://other.example.org:{port}/in", {}, b"{}")
    assert len(receiver.got) == 1
