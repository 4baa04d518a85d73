"""What the sections of a recipe have in common: frozen records and the error of a joint rule."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Record(BaseModel):
    """A frozen record: unknown keys, wrong types and non-finite numbers are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def broken_rule(at: str, rule: str, got: str, fix: str) -> PydanticCustomError:
    """A rule that joins several values; `at` is the value to change, seen from the record."""
    parts = {"at": at, "rule": rule, "got": got, "fix": fix}
    return PydanticCustomError("rule", "{at} {rule}, got {got}; {fix}", parts)
