"""A picture that cannot be sent waits on the device; and the device's camera with the last picture
over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from tests.browser.conftest import (
    CLINICIAN,
    PHONE,
    Site,
    drawn,
    hand_over_file_choosers,
    is_sound,
)

pytestmark = pytest.mark.browser
WITHIN = 30_000  # milliseconds
TRACKER = "tracker@demo.skincheck.example"


@pytest.fixture
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """Not ``open_page``: a lost connection is an error that the browser writes down."""
    made = browser.new_context(base_url=site.url, **PHONE)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Page:
    page = context.new_page()
    enter(page, site, CLINICIAN)
    return page


def enter(page: Page, site: Site, who: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(who)
    page.get_by_label("Password", exact=True).fill(site.passwords[who])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/")


def leave(page: Page) -> None:
    more = page.locator("[data-more]")
    if more.get_attribute("open") is None:
        more.locator("summary").click()
    page.get_by_role("button", name="Log out").click()


def go_to_upload(page: Page, name: str) -> str:
    """To a new lesion; returns its address."""
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name=re.compile("^Add a (spot|lesion)$")).first.click()
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_role("button", name=re.compile("Continue")).click()
    page.wait_for_url("**/images/new/")
    return page.url.removesuffix("images/new/")


def add_without_connection(page: Page, file: Path) -> None:
    page.locator("input[name=file]").set_input_files(file)
    add = page.get_by_role("button", name="Add 1 picture")
    expect(add).to_be_visible()
    page.context.set_offline(True)
    add.click()
    expect(page.locator("[data-waiting-words]")).to_contain_text("1 picture waits on this device")


def pictures(site: Site, lesion: str) -> int:
    pk = lesion.rstrip("/").rpartition("/")[2].replace("-", "")
    found = site.installation.query(
        f"SELECT COUNT(*) FROM screening_lesionimage WHERE lesion_id = '{pk}'"
    )
    return int(found[0][0])


def test_it_is_sent_when_the_connection_is_back(page: Page, site: Site, tmp_path: Path) -> None:
    lesion = go_to_upload(page, "Spot in a cellar")
    add_without_connection(page, drawn(tmp_path, 811))
    row = page.locator(".upload")
    expect(row).to_contain_text("No connection. It waits on this device and is sent later.")
    expect(page.locator("[data-waiting]")).to_contain_text("for Spot in a cellar")
    is_sound(page)
    assert pictures(site, lesion) == 0
    page.context.set_offline(False)
    expect(row).to_contain_text("Added. Open the result", timeout=WITHIN)
    expect(page.locator("[data-waiting-words]")).to_be_empty()
    assert pictures(site, lesion) == 1
    page.reload()
    expect(page.locator("[data-waiting]")).to_be_hidden()
    assert pictures(site, lesion) == 1


def test_it_is_sent_from_another_page_on_a_later_day(
    page: Page, site: Site, tmp_path: Path
) -> None:
    lesion = go_to_upload(page, "Spot of a later day")
    add_without_connection(page, drawn(tmp_path, 812))
    later = page.context.new_page()
    page.close()
    page.context.set_offline(False)
    later.goto("/help/")
    link = later.get_by_role("link", name="Spot of a later day: sent. Open the result")
    expect(link).to_be_visible(timeout=WITHIN)
    assert pictures(site, lesion) == 1
    link.click()
    expect(later.get_by_role("heading", level=1)).to_contain_text("Spot of a later day")


def test_a_refused_one_says_why_and_can_be_deleted(page: Page, site: Site, tmp_path: Path) -> None:
    lesion = go_to_upload(page, "Spot without a picture")
    file = tmp_path / "note.jpg"
    file.write_bytes(b"no picture")
    add_without_connection(page, file)
    page.context.set_offline(False)
    problem = page.locator("[data-waiting-list] [data-problem]")
    expect(problem).not_to_be_empty(timeout=WITHIN)
    expect(page.locator("[data-waiting-words]")).to_have_text(
        "1 picture was not accepted and is on this device alone."
    )
    expect(page.locator(".upload")).not_to_contain_text("No connection")
    delete = page.get_by_role("button", name="Delete this picture")
    page.once("dialog", lambda dialog: dialog.dismiss())
    delete.click()
    expect(delete).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    delete.click()
    expect(page.locator("[data-waiting]")).to_be_hidden()
    assert pictures(site, lesion) == 0


def test_send_now_says_why_it_cannot(page: Page, site: Site, tmp_path: Path) -> None:
    lesion = go_to_upload(page, "Spot at a busy hour")
    page.evaluate("navigator.storage.persist = async () => { window.persists = true }")
    add_without_connection(page, drawn(tmp_path, 813))
    assert page.evaluate("window.persists")
    words, send = page.locator("[data-waiting-words]"), page.get_by_role("button", name="Send now")
    send.click()
    expect(words).to_contain_text("There is still no connection.")
    page.route("**/images/new/", lambda route: route.fulfill(status=503))
    page.context.set_offline(False)
    send.click()
    expect(words).to_contain_text("The site is busy. Try again in a minute.")
    assert pictures(site, lesion) == 0
    page.unroute("**/images/new/")
    send.click()
    expect(page.locator(".upload")).to_contain_text("Added. Open the result", timeout=WITHIN)
    expect(words).to_be_empty()
    assert pictures(site, lesion) == 1


def test_log_out_deletes_it_after_asking(page: Page, site: Site, tmp_path: Path) -> None:
    lesion = go_to_upload(page, "Spot given up")
    add_without_connection(page, drawn(tmp_path, 813))
    page.route("**/images/new/", lambda route: route.abort())  # nothing gets through
    page.context.set_offline(False)
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if len(asked) == 1:
            dialog.dismiss()
        else:
            dialog.accept()

    page.on("dialog", answer)
    leave(page)
    expect(page.locator("[data-waiting-words]")).to_contain_text("1 picture waits")
    page.keyboard.press("Escape")
    leave(page)
    page.wait_for_url(lambda url: "/images/" not in url)
    assert (
        asked == ["1 picture on this device is not sent yet. Logging out deletes it. Log out?"] * 2
    )
    page.unroute_all()
    enter(page, site, CLINICIAN)
    page.goto(f"{lesion}images/new/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Add picture")
    expect(page.locator("[data-waiting]")).to_be_hidden()
    assert page.evaluate(KEPT) == 0
    assert pictures(site, lesion) == 0


KEPT = """async () => {
    const asked = indexedDB.open("waiting", 1);
    await new Promise((resolve) => { asked.onsuccess = resolve; });
    const all = asked.result.transaction("waiting").objectStore("waiting").getAll();
    await new Promise((resolve) => { all.onsuccess = resolve; });
    return all.result.length;
}"""


def test_another_account_neither_sees_nor_sends_it(page: Page, site: Site, tmp_path: Path) -> None:
    lesion = go_to_upload(page, "Spot of the first")
    add_without_connection(page, drawn(tmp_path, 814))
    page.route("**/images/new/", lambda route: route.abort())
    page.context.set_offline(False)
    page.context.clear_cookies()  # the session ends; nobody logs out
    other = page.context.new_page()
    enter(other, site, TRACKER)
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    other.evaluate("dispatchEvent(new Event('online'))")
    # The first account's page is still open, in the second one's session.
    page.unroute_all()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    with page.expect_response("**/images/new/"):
        page.get_by_role("button", name="Send now").click()
    expect(other.locator("[data-waiting]")).to_be_hidden()
    assert asked
    assert not [one for one in asked if one.startswith("POST")]
    assert other.evaluate(KEPT) == 1
    assert pictures(site, lesion) == 0


WIDTH = "async image => { await image.decode(); return image.naturalWidth }"
NO_MOTION = """DeviceOrientationEvent.requestPermission = () => {
    window.askedInClick = navigator.userActivation.isActive;
    return Promise.reject(new DOMException("denied", "NotAllowedError"));
}"""  # as on iOS, where the person refuses
FAKE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture
def photographer(
    browser_type_launch_args: dict[str, Any], playwright: Any, site: Site, signed_in: dict[str, Any]
) -> Iterator[Callable[[list[str]], Page]]:
    """A page of a phone, in a browser of its own that is started with these arguments."""
    browsers: list[Browser] = []

    def started(arguments: list[str]) -> Page:
        options = {
            **browser_type_launch_args,
            "args": browser_type_launch_args["args"] + arguments,
        }
        browsers.append(playwright.chromium.launch(**options))
        context = browsers[-1].new_context(
            base_url=site.url, storage_state=signed_in, is_mobile=True, **PHONE
        )
        page = context.new_page()
        hand_over_file_choosers(page)
        return page

    yield started
    for browser in browsers:
        browser.close()


def to_next_picture(page: Page) -> None:
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Growing spot").first.click()
    page.wait_for_url("**/lesions/*/")
    page.goto(f"{page.url}images/new/")


def test_the_camera_shows_the_last_picture_over_the_view(
    photographer: Callable[[list[str]], Page],
) -> None:
    page = photographer(FAKE)
    page.add_init_script(NO_MOTION)
    faults: list[Any] = []
    page.on("pageerror", lambda fault: faults.append(fault))
    to_next_picture(page)
    page.get_by_role("button", name="Take a picture").click()
    shutter = page.get_by_role("button", name="Take it")
    expect(shutter).to_be_enabled(timeout=WITHIN)
    ghost = page.locator("[data-ghost]")
    assert ghost.evaluate(WIDTH) > 0
    assert ghost.bounding_box() == page.locator(".camera video").bounding_box()
    assert ghost.evaluate("one => one.style.opacity") == "0.4"
    page.get_by_label("Last picture").fill("70")
    assert ghost.evaluate("one => one.style.opacity") == "0.7"
    expect(page.locator("[data-hint]")).to_contain_text("till")  # hold still
    is_sound(page)
    shutter.click()
    row = page.locator(".upload")
    expect(row).to_contain_text("camera-")
    taken = row.locator("img").evaluate(
        "async one => { await one.decode(); return one.naturalWidth }"
    )
    assert taken > 640
    assert page.locator(".camera video").evaluate("one => one.srcObject") is None  # it is off
    assert page.evaluate("window.askedInClick")
    assert not faults


def test_without_a_camera_the_devices_own_is_offered(
    photographer: Callable[[list[str]], Page],
) -> None:
    page = photographer([])
    to_next_picture(page)
    page.get_by_role("button", name="Take a picture").click()
    expect(page.get_by_text("The camera cannot be opened here")).to_be_visible(timeout=WITHIN)
    is_sound(page)
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Use the device's camera").click()
    assert asked.value.element.get_attribute("capture") == "environment"
    expect(page.locator(".camera")).to_be_hidden()
