"""The folder data set: layouts, faults, and the line that each fault gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tripletune.spaces import DataConfig
from tripletune.trainables.data import (
    DataError,
    DecodedSet,
    Preprocessing,
    fingerprint,
    load_trial_data,
)
from tripletune.trainables.data.folder import open_folder

MakeTree = Callable[..., Path]
ZipTree = Callable[[Path, str], Path]
CLASSES = ["a", "b", "c", "d", "e", "f"]
GROUPED = [f"{group}/{name}" for group in ("g", "h", "i") for name in ("x", "y")]


def decode(path: Path | str, **options: object) -> DecodedSet:
    values = {"name": "folder", "path": str(path), "image_size": 16, **options}
    return open_folder(DataConfig.model_validate(values)).decode()


def test_flat_tree_has_one_group(make_tree: MakeTree) -> None:
    images = decode(make_tree(CLASSES)).image_set
    assert images.classes == tuple(CLASSES)
    assert images.groups == ("all",)
    assert images.class_counts.tolist() == [3] * 6


def test_grouped_tree_names_classes_with_their_group(make_tree: MakeTree) -> None:
    images = decode(make_tree(GROUPED)).image_set
    assert images.classes == tuple(GROUPED)
    assert images.groups == ("g", "h", "i")
    assert images.group_of_class.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("classes", [CLASSES, GROUPED])
@pytest.mark.parametrize("wrapping", ["", "images/", "../far/away/"])
def test_zip_is_the_same_set_as_its_folder(
    classes: list[str], wrapping: str, make_tree: MakeTree, zip_tree: ZipTree, tmp_path: Path
) -> None:
    tree = make_tree(classes)
    (tree / "__MACOSX").mkdir()
    (tree / "__MACOSX" / "x.png").write_bytes(b"")
    (tree / "a.txt").write_text("notes")
    folder, archive = decode(tree), decode(zip_tree(tree, wrapping))
    assert fingerprint(folder.image_set) == fingerprint(archive.image_set)
    assert "1 file that is no image" in folder.notes[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree", "tree.zip"]


def test_wrapping_folders_are_looked_through(make_tree: MakeTree) -> None:
    plain = decode(make_tree(GROUPED))
    wrapped = decode(make_tree([f"images/all of them/{name}" for name in GROUPED], root="other"))
    assert fingerprint(plain.image_set) == fingerprint(wrapped.image_set)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got .*nowhere, which does not exist; check"):
        decode(tmp_path / "nowhere")


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must hold images .* got none in .*CLASS/image"):
        decode(tmp_path)


@pytest.mark.parametrize("content", [b"not a zip", b"PK\x03\x04 cut off", b""])
def test_file_that_is_no_zip_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"which is neither.*download it again"):
        decode(path)


def test_truncated_zip_is_refused(make_tree: MakeTree, zip_tree: ZipTree) -> None:
    path = zip_tree(make_tree(CLASSES), "")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"data.path must be"):
        decode(path)


def test_images_without_class_folders_are_refused(make_tree: MakeTree) -> None:
    with pytest.raises(DataError, match=r"must lie in class folders, got 0.png"):
        decode(make_tree(["."]))


def test_images_at_different_depths_are_refused(make_tree: MakeTree) -> None:
    with pytest.raises(DataError, match=r"equally deep, got b/0.png beside a/x/0.png"):
        decode(make_tree(["a/x", "b"]))


def test_images_too_deep_are_refused(make_tree: MakeTree) -> None:
    with pytest.raises(DataError, match=r"at most two folders deep, got a/b/c/0.png"):
        decode(make_tree(["a/b/c", "d/e/f"]))


def test_train_beside_test_is_refused(make_tree: MakeTree) -> None:
    with pytest.raises(DataError, match=r"groups must not share classes, got test, train"):
        decode(make_tree(["train/x", "train/y", "test/x", "test/y"]))


def test_few_corrupt_images_are_skipped_and_named(make_tree: MakeTree) -> None:
    tree = make_tree(CLASSES)
    good = (tree / "a" / "0.png").read_bytes()
    (tree / "b" / "1.png").write_bytes(good[: len(good) // 2])
    (tree / "c" / "2.png").write_bytes(b"")
    decoded = decode(tree, max_corrupt_share=0.2)
    assert "skipped 2 unreadable of 18 images: b/1.png (" in decoded.notes[0]
    assert decoded.image_set.class_counts.tolist() == [3, 2, 2, 3, 3, 3]
    with pytest.raises(DataError, match=r"max_corrupt_share lets 1.0% .* got 2 of 18 \(11.1%\)"):
        decode(tree)


def test_damaged_member_of_a_zip_is_a_corrupt_image(
    make_tree: MakeTree, zip_tree: ZipTree
) -> None:
    tree = make_tree(CLASSES)
    path = zip_tree(tree, "")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(content)
    assert "skipped 1 unreadable of 18" in decode(path, max_corrupt_share=0.1).notes[0]


def test_small_class_is_dropped_or_refused(make_tree: MakeTree) -> None:
    tree = make_tree(CLASSES)
    for number in (0, 1):
        (tree / "c" / f"{number}.png").unlink()
    decoded = decode(tree)
    assert decoded.notes == ("dropped 1 class of fewer than 2 images: c (1)",)
    assert decoded.image_set.num_classes == 5
    with pytest.raises(DataError, match=r"at least 2 readable images, got c \(1\).*to drop"):
        decode(tree, small_classes="refuse")


def test_single_class_is_refused(make_tree: MakeTree) -> None:
    with pytest.raises(DataError, match=r"at least 2 classes .* got 1"):
        decode(make_tree(["a"]))


def test_too_few_classes_to_split_are_refused(make_tree: MakeTree, tmp_path: Path) -> None:
    config = DataConfig(name="folder", path=str(make_tree(["a", "b", "c"])), image_size=16)
    with pytest.raises(DataError, match=r"data.split needs at least 6 classes.*got 3.*split.test"):
        load_trial_data(config, tmp_path / "cache")


def test_order_does_not_follow_the_file_system(make_tree: MakeTree) -> None:
    forward = decode(make_tree(CLASSES, root="one"))
    assert forward.image_set.classes == tuple(CLASSES)
    first = decode(make_tree(sorted(CLASSES, reverse=True), root="two"))
    assert first.image_set.classes == tuple(CLASSES)


def test_every_mode_that_pillow_writes_is_decoded(tmp_path: Path) -> None:
    grey = Image.fromarray(np.arange(576, dtype=np.uint16).reshape(24, 24).astype(np.uint8))
    rotated = grey.convert("RGB")
    exif = rotated.getexif()
    exif[0x0112] = 6
    pictures: dict[str, Image.Image] = {
        "alpha.png": grey.convert("RGBA"),
        "palette.png": grey.convert("P"),
        "bits.png": grey.convert("1"),
        "deep.png": Image.fromarray(np.full((24, 24), 60000, np.uint16)),
        "ink.jpg": grey.convert("CMYK"),
        "frame.gif": grey,
    }
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file, picture in pictures.items():
            picture.save(tmp_path / name / file)
        rotated.save(tmp_path / name / "turned.jpg", exif=exif)
    decoded = decode(tmp_path)
    assert decoded.notes == ()
    assert decoded.image_set.class_counts.tolist() == [7, 7]


def test_dark_drawings_on_paper_are_inverted_for_grey_only(make_tree: MakeTree) -> None:
    tree = make_tree(CLASSES, paper=255)
    grey, rgb = decode(tree), decode(tree, color="rgb")
    assert isinstance(grey.preprocessing, Preprocessing)
    assert isinstance(rgb.preprocessing, Preprocessing)
    assert grey.preprocessing.invert
    assert "inverted" in grey.notes[-1]
    assert grey.image_set.images[:, :, 0].max() < 20
    assert not rgb.preprocessing.invert
    with Image.open(tree / "a" / "0.png") as picture:
        assert np.array_equal(grey.preprocessing.apply(picture), grey.image_set.images[0])


def test_decompression_bomb_is_a_corrupt_image(
    make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(CLASSES)
    Image.new("L", (60, 60)).save(tree / "a" / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    decoded = decode(tree, max_corrupt_share=0.1)
    assert "a/0.png (Image size (3600 pixels) exceeds limit" in decoded.notes[0]


def test_link_to_a_folder_above_ends(make_tree: MakeTree) -> None:
    tree = make_tree(CLASSES)
    (tree / "a" / "loop").symlink_to(tree)
    assert decode(tree).image_set.num_classes == 6


def test_zip_with_a_password_is_refused(make_tree: MakeTree, zip_tree: ZipTree) -> None:
    path = zip_tree(make_tree(CLASSES), "")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"zip without a password"):
        decode(path)


def test_link_to_nothing_is_a_corrupt_image(make_tree: MakeTree) -> None:
    tree = make_tree(CLASSES)
    (tree / "a" / "9.png").symlink_to(tree / "gone.png")
    decoded = decode(tree, max_corrupt_share=0.1)
    assert "skipped 1 unreadable of 19 images: a/9.png (" in decoded.notes[0]
