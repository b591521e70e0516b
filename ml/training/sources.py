"""The images for training and evaluation, loaded once each when first used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ml.diagnoses import Diagnosis
from ml.training import data
from ml.training.data import Examples, Part, Source


@dataclass(frozen=True)
class Sources:
    """The folders; missing optional ones are skipped."""

    ham10000: Path
    isic2017: Path | None = None
    milk10k: Path | None = None
    negatives: Path | None = None

    @cached_property
    def dermatoscopy(self) -> dict[Source, Examples]:
        """All dermatoscopic images. Raises ValueError if data is missing."""
        found = {Source.HAM10000: data.load_ham10000(self.ham10000)}
        if self.isic2017:
            found[Source.ISIC2017] = data.load_isic2017(self.isic2017)
        if self.milk10k:
            found[Source.MILK10K] = data.load_milk10k(self.milk10k, self._lesions)
        return found

    @cached_property
    def closeups(self) -> Examples | None:
        """MILK10k's clinical photographs. Raises ValueError if data is missing."""
        if not self.milk10k:
            return None
        return data.load_milk10k(self.milk10k, self._lesions, closeups=True)

    @cached_property
    def by_histology(self) -> frozenset[str]:
        """The ids of dermatoscopic images whose diagnosis histology confirmed, of those that their
        authors did not retouch. Of ISIC 2017 these are the melanomas: its other labels come from
        histology or from experts, and it does not say which.
        """
        found = {
            row["image_id"] for row in data.rows_of(self.ham10000) if row.get("dx_type") == "histo"
        }
        if self.isic2017:
            found |= {
                row["image_id"] for row in data.rows_of(self.isic2017) if row["dx"] == Diagnosis.MEL
            }
        if self.milk10k:
            found |= {
                row["image_id"]
                for row in data.rows_of(self.milk10k)
                if row["dx_type"] == "histopathology" and row["altered"] != "1"
            }
        return frozenset(found)

    @cached_property
    def details(self) -> dict[str, str]:
        """MILK10k's diagnoses in its own words, by image id."""
        if not self.milk10k:
            return {}
        return {row["image_id"]: row["diagnosis"] for row in data.rows_of(self.milk10k)}

    @cached_property
    def _lesions(self) -> dict[str, str]:
        return data.lesions_of_images(self.ham10000)

    def train(self) -> Examples:
        """The training parts' images of the diagnoses, of all sources."""
        parts = [examples.part(Part.TRAIN) for examples in self.dermatoscopy.values()]
        return data.concatenate(part.take(np.flatnonzero(part.labels >= 0)) for part in parts)

    def judging(self, part: Part) -> dict[Source, Examples]:
        """The tune or the test part of each source, with our diagnoses only.

        MILK10k lesions that also appear in HAM10000 are excluded: they would inflate the results.
        """
        found = {}
        for source, examples in self.dermatoscopy.items():
            there = examples.part(part)
            twice = np.char.startswith(there.lesions, "HAM_") & (source == Source.MILK10K)
            found[source] = there.take(np.flatnonzero((there.labels >= 0) & ~twice))
        return found

    @property
    def unknown(self) -> Examples | None:
        """MILK10k's lesions with other diagnoses, which no network is trained on."""
        if Source.MILK10K not in self.dermatoscopy:
            return None
        examples = self.dermatoscopy[Source.MILK10K]
        return examples.take(np.flatnonzero(examples.labels < 0))
