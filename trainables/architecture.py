"""What network an export holds, as plain data: `model.json`.

A model is loaded where the libraries that read a recipe are not installed, and from folders that
strangers sent: every value is checked here before anything is built from it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from .encoders import ENCODERS, default_pool
from .encoders.heads import HEADS
from .encoders.pooling import POOLS

if TYPE_CHECKING:
    from ..spaces import Recipe

FORMAT = 1
"""Of the exported folder; a higher one was written by a newer version."""

LARGEST_NUMBER = 8192
LARGEST_LENGTH = 65_536
"""Of a vector or a series; images are smaller."""
LARGEST_IMAGE = 512
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Architecture:
    """What is built to hold the weights of an export, and how its output is used.

    Attributes:
        encoder: Values of the encoder's section of the recipe, with `weights` of nobody.
        pool: What makes a vector of the backbone's map.
        channels: Of an image.
        size: Height and width of it, pixels.
        unit_norm: Whether embeddings are scaled to norm 1.
        projected_dim: Length of an embedding behind the rotation that is exported with the
            encoder; None where there is none.
        format: Of the folder.
    """

    encoder: Mapping[str, Any]
    pool: Literal["flatten", "average", "gem", "max"]
    channels: int
    size: tuple[int, int]
    unit_norm: bool
    projected_dim: int | None = None
    format: int = FORMAT

    @classmethod
    def of(
        cls, recipe: "Recipe", *, channels: int, size: tuple[int, int], projected_dim: int | None
    ) -> "Architecture":
        """That of the encoder of a recipe."""
        from ..spaces import from_scratch

        encoder = from_scratch(recipe.encoder)
        return cls(
            encoder=encoder.model_dump(mode="json"),
            pool=default_pool(encoder),
            channels=channels,
            size=size,
            unit_norm=recipe.objective.unit_norm,
            projected_dim=projected_dim,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Architecture":
        """The record that `to_json` wrote.

        Raises:
            ValueError: If a value is not what an export of this version holds.
        """
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"model.json must hold a mapping, got {type(content).__name__}")
        written = content.get("format")
        if type(written) is not int or written < 1:
            raise ValueError(f"format must be a number from 1, got {written!r}")
        if written > FORMAT:
            raise ValueError(
                f"format must be <= {FORMAT}, got {written}: a newer version wrote this export; "
                "update tripletune"
            )
        known = set(cls.__dataclass_fields__)
        if set(content) != known:
            odd = sorted(known.symmetric_difference(content))
            raise ValueError(f"model.json must hold {sorted(known)}, got a difference in {odd}")
        encoder, size = content["encoder"], content["size"]
        _require_encoder(encoder)
        _require(content["pool"] in POOLS, "pool", f"one of {', '.join(POOLS)}", content["pool"])
        _require(_is_count(content["channels"]), "channels", "a count", content["channels"])
        _require(
            isinstance(size, list)
            and len(size) == 2
            and all(type(side) is int and side >= 1 for side in size),
            "size",
            "two numbers of pixels",
            size,
        )
        most = LARGEST_LENGTH if size[0] == 1 else LARGEST_IMAGE
        _require(max(size) <= most, "size", f"at most {most}", size)
        _require(
            type(content["unit_norm"]) is bool, "unit_norm", "true or false", content["unit_norm"]
        )
        projected = content["projected_dim"]
        _require(
            projected is None or (_is_count(projected) and projected <= encoder["embedding_dim"]),
            "projected_dim",
            "null or at most embedding_dim",
            projected,
        )
        return cls(**{**content, "size": (size[0], size[1])})

    def to_json(self) -> str:
        """The record as the text of `model.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding."""
        return self.projected_dim or int(self.encoder["embedding_dim"])

    @property
    def settings(self) -> Any:
        """The encoder's values as a record, as `assemble_encoder` reads them."""
        values = dict(self.encoder)
        return SimpleNamespace(**{**values, "head": SimpleNamespace(**values["head"])})


def _require_encoder(encoder: Any) -> None:
    _require(isinstance(encoder, dict), "encoder", "a mapping", encoder)
    name, head = encoder.get("name"), encoder.get("head")
    _require(name in ENCODERS, "encoder.name", f"one of {', '.join(ENCODERS)}", name)
    _require(isinstance(head, dict), "encoder.head", "a mapping", head)
    _require(
        head.get("name") in HEADS, "encoder.head.name", f"one of {', '.join(HEADS)}", head["name"]
    )
    _require(
        _is_count(encoder.get("embedding_dim")),
        "encoder.embedding_dim",
        f"1 to {LARGEST_NUMBER}",
        encoder.get("embedding_dim"),
    )
    # Weights of a name would be downloaded, and those of a path read from outside the folder.
    weights = encoder.get("weights", "none")
    _require(weights == "none", "encoder.weights", "none in an export", weights)
    for key, value in [*encoder.items(), *head.items()]:
        if key == "head":
            continue
        is_plain = value is None or isinstance(value, bool) or _is_count(value)
        # No word of a model may name a path, a site or a scheme.
        is_word = isinstance(value, str) and _WORD.fullmatch(value) is not None
        _require(is_plain or is_word, f"encoder.{key}", "a plain number or word", value)


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_NUMBER


def _require(is_right: bool, name: str, rule: str, value: object) -> None:
    if not is_right:
        raise ValueError(f"{name} must be {rule}, got {value!r:.100}")
