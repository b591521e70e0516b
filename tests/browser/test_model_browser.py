"""The model page's slider: the script's text equals Python's, at every stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ml import reader
from screening.charts import prevalence

pytestmark = pytest.mark.browser


def test_the_slider_says_what_python_says(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("/model/")
    slider, said = page.get_by_role("slider"), page.locator("output")
    story = prevalence.story(reader.card())
    expect(said).to_have_text(story.sentence)
    slider.focus()
    page.keyboard.press("Home")
    for stop in prevalence.STOPS:
        rates = story.rates["sensitivity"], story.rates["specificity"]
        one = prevalence.meaning(stop, *rates)
        expect(said).to_have_text(prevalence.sentence(one))
        expect(slider).to_have_attribute("aria-valuetext", f"{one.cancers} ({100 * stop:g} %)")
        missed = prevalence.whole(one.missed)
        kinds = {
            "found": one.cancers - missed,
            "missed": missed,
            "alarm": prevalence.whole(one.flagged_harmless),
        }
        for kind, count in kinds.items():
            expect(page.locator(f"circle.{kind}")).to_have_count(count)
        page.keyboard.press("ArrowRight")


def test_without_scripts_nothing_is_offered_that_does_not_move(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/model/")
    expect(page.get_by_role("slider")).to_be_hidden()
    expect(page.locator("output")).to_have_text(prevalence.story(reader.card()).sentence)
    expect(
        page.get_by_role("region", name="what a reading means").get_by_role("row")
    ).to_have_count(4)
