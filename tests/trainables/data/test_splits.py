"""Class-disjoint splits."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripletune.spaces import SplitConfig
from tripletune.trainables.data import PUBLISHED, DataError, ImageSet, split_classes
from tripletune.trainables.data.class_names import NamedClasses
from tripletune.trainables.data.split_lists import published_split


def make_set(group_sizes: list[int]) -> ImageSet:
    owners = [group for group, size in enumerate(group_sizes) for _ in range(size)]
    return ImageSet(
        images=np.zeros((len(owners), 1, 2, 2), np.uint8),
        labels=np.arange(len(owners), dtype=np.int64),
        classes=tuple(f"g{group}/c{index}" for index, group in enumerate(owners)),
        groups=tuple(f"g{group}" for group in range(len(group_sizes))),
        group_of_class=np.array(owners, dtype=np.int64),
    )


@given(
    sizes=st.lists(st.integers(1, 5), min_size=6, max_size=30),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.0, 0.49),
    by=st.sampled_from(["group", "class"]),
    seed=st.integers(0, 2**31),
)
def test_every_class_is_on_one_side(
    sizes: list[int], validation: float, test: float, by: str, seed: int
) -> None:
    images = make_set(sizes)
    config = SplitConfig.model_validate(
        {"by": by, "validation": validation, "test": test, "seed": seed}
    )
    split = split_classes(images, config)
    assert sorted(split.train + split.validation + split.test) == sorted(images.classes)
    assert split.train
    assert split.validation
    assert bool(split.test) == (test > 0)
    if by == "group":
        sides = [
            {name.split("/")[0] for name in side}
            for side in (split.train, split.validation, split.test)
        ]
        assert sum(map(len, sides)) == len(images.groups)


def test_shares_are_rounded() -> None:
    split = split_classes(make_set([1] * 30), SplitConfig(validation=0.2, test=0.1))
    assert (len(split.train), len(split.validation), len(split.test)) == (21, 6, 3)


def test_split_never_changes() -> None:
    split = split_classes(make_set([1] * 6), SplitConfig())
    assert split.test == ("g1/c1",)
    assert split.validation == ("g0/c0",)


def test_another_seed_divides_otherwise() -> None:
    images = make_set([1] * 30)
    one, other = (split_classes(images, SplitConfig(seed=seed)) for seed in (0, 1))
    assert one.digest != other.digest


def test_set_of_one_group_is_split_by_class() -> None:
    split = split_classes(make_set([10]), SplitConfig(by="group"))
    assert split.by == "class"
    assert (len(split.train), len(split.validation), len(split.test)) == (6, 2, 2)


@pytest.mark.parametrize(("test", "least"), [(0.2, 6), (0.0, 4)])
def test_too_few_classes_are_refused(test: float, least: int) -> None:
    config = SplitConfig(test=test)
    split_classes(make_set([least]), config)
    with pytest.raises(DataError, match=f"at least {least} classes.*got {least - 1}"):
        split_classes(make_set([least - 1]), config)


def test_manifest_lists_the_sides() -> None:
    split = split_classes(make_set([2] * 5), SplitConfig())
    manifest = json.loads(split.manifest)
    assert tuple(manifest["test"]) == split.test
    assert len(split.digest) == 64


def test_subset_relabels_and_drops_groups() -> None:
    part = make_set([2, 2, 2]).subset(["g2/c5", "g0/c1"])
    assert part.classes == ("g0/c1", "g2/c5")
    assert part.groups == ("g0", "g2")
    assert part.labels.tolist() == part.group_of_class.tolist() == [0, 1]


def test_subset_refuses_an_unknown_class() -> None:
    with pytest.raises(ValueError, match="classes must be among those of the set, got 'x'"):
        make_set([2]).subset(["x"])


def test_image_set_refuses_labels_out_of_order() -> None:
    with pytest.raises(ValueError, match="labels must be sorted"):
        ImageSet(
            np.zeros((2, 1, 2, 2), np.uint8),
            np.array([1, 0]),
            ("a", "b"),
            ("all",),
            np.zeros(2, np.int64),
        )


def test_published_split_refuses_another_set() -> None:
    missing = r"got a set with no group or class Armenian; set data.split.by"
    with pytest.raises(DataError, match=missing):
        split_classes(make_set([2] * 6), SplitConfig(by="omniglot_vinyals"))


def named(groups: Mapping[str, Sequence[str]]) -> NamedClasses:
    """Groups with their classes; a group "" holds classes of a flat tree."""
    owners = [(group, name) for group, names in groups.items() for name in names]
    return NamedClasses(
        classes=tuple(f"{group}/{name}".lstrip("/") for group, name in owners),
        groups=tuple(group or "all" for group in groups),
        group_of_class=np.array([list(groups).index(group) for group, _ in owners]),
    )


def characters(count: int) -> list[str]:
    return [f"character{number:02d}" for number in range(1, count + 1)]


BACKGROUND = (
    *("Alphabet_of_the_Magi", "Anglo-Saxon_Futhorc", "Arcadian", "Armenian", "Balinese"),
    *("Asomtavruli_(Georgian)", "Bengali", "Braille", "Cyrillic", "Early_Aramaic", "Futurama"),
    *("Hebrew", "Mkhedruli_(Georgian)", "Tifinagh"),
)


def omniglot(*, evaluation: bool) -> NamedClasses:
    """Some of the background alphabets, and two that stand on both sides of Vinyals' test."""
    groups: dict[str, Sequence[str]] = dict.fromkeys(BACKGROUND, characters(20))
    if evaluation:
        groups |= {"Angelic": characters(20), "Gurmukhi": characters(45), "ULOG": characters(26)}
    return named(groups)


def alphabets(names: Sequence[str]) -> set[str]:
    return {name.split("/")[0] for name in names}


def test_published_names_are_those_of_the_recipe_and_their_files_have_rows() -> None:
    names = set(get_args(SplitConfig.model_fields["by"].annotation))
    assert names == {"group", "class", "item", "file", *PUBLISHED}
    for name in PUBLISHED:
        assert published_split(name).sides


def test_omniglot_background_tests_on_the_evaluation_alphabets_only() -> None:
    split = split_classes(omniglot(evaluation=True), SplitConfig(by="omniglot_background"))
    assert alphabets(split.test) == {"Angelic", "Gurmukhi", "ULOG"}
    assert len(alphabets(split.validation)) == 3
    assert alphabets(split.train) | alphabets(split.validation) == set(BACKGROUND)
    assert not alphabets(split.train) & alphabets(split.validation)
    without = split_classes(omniglot(evaluation=False), SplitConfig(by="omniglot_background"))
    assert (without.train, without.validation) == (split.train, split.validation)
    assert without.test == ()


def test_vinyals_test_on_four_characters_of_gurmukhi_and_train_on_the_others() -> None:
    split = split_classes(omniglot(evaluation=True), SplitConfig(by="omniglot_vinyals"))
    gurmukhi = [name for name in split.test if name.startswith("Gurmukhi")]
    assert gurmukhi == [f"Gurmukhi/character{number}" for number in (42, 43, 44, 45)]
    assert alphabets(split.test) == {"Gurmukhi", "ULOG"}
    assert {"Gurmukhi", "Angelic"} <= alphabets(split.train)
    assert len(alphabets(split.validation)) == 5


def test_mini_imagenet_has_64_16_and_20_classes() -> None:
    names = named({"": sorted(published_split("mini_imagenet_ravi").sides)})
    split = split_classes(names, SplitConfig(by="mini_imagenet_ravi"))
    assert (len(split.train), len(split.validation), len(split.test)) == (64, 16, 20)
    assert split.validation[0] == "n01855672"
    assert split.digest.startswith("38330f66d5d3")  # of the published lists


def test_every_class_of_cub_s_first_half_validates_in_one_of_four_folds() -> None:
    names = named({"": [f"{number:03d}.Bird" for number in range(1, 201)]})
    folds = [split_classes(names, SplitConfig(by="cub_mlrc", fold=fold)) for fold in range(4)]
    assert [split.validation[0] for split in folds] == [
        "001.Bird",
        "026.Bird",
        "051.Bird",
        "076.Bird",
    ]
    for split in folds:
        assert split.test == tuple(f"{number}.Bird" for number in range(101, 201))
        assert (len(split.train), len(split.validation)) == (75, 25)
    with pytest.raises(DataError, match="fold must be < 4, the folds of cub_mlrc, got 4"):
        split_classes(names, SplitConfig(by="cub_mlrc", fold=4))


@pytest.mark.parametrize(("by", "sizes"), [("group", [3] * 11), ("class", [20])])
@pytest.mark.parametrize("test", [0.0, 0.2])
def test_each_name_validates_once_over_all_folds_and_never_tests(
    by: str, sizes: list[int], test: float
) -> None:
    images = make_set(sizes)
    splits = [
        split_classes(
            images, SplitConfig.model_validate({"by": by, "test": test, "folds": 4, "fold": fold})
        )
        for fold in range(4)
    ]
    assert len({split.digest for split in splits}) == 4
    assert len({split.test for split in splits}) == 1
    assert bool(splits[0].test) == (test > 0)
    validated = [name for split in splits for name in split.validation]
    assert sorted([*validated, *splits[0].test]) == sorted(images.classes)
    sizes_of_folds = [len(split.validation) for split in splits]
    assert max(sizes_of_folds) - min(sizes_of_folds) <= (3 if by == "group" else 1)


def test_too_many_folds_are_refused() -> None:
    config = SplitConfig(by="class", test=0.0, folds=6)
    with pytest.raises(DataError, match=r"at least 12 classes, .* folds, got 11; .*lower data.sp"):
        split_classes(make_set([11]), config)


def split_file(folder: Path, text: str) -> SplitConfig:
    path = folder / "split.csv"
    path.write_text(text)
    return SplitConfig(by="file", path=str(path))


def test_a_file_names_classes_groups_and_patterns_the_narrower_first(tmp_path: Path) -> None:
    config = split_file(
        tmp_path, "name,side\n*,train\ng0,validation\ng0/c1,test\ng2/*,test\nc3,validation\n"
    )
    split = split_classes(make_set([3, 2, 2, 1]), config)
    assert split.validation == ("g0/c0", "g0/c2", "g1/c3")
    assert split.test == ("g0/c1", "g2/c5", "g2/c6")
    assert split.train == ("g1/c4", "g3/c7")
    assert split.by == "file"


def test_a_file_s_folds_and_what_it_leaves_to_be_divided(tmp_path: Path) -> None:
    folds = split_file(tmp_path, "name,side\ng0,0\ng1,1\ng2,2\n")
    second = folds.model_copy(update={"fold": 1})
    images = make_set([2, 2, 2])
    assert split_classes(images, second).validation == ("g1/c2", "g1/c3")
    divided = split_file(tmp_path, "name,side\ng0,test\n*,divide\n")
    split = split_classes(make_set([2] * 6), divided)
    assert split.test == ("g0/c0", "g0/c1")
    assert len(alphabets(split.validation)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,side\na,train\n", "split.csv:1 must have the columns name and side, got class,"),
        ("", "split.csv:1 must have the columns name and side, got nothing"),
        ("name,side\ng0,learn\n", "split.csv:2 side must be one of .* got 'learn'"),
        ("name,side\ng0,train\ng0,test\n", "split.csv:3 name must be given once, got it twice"),
        ("name,side\ng0,train\n", "every class must have a side, got none for 'g1/c2'"),
        ("name,side\n*,train\ng9,test\n", "every row must name .* got 'g9'"),
        ("name,side\n*,train\ng0/c0,validation\n", "at least 2 classes .* validation side"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        split_classes(make_set([2, 2, 2]), split_file(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    config = SplitConfig(by="file", path=str(tmp_path / "no.csv"))
    with pytest.raises(DataError, match=r"data.split.path must be a readable CSV file, got .*no"):
        split_classes(make_set([2, 2, 2]), config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"by": "file"}, "path must be given with by: file"),
        ({"path": "a.csv"}, "path counts only with by: file"),
        ({"folds": 3, "fold": 3}, "fold must be < folds"),
        ({"fold": 1}, "fold counts only with folds"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SplitConfig.model_validate(values)


def test_what_is_not_used_does_not_name_the_split() -> None:
    assert set(SplitConfig().model_dump()) == {"by", "validation", "test", "seed"}
    used = SplitConfig(folds=5, fold=2)
    assert SplitConfig.model_validate(used.model_dump()) == used


def test_another_process_divides_alike() -> None:
    split = split_classes(make_set([2] * 12), SplitConfig(folds=3, fold=1))
    code = (
        "import numpy as np\n"
        "from tripletune.spaces import SplitConfig\n"
        "from tripletune.trainables.data import split_classes\n"
        "from tripletune.trainables.data.class_names import NamedClasses\n"
        "owners = np.repeat(np.arange(12), 2)\n"
        "names = NamedClasses(tuple(f'g{g}/c{i}' for i, g in enumerate(owners)),\n"
        "    tuple(f'g{g}' for g in range(12)), owners)\n"
        "print(split_classes(names, SplitConfig(folds=3, fold=1)).digest)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[3] / ".pkg")},
        timeout=120,
    )
    assert run.stdout.strip() == split.digest
