"""A finished reading in words and shares: what the result page shows beside the advice."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from ml import reader
from ml.diagnoses import MALIGNANT, Diagnosis
from screening.models import BodySite, LesionImage, Modality, Outcome, Prediction
from screening.predictions.details import other_details

TOP = 3
# Below half a point a whole number would be 0: said in words instead.
HARDLY = 0.005
# Percentage points: where all that age, sex and site did is less, their bars are short.
LEAST_SCALE = 5.0


@dataclass(frozen=True, slots=True)
class Share:
    """A diagnosis with its calibrated probability, and that of the balanced reading."""

    code: str
    name: str
    gloss: str
    share: float
    balanced: float


@dataclass(frozen=True, slots=True)
class Addition:
    """What one field of the context did: calibrated p_malignant with it, less that without it."""

    field: str
    value: str
    change: float
    top_logit: float

    @property
    def words(self) -> str:
        if abs(self.change) < HARDLY:
            return "made hardly a difference"
        points = max(1, round(abs(self.change) * 100))
        unit = "percentage point" if points == 1 else "percentage points"
        return f"{'raised' if self.change > 0 else 'lowered'} it by {points} {unit}"

    @property
    def signed(self) -> str:
        return f"{self.change * 100:+.1f}"

    @property
    def points(self) -> float:
        """Percentage points, without their sign."""
        return abs(self.change) * 100


@dataclass(frozen=True, slots=True)
class Explanation:
    """shares: all diagnoses, the likeliest first. balanced_name: where the balanced reading puts
    another one first, its name; else "". top_name: that which ``Addition.top_logit`` is of."""

    shares: list[Share]
    p_malignant: float
    balanced_name: str
    additions: list[Addition]

    @property
    def top_name(self) -> str:
        return self.shares[0].name

    @property
    def top(self) -> list[Share]:
        """What is seen at once: the likeliest, and what the balanced reading puts first."""
        return [s for n, s in enumerate(self.shares) if n < TOP or s.name == self.balanced_name]

    @property
    def others(self) -> list[Share]:
        return [share for share in self.shares if share not in self.top]

    @property
    def scale(self) -> float:
        """Percentage points that fill half of a signed bar: the same for all bars of a reading."""
        return max([LEAST_SCALE, *(addition.points for addition in self.additions)])


def explain(prediction: Prediction) -> Explanation | None:
    """None for what got no class: not finished, or not assessable."""
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
    )


def _additions(prediction: Prediction, top: str) -> list[Addition]:
    """Exact, as logits add up: leaving a term t out divides each share by exp(t / temperature)."""
    try:
        temperature = reader.card(prediction.model_version)["temperature"]
    except reader.ModelUnavailable:  # an old reading whose card is gone: what it told stays
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
    """What was corrected since it was read: "age 34 then, 80 now". Empty: nothing."""
    return "; ".join(
        f"{_FIELDS[field].lower()} {_value(field, then)} then, {_value(field, now)} now"
        for field, (then, now) in other_details(prediction).items()
    )


@dataclass(frozen=True, slots=True)
class Earlier:
    """A reading that counted until another took its place. made_with: the details it was told."""

    reading: Prediction
    made_with: str


def told_before(image: LesionImage) -> list[Earlier]:
    """The readings of an image ``with_findings`` that counted once, the last one first."""
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
