"""One word for each reader (``docs/glossary.md``): people read of spots, clinicians of lesions, and
both of names.
"""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from screening.formatting import clinical
from tests.access import DONE, MATRIX

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

ONE_WORDING = (
    r"model|data_set|problem|webhook|delivery|dicom_node|batch|agreement|privacy|terms|try"
)
"""Names of pages that say the same to everyone: of the data and the API in the field's own words,
privacy, terms and the try in people's."""
UNSEEN = re.compile(r"<(script|style|code|template)\b.*?</\1>|<!--.*?-->", re.DOTALL)
READ_OUT = re.compile(r'\b(?:alt|aria-label|placeholder|title)="([^"]*)"')
NAMES = re.compile(r"Lesion \d+|age spot|[Vv]ascular lesion")
"""Labels of lesions in these tests, and diagnoses."""
PAGES = [
    name
    for name, line in MATRIX.items()
    if "GET" in line.methods and ":" not in name and not re.match(ONE_WORDING, name)
]


def read(html: str) -> str:
    """What a page says, aloud too."""
    shown = UNSEEN.sub(" ", html)
    aloud = " ".join(READ_OUT.findall(shown))
    return NAMES.sub("", " ".join(f"{re.sub(r'<[^>]*>', ' ', shown)} {aloud}".split()))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_readers_word(name, everything, clients):
    line = MATRIX[name]
    readers = [(everything.clinic, "clinician", "spot"), (everything.clinic, "admin", "spot")]
    if not line.clinic_only:
        readers.append((everything.own, "self_tracker", "lesion"))
    for world, who, others in readers:
        if line.methods["GET"].answer(who, world) is not DONE:
            continue
        response = clients[who].get(reverse(name, args=line.args(world)))
        if response.streaming or not response["Content-Type"].startswith("text/html"):
            response.close()
            continue
        wrong = rf".{{0,60}}\b(?:{others}|label)s?\b.{{0,30}}"
        found = re.findall(wrong, read(response.text), re.IGNORECASE)
        assert not found, who


def test_what_is_quoted_keeps_its_words():
    assert (
        clinical("Spots: “Spot on the arm” is a spot.") == "Lesions: “Spot on the arm” is a lesion."
    )
    assert clinical("In the spotlight.") == "In the spotlight."
