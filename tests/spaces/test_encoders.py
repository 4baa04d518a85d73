"""What a recipe may say of its encoder, and the page that is printed from it."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from tripletune.spaces import (
    ENCODER_RECORDS,
    ENCODERS,
    Conv4,
    HeadConfig,
    Recipe,
    Space,
    SpaceError,
    Torchvision,
    from_scratch,
    is_frozen,
    numbers_of,
    render_encoders,
    render_encoders_page,
    space_schema,
)

OBJECTIVE = {"loss": {"name": "triplet"}}
FROZEN = {"name": "resnet18", "train": "head"}
STILL = {"probability": 0.0}


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"objective": OBJECTIVE, **sections})


def load(text: str) -> Space:
    return Space.from_text("objective: {loss: {name: triplet}}\n" + text, "my.yaml")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"encoder": {"name": "koch"}}, "data.image_size must be >= 65 with encoder koch, got 28"),
        (
            {"encoder": {"name": "conv1d"}},
            "encoder.name must not be conv1d with data glyphs, whose items are images",
        ),
        (
            {"encoder": {"name": "resnet18", "last_blocks": 2}},
            "last_blocks counts only with train: last_k, got train=all, last_blocks=2; remove it",
        ),
        (
            {"encoder": {"name": "resnet18", "train": "last_k"}},
            "last_blocks must be given with train: last_k",
        ),
        (
            {"encoder": {"name": "resnet18", "weights": "imagenett"}},
            "weights must be none, imagenet, a name of torchvision's enum such as IMAGENET1K_V1",
        ),
        (
            {"encoder": {"name": "timm", "model": "a", "weights": "imagenet"}},
            "weights must be none, pretrained, or the path of a file .safetensors, .pt, .pth",
        ),
        (
            {"encoder": {"name": "resnet18", "weights": "mine.safetensors"}},
            "weights must be an absolute path, since trials run in folders of their own",
        ),
        (
            {"encoder": {"name": "mlp", "head": {"pool": "max"}}},
            "head.pool must be null with encoder mlp, whose features are no map",
        ),
        (
            {"encoder": {"name": "resnet18", "head": {"pool": "flatten"}}},
            "head.pool must be one of average, gem, max with encoder resnet18, got 'flatten'",
        ),
        (
            {"encoder": {"head": {"hidden": 100}}},
            "hidden counts only with the heads mlp and residual, got name=linear, hidden=100",
        ),
        (
            {"encoder": {"head": {"name": "mlp", "hidden": 4, "layers": 3}}},
            "hidden must be at least 2 after layers - 1 halvings, got hidden=4, layers=3; write 8",
        ),
        (
            {"encoder": FROZEN},
            "augment.probability must be 0 with encoder.train: head, whose backbone is run once",
        ),
        (
            {"encoder": FROZEN, "augment": STILL, "batch": {"rotations_as_classes": True}},
            "batch.rotations_as_classes must be false with encoder.train: head",
        ),
        (
            {"encoder": FROZEN, "augment": STILL, "optimizer": {"backbone_rate": 0.1}},
            "optimizer.backbone_rate counts only where the backbone is trained",
        ),
    ],
)
def test_an_encoder_that_cannot_train_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        recipe(**sections)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "encoder",
    [
        {"name": "koch", "padding": "half"},
        {"name": "torchvision", "model": "vit_b_16", "weights": "IMAGENET1K_SWAG_LINEAR_V1"},
        {"name": "resnet18", "weights": "/models/mine.pth", "train": "last_k", "last_blocks": 2},
        {"name": "timm", "model": "vit_tiny_patch16_224", "weights": "pretrained"},
        {"name": "resnet12", "head": {"name": "mlp", "hidden": 64, "pool": "gem"}},
    ],
)
def test_an_encoder_that_can_train_reads_back(encoder: dict[str, Any]) -> None:
    made = recipe(encoder=encoder)
    assert Recipe.model_validate(made.to_dict()) == made


def test_a_frozen_encoder_is_allowed_where_images_stay_as_they_are() -> None:
    made = recipe(encoder=FROZEN, augment=STILL)
    assert is_frozen(made.encoder)
    assert not is_frozen(Conv4())


def test_from_scratch_needs_no_file() -> None:
    config = Torchvision(model="resnet34", weights="/models/mine.pt", embedding_dim=8)
    assert from_scratch(config) == Torchvision(model="resnet34", embedding_dim=8)
    assert from_scratch(Conv4(width=8)) == Conv4(width=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "encoder: {name: torchvision, model: resnet51}\n",
            "my.yaml:2: encoder.model: must be one of 80 names, such as resnet50,",
        ),
        ("encoder: {name: torchvision}\n", "encoder.model: must be given, got nothing"),
        (
            "encoder:\n  name: resnet12\n  head: {name: mpl}\n",
            (
                "my.yaml:4: encoder.head.name: must be one of linear, mlp, bnneck, residual, got "
                "'mpl'"
            ),
        ),
        (
            "encoder:\n  name: resnet12\n  head:\n    name: mlp\n    hiden: 3\n",
            "my.yaml:6: encoder.head.hiden: must be a key of encoder.head, got 'hiden'; did",
        ),
        (
            "encoder:\n  head:\n    name: mlp\n    layers: {int: [1, 9]}\n",
            "my.yaml:5: encoder.head.layers: must be <= 8, got 9, searched by",
        ),
        (
            "encoder:\n  name: koch\n  width: {choice: [16, 32]}\n",
            "data.image_size: must be >= 65 with encoder koch, got 28; write 65 or more, or enc",
        ),
        (
            (
                "encoder:\n  one_of:\n    a: {name: conv4}\n    b:\n      name: resnet18\n"
                "      train: {choice: [all, last_k]}\n"
            ),
            "encoder.b.last_blocks: must be given with train: last_k, got null",
        ),
    ],
)
def test_a_wrong_encoder_is_refused_with_line_rule_and_fix(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load(text)
    assert message in str(caught.value)


SEARCHED = """\
encoder:
  embedding_dim: {choice: [32, 64]}
  one_of:
    small:
      name: resnet12
      width: {int: [16, 64], step: 16}
      head:
        one_of:
          plain: {name: {choice: [linear, bnneck]}, pool: {choice: [average, gem]}}
          deep: {name: mlp, hidden: {choice: [128, 256]}, layers: {int: [1, 2]}}
    pretrained:
      name: torchvision
      model: {choice: [resnet34, resnet50]}
      weights: imagenet
      one_of:
        whole: {train: all}
        part: {train: last_k, last_blocks: {int: [1, 3]}}
optimizer:
  backbone_rate: {log_uniform: [0.01, 1.0]}
"""


def test_encoders_and_heads_can_be_searched() -> None:
    space = load(SEARCHED)
    names = {parameter.name for parameter in space.parameters()}
    assert {
        "encoder",
        "encoder.small.head",
        "encoder.small.head.deep.hidden",
        "encoder.pretrained.part.last_blocks",
        "optimizer.backbone_rate",
    } <= names


def test_the_schema_knows_encoders_and_heads() -> None:
    validator = jsonschema.Draft202012Validator(space_schema())
    head = {"name": "mlp", "hidden": {"choice": [128, 256]}, "pool": "gem"}
    good = {"name": "torchvision", "model": "resnet50", "train": "head", "head": head}
    assert validator.is_valid({"objective": OBJECTIVE, "encoder": good})
    for wrong in ({"model": "resnet51"}, {"train": "tail"}, {"head": {"hiden": 3}}):
        assert not validator.is_valid({"objective": OBJECTIVE, "encoder": {**good, **wrong}})


@pytest.mark.parametrize("name", ENCODERS)
def test_the_usual_ranges_of_an_encoder_are_allowed(name: str) -> None:
    record = ENCODER_RECORDS[name]
    given = {"model": "resnet18"} if record.model_fields.keys() >= {"model"} else {}
    for key, number in numbers_of(record).items():
        for corner in number.usual.corners:
            record.model_validate({"name": name, **given, key: corner})
    for key, number in numbers_of(HeadConfig).items():
        for corner in number.usual.corners:
            HeadConfig.model_validate({"name": "mlp", key: corner})


def test_encoders_fit_a_terminal_of_80_columns() -> None:
    table = render_encoders()
    assert max(map(len, table.splitlines())) <= 80
    keys = [key for record in ENCODER_RECORDS.values() for key in record.model_fields]
    assert all(name in table for name in [*ENCODERS, *keys, *HeadConfig.model_fields])


def test_the_page_of_the_docs_is_printed_from_the_records() -> None:
    page = Path(__file__).parents[2] / "docs" / "encoders.md"
    assert page.read_text() == render_encoders_page(), (
        "run: tripletune describe --encoders --markdown > docs/encoders.md"
    )
