"""What fits with what: losses, their distances and miners, and the units of their numbers.

Plain data, gathered from the records of the losses and the miners. The recipe's validation, the
spaces, ``describe --losses`` and the page of the docs read this one table; a test proves that it
names exactly what the registries of ``trainables/`` hold.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from pydantic import BaseModel

from .facts import LossFacts, Number
from .losses import LossConfig
from .miners import MINERS

RECORDS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {record.model_fields["name"].default: record for record in get_args(get_args(LossConfig)[0])}
)
"""The record of each loss."""

LOSSES: Mapping[str, LossFacts] = MappingProxyType(
    {name: vars(record)["FACTS"] for name, record in RECORDS.items()}
)

__all__ = ["LOSSES", "MINERS", "RECORDS", "numbers_of"]


def numbers_of(record: type[BaseModel]) -> dict[str, Number]:
    """The numbers of a loss that are worth a search, with their units and usual ranges."""
    return {
        key: number
        for key, field in record.model_fields.items()
        for number in field.metadata
        if isinstance(number, Number)
    }
