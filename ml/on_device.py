"""What a reading outside Python needs: the card's rules and this package's numbers, as plain JSON.

`static/js/reading` reads pictures in a browser. It copies no number: all come from here.
"""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import Any

from ml import context
from ml.diagnoses import MALIGNANT, Diagnosis
from ml.inference import quality, regions, views
from ml.inference.look import Rules
from ml.opening import limits
from ml.outcome import DANGEROUS
from ml.types import LOCALIZATIONS, MAX_AGE, REMARKS_ONLY, SEXES, Outcome


def rules_of(card: dict[str, Any]) -> dict[str, Any]:
    """Of a version's card. Lists are in the order of `Diagnosis`; indices count in it."""
    rules = Rules.of(card)
    return {
        "version": card["version"],
        "weights_sha256": card["weights_sha256"],
        "diagnoses": [one.value for one in Diagnosis],
        "malignant": [n for n, one in enumerate(Diagnosis) if one in MALIGNANT],
        "outcomes": [one.value for one in Outcome],
        "dangerous": [one.value for one in DANGEROUS],
        "remarks_only": [one.value for one in REMARKS_ONLY],
        "prior": rules.prior.tolist(),
        "temperature": rules.temperature,
        "thresholds": dict(rules.thresholds),
        "gate": rules.gate,
        "floor": rules.floor,
        "by_image": rules.by_image,
        "context": {
            "fields": list(context.FIELDS),
            "age_knots": context.AGE_KNOTS.tolist(),
            "most_years": MAX_AGE,
            "sexes": list(SEXES),
            "localizations": list(LOCALIZATIONS),
        },
        "views": _numbers(views) | {"all": [asdict(view) for view in views.VIEWS]},
        "quality": _numbers(quality),
        "regions": _numbers(regions),
        "limits": _numbers(limits),
    }


def _numbers(module: ModuleType) -> dict[str, float]:
    """A module's constants, by their names in lower case."""
    return {
        name.lower(): value
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, int | float)
    }
