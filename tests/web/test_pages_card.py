"""The data and the model page: public, complete, and with figures from the card only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ml import reader
from screening.charts import card as card_charts
from screening.charts import card_summary, prevalence
from screening.charts import data_set as data_set_charts
from tests import cards

pytestmark = pytest.mark.any_database

CARD = reader.card()
PAGES = ["/data/", "/model/", f"/model/{reader.DEFAULT_VERSION}/"]


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_are_public_and_need_no_database(client, path):
    answer = client.get(path)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Research software, not a medical device." in text
    assert 'href="/accounts/login/"' in text
    assert 'aria-label="Main"' not in text
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", PAGES)
def test_those_who_are_logged_in_keep_their_navigation(client, personas, path):
    client.force_login(personas.clinician)
    assert 'aria-label="Main"' in client.get(path).content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_every_chart_is_there_as_data_and_as_a_table(client, path):
    text = client.get(path).content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\sstyle=|\son\w+=", text)
    stories = (data_set_charts if path == "/data/" else card_charts).stories(CARD)
    assert text.count("Show as table") == text.count("data-chart=") == len(stories)
    for story in stories:
        found = re.search(
            rf'<script id="{story.chart.key}" type="application/json">(.*?)</script>', text
        )
        assert json.loads(found[1]) == story.chart.figure


def test_the_data_page_names_sources_and_licences(client):
    text = client.get("/data/").content.decode()
    assert "CC BY-NC 4.0 · not for commercial use" in text
    assert "doi:10.1038/sdata.2018.161" in text
    assert "ISIC 2017" in text and "CC0" in text
    assert "Skin tone." in text


def test_the_model_page_says_what_it_is_not_for_and_which_file_it_is(client):
    text = client.get("/model/").content.decode()
    for line in [*CARD["out_of_scope"], CARD["weights_sha256"], CARD["version"]]:
        assert line.replace("'", "&#x27;") in text
    for point in card_summary.good_for(CARD) + card_summary.fails(CARD):
        assert point.claim in text and point.text in text
    assert text.index('id="good-for"') < text.index('id="fails"') < text.index("data-chart=")


@pytest.mark.parametrize("version", ["none", "..", "%2e%2e", "2026.11.1%00"])
@pytest.mark.parametrize("path", ["/model/{}/", "/model/{}/card.json"])
def test_an_unknown_version_is_not_there(client, path, version):
    assert client.get(path.format(version)).status_code == 404


def test_the_card_can_be_downloaded(client):
    answer = client.get(f"/model/{reader.DEFAULT_VERSION}/card.json")
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == CARD


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Ship these cards, by their versions."""

    def ship(*cards_shipped: dict[str, Any]) -> None:
        for card in cards_shipped:
            folder = tmp_path / card["version"]
            folder.mkdir()
            (folder / "card.json").write_text(json.dumps(card))
        monkeypatch.setattr(reader, "ARTIFACTS", tmp_path)
        reader.card.cache_clear()

    yield ship
    reader.card.cache_clear()


def test_an_older_version_says_so_and_leads_to_the_current_one(client, shipped):
    shipped({**CARD, "version": "2000.1.1"}, CARD)
    text = client.get("/model/2000.1.1/").content.decode()
    assert "Not the current version" in text
    assert f'href="/model/{reader.DEFAULT_VERSION}/"' in text
    current = client.get("/model/").content.decode()
    assert "Not the current version" not in current
    assert 'href="/model/2000.1.1/"' in current


def test_a_whole_card_is_told_in_full(client, shipped):
    shipped(cards.complete())
    text = " ".join(client.get("/model/").content.decode().split())
    assert "An earlier page named 22 % of melanomas right; this model, 68 %" in text
    assert "The tests were not the same" in text
    assert "Its outlines overlap with a person’s by 86 % on average" in text
    assert "Other cameras: of melanomas it flags 90 of 100" in text
    assert "It flags the fewest cancers for “Ear”: 50 %" in text
    assert "too few: 6" in text and "Very light skin" in text
    assert "it is estimated from the colour around the lesion" in text
    assert 'data-chart="roc"' in text
    assert (
        "51 were cancer or a precursor in the test; where 1 in 100 people has one, 4 would be"
        in text
    )
    assert "It says “Monitor” for 1 of 100 cancers" in text


def test_a_bare_card_still_makes_a_page(client, shipped):
    shipped(cards.bare())
    text = client.get("/model/").content.decode()
    for heading in ("reference", "outlines", "groups", "cameras", "roc-heading"):
        assert f'id="{heading}"' not in text
    assert 'id="prevalence-heading"' in text


def test_without_scripts_the_sentence_and_three_rows_say_what_a_flag_means(client, shipped):
    shipped(cards.complete())
    text = client.get("/model/").content.decode()
    assert prevalence.story(cards.complete()).sentence in text
    part = text[text.index('aria-label="Table: what a reading means') :]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", part[: part.index("</table>")])
    assert [row.split("</th>")[0] for row in rows] == ["1 in 100", "5 in 100", "20 in 100"]
    # Interactive parts are shown by script only.
    assert text.count("data-moving hidden") == 2


@pytest.mark.parametrize("version", reader.versions())
def test_no_page_of_a_version_shows_codes(client, version):
    """People read names, not the card's fields or the codes of diagnoses."""
    text = client.get(f"/model/{version}/").content.decode()
    words = re.sub(r"<script.*?</script>|<[^>]+>", " ", text, flags=re.DOTALL)
    code = re.compile(r"\b(?:akiec|bcc|bkl|mel|nv|vasc|p_\w+|isic2017|figures\.\w+)\b")
    assert code.findall(words) == []
