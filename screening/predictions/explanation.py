"""A finished reading in words and shares, as the result page shows it beside the advice."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from ml import reader
from ml.diagnoses import MALIGNANT, Diagnosis
from ml.outcome import DANGEROUS
from screening.models import BodySite, LesionImage, Modality, Outcome, Prediction
from screening.predictions.details import other_details

TOP = 3
# A share below half a point would round to 0, so it is put into words.
HARDLY = 0.005
# Percentage points. The scale never drops below this, so that small effects get short bars.
LEAST_SCALE = 5.0


@dataclass(frozen=True, slots=True)
class Share:
    """A diagnosis with its calibrated probability and that of the balanced reading."""

    code: str
    name: str
    gloss: str
    share: float
    balanced: float


@dataclass(frozen=True, slots=True)
class Addition:
    """The effect of one context field: calibrated p_malignant with it minus p_malignant without
    it.
    """

    field: str
    value: str
    change: float
    top_logit: float

    @property
    def words(self) -> str:
        if abs(self.change) < HARDLY:
            return "made hardly any difference"
        points = max(1, round(abs(self.change) * 100))
        unit = "percentage point" if points == 1 else "percentage points"
        return f"{'raised' if self.change > 0 else 'lowered'} it by {points} {unit}"

    @property
    def signed(self) -> str:
        return f"{self.change * 100:+.1f}"

    @property
    def points(self) -> float:
        """Percentage points, without sign."""
        return abs(self.change) * 100


@dataclass(frozen=True, slots=True)
class Explanation:
    """shares: all diagnoses, most likely first. balanced_name: the name of the diagnosis that the
    balanced reading ranks first, if it differs; else "". top_name: the diagnosis that
    ``Addition.top_logit`` refers to. is_flagged: whether the reading asks for a doctor.
    """

    shares: list[Share]
    p_malignant: float
    balanced_name: str
    additions: list[Addition]
    is_flagged: bool

    @property
    def is_flagged_though_harmless_first(self) -> bool:
        return self.is_flagged and self.shares[0].code not in MALIGNANT

    @property
    def top_name(self) -> str:
        return self.shares[0].name

    @property
    def top(self) -> list[Share]:
        """The most likely diagnoses, which are shown at first."""
        return self.shares[:TOP]

    @property
    def scale(self) -> float:
        """Percentage points that fill half of a signed bar, the same for all bars of a reading."""
        return max([LEAST_SCALE, *(addition.points for addition in self.additions)])


def explain(prediction: Prediction) -> Explanation | None:
    """The explanation; None for a reading without a class: unfinished or not assessable."""
    if not prediction.outcome or prediction.outcome == Outcome.NOT_ASSESSABLE:
        return None
    shares = prediction.probabilities
    ranked = sorted(shares, key=lambda code: -shares[code])
    balanced = prediction.balanced_probabilities
    likeliest_balanced = max(balanced, key=lambda code: balanced[code])
    return Explanation(
        shares=[
            Share(code, code.about.title, code.about.gloss, shares[code], balanced[code])
            for code in map(Diagnosis, ranked)
        ],
        p_malignant=_malignant(shares),
        balanced_name=""
        if likeliest_balanced == ranked[0]
        else Diagnosis(likeliest_balanced).about.title,
        additions=_additions(prediction, ranked[0]),
        is_flagged=prediction.outcome in DANGEROUS,
    )


def _additions(prediction: Prediction, top: str) -> list[Addition]:
    """Exact, because logits add up: leaving out a term t divides each share by exp(t /
    temperature).
    """
    try:
        temperature = reader.card(prediction.model_version)["temperature"]
    except reader.ModelUnavailable:  # an old reading whose card has been removed
        return []
    shares = prediction.probabilities
    told = _malignant(shares)
    found = []
    for field, terms in prediction.context_terms.items():
        value = prediction.context.get(field)
        if value is None:
            continue
        without = {code: share * exp(-terms[code] / temperature) for code, share in shares.items()}
        found.append(
            Addition(
                field=_FIELDS[field],
                value=_value(field, value),
                change=told - _malignant(without) / sum(without.values()),
                top_logit=terms[top],
            )
        )
    return found


def differing(prediction: Prediction) -> str:
    """What was corrected since the reading, such as "age 34 then, 80 now". Empty if nothing was."""
    return "; ".join(
        f"{_FIELDS[field].lower()} {_value(field, then)} then, {_value(field, now)} now"
        for field, (then, now) in other_details(prediction).items()
    )


@dataclass(frozen=True, slots=True)
class Earlier:
    """A reading that used to count. made_with: the details that it used."""

    reading: Prediction
    made_with: str


def told_before(image: LesionImage) -> list[Earlier]:
    """The readings of an image ``with_findings`` that used to count, newest first."""
    replaced = [(one.told_until, one) for one in image.predictions.all() if one.told_until]
    return [
        Earlier(
            reading,
            ", ".join(
                f"{_FIELDS[field].lower()} {_value(field, value)}"
                for field, value in reading.context.items()
            ),
        )
        for _, reading in sorted(replaced, key=lambda one: one[0], reverse=True)
    ]


_FIELDS = {"age": "Age", "sex": "Sex", "localization": "Body site", "kind": "Kind"}


def _value(field: str, value: object) -> str:
    if value is None:
        return "not known"
    if field == "kind":
        return Modality(str(value)).label
    if field == "localization":
        return BodySite(str(value)).label
    return f"{float(str(value)):.0f}" if field == "age" else str(value)


def _malignant(shares: dict[str, float]) -> float:
    return sum(shares[code] for code in MALIGNANT)
