"""The upload page: pictures are chosen, each gets its own day, and each is sent."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from ml.opening import containers, exif
from tests import cases
from tests.browser.conftest import SCREENS, Site, is_sound, log_in

pytestmark = pytest.mark.browser
WITHIN = 20_000


def _go_to_upload(page: Page) -> str:
    """To a new lesion; returns its URL. A picture may be on one lesion only, so each test has
    different ones (``_taken``'s seed).
    """
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Add a lesion", exact=True).first.click()
    page.get_by_label("Name", exact=False).first.fill("Photographed spot")
    page.get_by_role("button", name=re.compile("Continue")).click()
    page.wait_for_url("**/images/new/")
    return page.url.removesuffix("images/new/")


def _written(folder: Path, **files: bytes) -> list[Path]:
    paths = []
    for name, data in files.items():
        paths.append(folder / name.replace("_dot_", "."))
        paths[-1].write_bytes(data)
    return paths


def _taken(day: str, seed: int) -> bytes:
    picture = cases.spot().rotate(seed)
    return cases.encoded(picture, exif=cases.exif(taken=f"{day.replace('-', ':')} 10:20:30"))


@SCREENS
def test_each_picture_has_its_own_day_before_anything_is_sent(
    open_page: Callable[..., Page],
    signed_in: dict[str, Any],
    tmp_path: Path,
    screen: dict[str, Any],
) -> None:
    page = open_page(storage_state=signed_in, timezone_id="Pacific/Kiritimati", **screen)
    lesion = _go_to_upload(page)
    is_sound(page)
    days = [f"2024-03-{n:02}" for n in range(1, 11)]
    first = screen["viewport"]["width"]
    old = {f"a{n}_dot_jpg": _taken(day, first + n) for n, day in enumerate(days)}
    turned = cases.spot().rotate(first + 20)
    heic = {"phone_dot_heic": cases.heic(turned, exif=cases.exif(taken="2024:04:01 08:00:00"))}
    page.locator("input[name=file]").set_input_files(_written(tmp_path, **old, **heic))
    rows = page.locator(".upload")
    expect(rows).to_have_count(11)
    for n, day in enumerate([*days, "2024-04-01"]):
        expect(rows.nth(n).get_by_label("Taken on")).to_have_value(day)
        expect(rows.nth(n)).to_contain_text("This date comes from the file.")
    expect(rows.nth(10)).to_contain_text("This browser cannot show this file")
    is_sound(page)

    plain = _written(tmp_path, plain_dot_png=cases.encoded(cases.spot().rotate(first + 30), "PNG"))
    page.locator("input[name=file]").set_input_files(plain)
    here = page.evaluate("new Date().toLocaleDateString('sv')")
    expect(rows.nth(11).get_by_label("Taken on")).to_have_value(here)  # the browser's day
    expect(rows.nth(11)).to_contain_text("today’s is filled in")
    impossible = _written(tmp_path, leap_dot_jpg=_taken("2023-02-29", first + 40))
    page.locator("input[name=file]").set_input_files(impossible)
    expect(rows.nth(12)).to_contain_text("“2023:02:29”, which is no day. Give the day.")
    expect(rows.nth(12).get_by_label("Taken on")).to_have_value("")
    rows.nth(12).get_by_role("button", name="Remove").click()
    rows.nth(11).get_by_label("Taken on").fill("2023-12-24")
    rows.nth(11).get_by_label("Kind").select_option("clinical")
    rows.nth(0).get_by_role("button", name="Remove").click()

    page.get_by_role("button", name="Add 11 pictures").click()
    page.wait_for_url(lesion, timeout=60_000)
    for day in ("24 Dec 2023", "2 Mar 2024", "10 Mar 2024", "1 Apr 2024"):
        expect(page.get_by_role("main")).to_contain_text(day)
    expect(page.get_by_role("main")).not_to_contain_text("1 Mar 2024,")


@SCREENS
def test_a_second_click_hits_nothing_else(
    open_page: Callable[..., Page],
    signed_in: dict[str, Any],
    tmp_path: Path,
    screen: dict[str, Any],
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    lesion = _go_to_upload(page)
    seeds = [screen["viewport"]["width"] + 40 + n for n in range(3)]
    files = {f"t{n}_dot_jpg": _taken(f"2024-05-0{n + 1}", seed) for n, seed in enumerate(seeds)}
    page.locator("input[name=file]").set_input_files(_written(tmp_path, **files))
    button = page.get_by_role("button", name="Add 3 pictures")
    button.scroll_into_view_if_needed()
    place = button.bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/images/new/", hold)
    page.mouse.click(x, y)
    # The others come while the pictures are sent, however fast or slow that is.
    for pause in (60, 250):
        page.wait_for_timeout(pause)
        page.mouse.click(x, y)
    for route in held:
        route.continue_()
    page.unroute("**/images/new/", hold)
    page.wait_for_url(lesion, timeout=60_000)
    for day in ("1 May 2024", "2 May 2024", "3 May 2024"):
        expect(page.get_by_role("main")).to_contain_text(day)


def test_one_that_fails_is_sent_again_alone(
    open_page: Callable[..., Page], signed_in: dict[str, Any], tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in)
    lesion = _go_to_upload(page)
    files = _written(
        tmp_path, one_dot_jpg=_taken("2024-03-01", 1), two_dot_jpg=_taken("2024-03-02", 2)
    )
    page.locator("input[name=file]").set_input_files(files)
    rows = page.locator(".upload")
    rows.nth(0).get_by_label("Taken on").fill("2999-01-01")
    page.get_by_role("button", name="Add 2 pictures").click()
    expect(rows.nth(0)).to_contain_text("lies in the future", timeout=WITHIN)
    expect(rows.nth(1)).to_contain_text("Open the result", timeout=WITHIN)
    rows.nth(0).get_by_label("Taken on").fill("2024-03-01")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    rows.nth(0).get_by_role("button", name="Try again").click()
    page.wait_for_url(lesion, timeout=WITHIN)
    assert sent.count("POST") == 1


def test_one_that_was_here_already_is_told_beside_new_ones(
    open_page: Callable[..., Page], signed_in: dict[str, Any], tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in)
    lesion = _go_to_upload(page)
    files = _written(
        tmp_path, old_dot_jpg=_taken("2024-03-01", 5), new_dot_jpg=_taken("2024-03-02", 6)
    )
    page.locator("input[name=file]").set_input_files(files[:1])
    page.get_by_role("button", name="Add 1 picture").click()
    page.wait_for_url("**/images/*/", timeout=WITHIN)
    page.goto(f"{lesion}images/new/")
    page.locator("input[name=file]").set_input_files(files)
    page.get_by_role("button", name="Add 2 pictures").click()
    rows = page.locator(".upload")
    expect(rows.nth(1)).to_contain_text("Open the result", timeout=WITHIN)
    expect(rows.nth(0)).to_contain_text("Already here: taken on 1 Mar 2024")


def test_who_is_logged_out_goes_on_where_they_were(
    open_page: Callable[..., Page], site: Site, tmp_path: Path
) -> None:
    page = open_page()
    log_in(page, site)
    lesion = _go_to_upload(page)
    page.locator("input[name=file]").set_input_files(
        _written(tmp_path, a_dot_jpg=_taken("2024-03-01", 3), b_dot_jpg=_taken("2024-03-02", 4))
    )
    cookies = page.context.cookies()
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Add 2 pictures").click()
    expect(page.get_by_role("alert")).to_contain_text("You are logged out.", timeout=WITHIN)
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text("Log in and continue")
    expect(page.locator(".upload")).to_have_count(2)
    is_sound(page)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Log in and continue").click()
    other = opened.value
    other.get_by_label("Email").fill(next(iter(site.passwords)))
    other.close()
    page.context.add_cookies([one for one in cookies if one["name"] == "sessionid"])
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_url(lesion, timeout=WITHIN)


def test_a_large_picture_tells_of_the_log_out_too(
    browser: Browser, site: Site, signed_in: dict[str, Any], tmp_path: Path
) -> None:
    """It is refused as larger than what a stranger may send."""
    with closing(browser.new_context(base_url=site.url, storage_state=signed_in)) as context:
        page = context.new_page()
        _go_to_upload(page)
        large = _taken("2024-03-01", 5) + bytes(100_000)
        page.locator("input[name=file]").set_input_files(_written(tmp_path, a_dot_jpg=large))
        context.clear_cookies(name="sessionid")
        page.get_by_role("button", name="Add 1 picture").click()
        expect(page.get_by_role("alert")).to_contain_text("You are logged out.", timeout=WITHIN)


def test_the_browser_reads_the_day_that_the_server_reads(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    """In every container format, and from damaged blocks too."""
    page = open_page(storage_state=signed_in)
    _go_to_upload(page)
    block = cases.exif()
    whole = [
        cases.encoded(cases.spot(), exif=block),
        cases.encoded(cases.spot(), "PNG", exif=block),
        cases.encoded(cases.spot(), "WEBP", exif=block),
        cases.heic(exif=block),
        cases.heic(format="AVIF", exif=block),
        cases.mpo(exif_block=block),
        cases.mpo(),
        *(
            cases.encoded(cases.spot(), exif=cases.exif(taken=taken))
            for taken in ("2024:02:30 10:00:00", "0000:01:01 10:00:00", "0000:00:00 00:00:00")
        ),
    ]
    sound = len(whole)
    random = Random(4)
    for _ in range(120):
        data = bytearray(random.choice(whole[:3]))
        start = data.index(b"2024:03:16") - 120
        for place in random.sample(range(start, start + 140), 3):
            data[place] = random.randrange(256)
        whole.append(bytes(data))
    found = page.evaluate(
        """async (files) => {
            const { takenOn } = await import(document.querySelector("[data-exif]").dataset.exif);
            const days = [];
            for (const file of files) {
                const bytes = Uint8Array.from(atob(file), (one) => one.charCodeAt(0));
                const { day, noDay } = await takenOn(new File([bytes], "a"));
                days.push(day || noDay);
            }
            return days;
        }""",
        [b64encode(data).decode() for data in whole],
    )
    assert found[:sound] == ["2024-03-16"] * 6 + ["", "2024:02:30", "0000:01:01", ""]
    read = [_server_reads(data) for data in whole]
    assert 30 < sum(day == "" for day in read) < 120
    for theirs, ours in zip(found, read, strict=True):
        assert ours in (theirs, None)


def _server_reads(data: bytes) -> str | None:
    """None: the picture is rejected."""
    if data[4:8] == b"ftyp":
        return _day_of(exif.find(containers.without_exif(data)[1]))
    kinds = {b"\xff\xd8": containers.jpeg, b"\x89P": containers.png, b"RI": containers.webp}
    try:
        return _day_of(kinds[data[:2]](data).exif)
    except (containers.Broken, containers.Animated, containers.TooManyScans):
        return None


def _day_of(block: bytes) -> str:
    told = exif.read(block)
    return str(told.taken_on or told.no_day)
