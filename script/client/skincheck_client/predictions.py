"""Readings: what a version of the model found in an image."""

from __future__ import annotations

from typing import Literal, Unpack

from skincheck_client.call import Call, Page, content, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import Outcome, Prediction, PredictionDetail, ReadingState


class PredictionFilters(Filters, total=False):
    """counts: whether it is the one reading of its image that counts."""

    image: str
    lesion: str
    state: ReadingState
    outcome: Outcome
    counts: bool
    created_after: str
    created_before: str


def list(**filters: Unpack[PredictionFilters]) -> Call[Page[Prediction]]:
    return Call("GET", "predictions/", parameters=fields(filters))


def get(prediction: str) -> Call[PredictionDetail]:
    return Call("GET", f"predictions/{prediction}/")


def request(*, image: str) -> Call[Prediction]:
    """Have the current model read the image. One that is queued or running is returned."""
    return Call("POST", "predictions/", body={"image": image})


def mask(prediction: str) -> Call[bytes]:
    """A PNG: 255 where the model saw the lesion. Raises NotFound if there is none."""
    return Call("GET", f"predictions/{prediction}/mask/", parse=content)


def export(
    file_type: Literal["csv", "excel", "jsonl", "parquet"], **filters: Unpack[PredictionFilters]
) -> Call[bytes]:
    """The readings that match, as a table. Show an outcome to nobody without its advice."""
    parameters = {"file_type": file_type, **fields(filters)}
    return Call("GET", "predictions/export/", parameters=parameters, parse=content)
