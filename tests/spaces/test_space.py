import dataclasses
import re
from itertools import islice
from pathlib import Path

import pytest

from tripletune.spaces import (
    Choice,
    Distribution,
    Int,
    Parameter,
    Space,
    SpaceError,
    Uniform,
    Value,
)
from tripletune.spaces.corners import MAX_PRODUCT, corner_choices
from tripletune.spaces.sections import read_tree
from tripletune.spaces.source import read_source

TRIPLET = "objective: {loss: {name: triplet}}\n"


def load(text: str) -> Space:
    return Space.from_text(text, "my.yaml")


def first(name: str, distribution: Distribution) -> Value:
    return distribution.corners[0]


def refusal(text: str) -> str:
    with pytest.raises(SpaceError) as caught:
        load(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "objective:\n  loss:\n    name: triplet\n    margn: 0.2\n",
            (
                "my.yaml:4: objective.loss.margn: must be a key of objective.loss, got 'margn'; "
                "did you mean margin?"
            ),
        ),
        (
            "objektive: {}\n",
            "my.yaml:1: objektive: must be a key of a recipe, got 'objektive'; did",
        ),
        (
            TRIPLET + "encoder: {name: conv5}\n",
            "my.yaml:2: encoder.name: must be one of conv4, koch, resnet12,",
        ),
        (
            TRIPLET + "batch: {draw: within}\n",
            "my.yaml:2: batch.draw: must be one of any, within_group, got 'within'; did you mean",
        ),
        ("seed: 1\n", "my.yaml: objective: must be given, got nothing; add objective: {loss:"),
        (
            "objective: {miner: {name: all}}\n",
            "my.yaml:1: objective.loss: must be given, got nothing",
        ),
        (
            "objective: {loss: {margin: 1}}\n",
            "objective.loss.name: must be given, one of contrastive",
        ),
        ("objective:\n", "my.yaml:1: objective: must be a section, got nothing"),
        (
            TRIPLET + "batch: {samples: 1}\n",
            "my.yaml:2: batch.samples: must be >= 2, got 1; write 2",
        ),
        (TRIPLET + "batch: {samples: '4'}\n", "must be a whole number, got '4'; write it without"),
        (TRIPLET + "batch: {samples: true}\n", "must be a whole number, got true"),
        (TRIPLET + "batch: {samples: [2, 4]}\n", "must be one value, got [2, 4]; write {uniform"),
        (TRIPLET + "batch: {rotations_as_classes: yes}\n", "must be true or false, got 'yes'"),
        (TRIPLET + "optimizer: {learning_rate: .inf}\n", "must be a finite number, got inf"),
        (
            TRIPLET + "batch: {classes: {unifrom: [2, 4]}}\n",
            "must be one value or a distribution, got {unifrom: [2, 4]}; did you mean uniform?",
        ),
        (
            TRIPLET + "batch: {classes: {uniform: [8, 32]}}\n",
            (
                "must be a whole number, got 8.0, searched by {uniform: [8.0, 32.0]}; "
                "write {int: [8, 32]}"
            ),
        ),
        (
            "objective: {loss: {name: sigmoid_pair, bias: atuo}}\n",
            "objective.loss.bias: must be auto or a number, got 'atuo'; did you mean auto?",
        ),
        (TRIPLET + "batch: {classes: {int: [9, 3]}}\n", "my.yaml:2: batch.classes: low must be <"),
    ],
)
def test_a_wrong_value_is_refused_with_line_rule_and_fix(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "objective:\n  loss:\n    name: triplet\n    margin: {uniform: [0.2, 2.0]}\n",
            (
                "my.yaml:4: objective.loss.margin: must be < 2 on unit vectors, where no "
                "euclidean distance is larger, got 2.0, searched by {uniform: [0.2, 2.0]}"
            ),
        ),
        (
            (
                "objective:\n  loss: {name: triplet, margin: 3.0, distance: {choice: "
                "[squared_euclidean, euclidean]}}\n"
            ),
            "my.yaml:2: objective.loss.margin: must be < 2 on unit vectors",
        ),
        (
            "objective:\n  loss: {name: soft_triplet, unit_norm: {choice: [false, true]}}\n",
            "my.yaml:2: objective.loss.unit_norm: must be false with loss soft_triplet",
        ),
        (
            (
                "objective:\n  loss: {name: {choice: [triplet, soft_triplet]}}\n"
                "  miner: {name: {choice: [all, semi_hard]}}\n"
            ),
            (
                "my.yaml:3: objective.miner.name: must be one of batch_hard, all, hard, easy, "
                "batch_easy, easy_positive_semi_hard, easy_positive_hard, random, "
                "random_positive_hard, mixed with loss soft_triplet, got 'semi_hard'"
            ),
        ),
        (
            (
                "objective:\n  one_of:\n    a: {loss: {name: triplet}}\n"
                "    b:\n      loss: {name: supcon}\n      miner: {name: all}\n"
            ),
            "my.yaml:6: objective.b.miner.name: must be none with loss supcon, got 'all'",
        ),
        (
            (
                "encoder: {embedding_dim: {choice: [64, 3]}}\nobjective:\n  one_of:\n"
                "    a: {loss: {name: supcon}}\n"
                "    b:\n      loss: {name: triplet}\n"
                "      miner: {name: {choice: [all, distance_weighted]}}\n"
            ),
            "my.yaml:1: encoder.embedding_dim: must be >= 4 with miner distance_weighted",
        ),
        (
            TRIPLET + "batch: {draw: {choice: [within_group, any]}, groups: {int: [1, 3]}}\n",
            "my.yaml:2: batch.groups: counts only with draw: within_group, got draw=any, groups=3",
        ),
        (
            TRIPLET + "budget:\n  steps: 10\n  report_every: 20\n",
            "my.yaml:4: budget.report_every: must be <= steps",
        ),
    ],
)
def test_nonsense_under_some_choice_is_refused_when_the_file_is_read(
    text: str, message: str
) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "budget: {steps: {int: [100, 200]}}",
            "budget.steps: must be fixed in a space, since trials",
        ),
        ("evaluation: {way: {choice: [5, 20]}}", "since trials are ranked on identical episodes"),
        (
            "data: {split: {seed: {choice: [0, 1]}}}",
            "since trials are ranked on the same held-out",
        ),
        ("data: {name: {choice: [glyphs, omniglot]}}", "data.name: must be fixed in a space"),
        ("data: {image_size: {int: [28, 56]}}", "data.image_size: must be listed by choice"),
        ("seed: {int: [0, 9]}", "seed: must be fixed in a space, since the luckiest"),
        ("budget: {one_of: {a: {steps: 100}}}", "budget.one_of: must be fixed in a space"),
        ("one_of: {a: {budget: {steps: 100}}}", "a.budget: must be the same in all branches"),
        (
            "data: {one_of: {a: {split: {seed: 1}}}}",
            "data.a.split: must be the same in all branches",
        ),
    ],
)
def test_what_makes_trials_comparable_cannot_be_searched(text: str, message: str) -> None:
    refused = refusal(f"{TRIPLET}{text}\n")
    assert f"my.yaml:2: {message}" in refused or message in refused
    assert len(refused.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("objective: {one_of: {}}\n", "objective.one_of: must map labels to sections, got {}"),
        ("objective: {one_of: [a, b]}\n", "must map labels to sections, got [a, b]"),
        (
            "objective: {one_of: {a: }}\n",
            "objective.a: must be a section, got null; write its keys",
        ),
        ("objective: {one_of: {a.b: {}}}\n", "must have labels of letters, digits, _ and -"),
        (
            "objective: {loss: {name: supcon}, one_of: {loss: {}}}\n",
            "got 'loss'; rename the label",
        ),
        (
            "objective:\n  loss: {name: supcon}\n  one_of:\n    a: {loss: {name: supcon}}\n",
            "my.yaml:4: objective.a.loss.name: must stand on one side of one_of",
        ),
        (
            "objective:\n  loss: {name: supcon}\n  one_of:\n    a: {loss: 3}\n",
            "my.yaml:4: objective.a.loss: must be a section, as it is beside one_of",
        ),
    ],
)
def test_a_malformed_one_of_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


def test_all_problems_of_a_file_are_listed_by_line_up_to_ten() -> None:
    wrong = "".join(f"  wrong_{place}: 1\n" for place in range(13))
    lines = refusal(f"{TRIPLET}batch:\n{wrong}").splitlines()
    assert len(lines) == 11
    assert [int(line.split(":")[1]) for line in lines[:10]] == list(range(3, 13))
    assert lines[-1] == "my.yaml: and 3 more problems"


def test_one_of_merges_common_keys_with_those_of_the_branch() -> None:
    space = load(
        "objective:\n  loss: {name: triplet, margin: 0.3}\n  one_of:\n"
        "    near: {loss: {distance: euclidean}, miner: {name: semi_hard}}\n"
        "    far: {loss: {distance: squared_euclidean}}\n"
    )
    loss = space.build(lambda name, distribution: "far").objective.loss
    assert loss.model_dump() == {
        "name": "triplet",
        "margin": 0.3,
        "distance": "squared_euclidean",
        "unit_norm": True,
        "reduction": "active",
    }


def test_one_of_nests_and_parameters_carry_labels_and_conditions() -> None:
    space = load(
        "objective:\n  one_of:\n    a:\n      loss:\n        one_of:\n"
        "          t: {name: triplet, margin: {uniform: [0.1, 0.2]}}\n"
        "          s: {name: soft_triplet}\n"
        "      one_of: {x: {miner: {name: all}}, y: {miner: {name: batch_hard}}}\n"
        "    b: {loss: {name: supcon}}\nencoder: {embedding_dim: {int: [8, 64], step: 8}}\n"
    )
    in_a = ("objective", "a")
    assert space.parameters() == (
        Parameter("objective", Choice(("a", "b")), ()),
        Parameter("objective.a.loss", Choice(("t", "s")), (in_a,)),
        Parameter(
            "objective.a.loss.t.margin", Uniform(0.1, 0.2), (in_a, ("objective.a.loss", "t"))
        ),
        Parameter("objective.a", Choice(("x", "y")), (in_a,)),
        Parameter("encoder.embedding_dim", Int(8, 64, 8), ()),
    )
    recipe = space.build(first)
    assert (recipe.objective.loss.name, recipe.objective.miner.name) == ("triplet", "all")


def test_one_of_at_the_top_joins_sections() -> None:
    space = load(
        "encoder: {embedding_dim: 8}\none_of:\n"
        "  small: {objective: {loss: {name: supcon}}, data: {image_size: {choice: [28, 35]}}}\n"
        "  large: {objective: {loss: {name: nt_xent}}, data: {image_size: 56}}\n"
    )
    assert [parameter.name for parameter in space.parameters()] == [
        "recipe",
        "small.data.image_size",
    ]
    assert [config.image_size for config in space.data_configs()] == [28, 35, 56]
    assert space.build(first).encoder.embedding_dim == 8


def test_the_check_stays_bounded_where_a_section_has_many_combinations() -> None:
    fields = ("degrees", "translate", "scale", "shear", "probability")
    many = ", ".join(f"{key}: {{choice: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}" for key in fields)
    space = load(f"{TRIPLET}augment: {{{many}}}\n")
    checked = list(islice(corner_choices(space.root), 2 * MAX_PRODUCT))
    assert len(checked) == 1 + 5 * 6 + 10 * 36  # no choice, one, every pair of six corners each


def test_build_refuses_a_value_that_its_distribution_does_not_hold() -> None:
    space = load(TRIPLET + "encoder: {embedding_dim: {choice: [8, 16]}}\n")
    with pytest.raises(
        ValueError, match=r"encoder\.embedding_dim must be drawn from 8 \| 16, got"
    ):
        space.build(lambda name, distribution: 12)


def test_build_refuses_a_recipe_that_the_check_did_not_reach() -> None:
    text = "objective:\n  loss: {name: triplet, margin: {uniform: [1.0, 3.0]}}\n"
    unchecked = read_tree(read_source(text, "my.yaml"))
    space = dataclasses.replace(load(TRIPLET), root=unchecked)
    assert space.build(first).objective.loss.model_dump()["margin"] == 1.0
    with pytest.raises(
        SpaceError, match=r"my\.yaml:2: objective\.loss\.margin: must be < 2 .*2\.5"
    ):
        space.build(lambda name, distribution: 2.5)


def test_a_space_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(TRIPLET).name = "other"  # type: ignore[misc]  # the claim


def test_the_digest_tells_content_and_not_layout_or_place() -> None:
    folder = "data: {name: folder, path: %s}\n"
    digest = load(TRIPLET + folder % "here").digest
    assert load("# why\n" + folder % "there" + TRIPLET).digest == digest
    assert load(TRIPLET + folder % "here" + "seed: 1\n").digest != digest


@pytest.mark.parametrize("name", ["quickstart", "omniglot"])
def test_fixed_values_replace_searched_ones_in_all_branches(name: str) -> None:
    space = Space.load(name)
    fixed = space.with_values(
        {"batch.draw": "within_group", "batch.groups": 2, "budget.steps": 400, "seed": 7}
    )
    assert space.build(first).seed == 0
    recipe = fixed.build(first)
    assert (recipe.batch.groups, recipe.budget.steps, recipe.seed) == (2, 400, 7)
    names = {parameter.name for parameter in space.parameters()}
    left = {parameter.name for parameter in fixed.parameters()}
    assert names - left == {"batch.within_group.groups"}
    assert Space.from_text(fixed.text, f"{name}.yaml") == fixed


def test_a_folder_can_be_put_in_the_place_of_the_data() -> None:
    space = Space.load("omniglot").with_values({"data.name": "folder", "data.path": "a b/c.zip"})
    (config,) = space.data_configs()
    assert (config.name, config.path, config.image_size) == ("folder", "a b/c.zip", 48)


def test_a_label_leaves_its_branch_alone_and_keeps_names() -> None:
    space = Space.load("quickstart").with_values({"objective": "supcon"})
    names = [p.name for p in space.parameters() if p.name.startswith("objective")]
    assert names == ["objective", "objective.supcon.loss.temperature"]


def test_a_parameter_is_fixed_in_its_branch_by_its_name() -> None:
    space = Space.load("quickstart").with_values({"objective.triplet.loss.margin": 0.25})
    labels = {"objective": "triplet"}
    recipe = space.build(lambda name, dist: labels.get(name, dist.corners[0]))
    assert recipe.objective.loss.model_dump()["margin"] == 0.25


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"batch.clases": 3},
            "quickstart.yaml: batch.clases: must be a key of batch, got 'clases'",
        ),
        ({"batch.samples": 1}, "quickstart.yaml: batch.samples: must be >= 2, got 1"),
        ({"objective": "tripplet"}, "objective: must be one of supcon, contrastive, triplet"),
        ({"budget.steps.more": 3}, "must lie in a section, got steps="),
        ({"objective.triplet.loss.margin": 2.5}, "objective.triplet.loss.margin: must be < 2"),
        ({"data.name": "folder"}, "data.path: must be given with the data set folder"),
    ],
)
def test_a_fixed_value_that_breaks_a_rule_is_refused(
    values: dict[str, Value], message: str
) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        Space.load("quickstart").with_values(values)


def test_a_fixed_value_that_is_no_scalar_is_refused() -> None:
    with pytest.raises(TypeError, match=r"batch\.classes must be one plain value, got list"):
        load(TRIPLET).with_values({"batch.classes": [1]})  # type: ignore[dict-item]  # the claim


def test_an_unknown_name_lists_the_presets_and_the_closest() -> None:
    message = "must be a file or one of the presets .*, got 'quikstart'; did you mean quickstart"
    with pytest.raises(SpaceError, match=message):
        Space.load("quikstart")


def test_a_file_is_named_by_its_stem(tmp_path: Path) -> None:
    path = tmp_path / "birds.v2.yaml"
    path.write_text(TRIPLET)
    assert Space.load(path).name == Space.load(str(path)).name == "birds.v2"
