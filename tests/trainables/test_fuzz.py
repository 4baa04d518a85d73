"""Files that strangers send: each is read or refused by one clear error, and none runs code."""

import io
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from toy_export import trained, with_hashes, write_export

from tripletune.trainables import load
from tripletune.trainables.data.pictures import PictureError, decode_picture, strict_pictures
from tripletune.trainables.data.preprocessing import Preprocessing
from tripletune.trainables.embedder import NEEDED
from tripletune.trainables.gallery import Gallery, load_gallery

NUM_PICTURES = 10_000
NUM_EXPORTS = 600
NUM_GALLERIES = 400
GREY = Preprocessing(16, "grey", invert=False)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(trained(), tmp_path_factory.mktemp("export") / "model")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "model")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seeds() -> list[bytes]:
    """A small sound file of each kind and mode."""
    random = np.random.default_rng(0)
    rgb = Image.fromarray(random.integers(0, 256, (12, 10, 3), dtype=np.uint8))
    frames = [rgb.convert("P"), rgb.rotate(90).convert("P")]
    return [
        *(encoded(rgb, kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")),
        encoded(rgb.convert("L"), "PNG"),
        encoded(rgb.convert("P"), "PNG"),
        encoded(rgb.convert("RGBA"), "PNG"),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(Image.fromarray(random.integers(0, 65536, (9, 9), dtype=np.uint16)), "PNG"),
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        encoded(rgb, "TIFF", compression="tiff_lzw"),
    ]


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The file with bytes changed, cut out, doubled or cut off."""
    data = bytearray(content)
    for _ in range(random.integers(1, 6)):
        if not data:
            break
        at = int(random.integers(len(data)))
        match int(random.integers(5)):
            case 0:
                data[at] = int(random.integers(256))
            case 1:
                data[at] ^= 1 << int(random.integers(8))
            case 2:
                del data[at : at + int(random.integers(1, 9))]
            case 3:
                data[at:at] = data[at : at + int(random.integers(1, 9))]
            case _:
                if random.random() < 0.3:
                    del data[at:]
                else:
                    data[at : at + 4] = struct.pack("<I", int(random.integers(2**32)))
    return bytes(data)


def test_ten_thousand_mutated_pictures_are_read_or_refused() -> None:
    random = np.random.default_rng(0)
    sound, refused = seeds(), 0
    with strict_pictures():
        for content in sound:
            assert decode_picture(content, GREY).shape == (1, 16, 16)
        for number in range(NUM_PICTURES):
            try:
                pixels = decode_picture(mutated(sound[number % len(sound)], random), GREY)
            except PictureError as error:
                assert str(error)  # noqa: PT017  # either outcome is right
                refused += 1
            else:
                assert pixels.shape == (1, 16, 16)
                assert pixels.dtype == np.uint8
    assert 0.1 < refused / NUM_PICTURES < 0.95


def test_mutated_exports_are_loaded_or_refused(folder: Path) -> None:
    random = np.random.default_rng(1)
    sound = {name: (folder / name).read_bytes() for name in NEEDED}
    refused = 0
    for number in range(NUM_EXPORTS):
        name = NEEDED[number % len(NEEDED)]
        (folder / name).write_bytes(mutated(sound[name], random))
        if name != "scores.json":
            with_hashes(folder)  # or the hash alone would refuse it
        try:
            model = load(folder, device="cpu")
            model.check()
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either outcome is right
            refused += 1
        for part in (name, "scores.json"):
            (folder / part).write_bytes(sound[part])
    assert refused > NUM_EXPORTS // 4
    assert load(folder, device="cpu").check() == 0.0


def test_mutated_galleries_are_loaded_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    gallery = Gallery.empty(4).added("ann", np.ones((2, 4), np.float32))
    gallery.added("ben", np.zeros((1, 4), np.float32)).save(tmp_path / "g", "m")
    sound = (tmp_path / "g").read_bytes()
    for _ in range(NUM_GALLERIES):
        (tmp_path / "g").write_bytes(mutated(sound, random))
        try:
            found, _ = load_gallery(tmp_path / "g")
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either outcome is right
        else:
            assert len(found) >= 0


def bomb() -> bytes:
    """A PNG that says it has 10^10 pixels."""
    content = bytearray(encoded(Image.new("L", (1, 1)), "PNG"))
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"plain text", bomb(), seeds()[0][:30], seeds()[1][:100], b"\x89PNG\r\n\x1a\n"],
    ids=["zero bytes", "text", "bomb", "cut png", "cut jpeg", "signature alone"],
)
def test_what_is_no_picture_is_one_error_with_its_name(
    content: bytes, pristine: Path, tmp_path: Path
) -> None:
    (tmp_path / "query.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"images must be readable image files, got .*query\.png"):
        load(pristine, device="cpu").embed([tmp_path / "query.png"])


def test_a_turned_photograph_is_seen_upright(pristine: Path, tmp_path: Path) -> None:
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:4] = 255
    upright, turned = Image.fromarray(pixels), Image.fromarray(np.rot90(pixels).copy())
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    model = load(pristine, device="cpu")
    np.testing.assert_array_equal(
        model.pixels(tmp_path / "turned.png"), model.pixels(tmp_path / "upright.png")
    )


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", NEEDED)
def test_loading_an_untrusted_folder_runs_no_code(name: str, folder: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    buffer = io.BytesIO()
    torch.save(Trap(sprung), buffer)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("archive/data.pkl", pickle.dumps(Trap(sprung)))
    yaml = f"!!python/object/apply:builtins.open ['{sprung}', 'w']\n"
    for content in (
        pickle.dumps(Trap(sprung)),
        buffer.getvalue(),
        archive.getvalue(),
        yaml.encode(),
        b"version: 1\nobjective: " + yaml.encode(),
    ):
        (folder / name).write_bytes(content)
        if name != "scores.json":
            with_hashes(folder)
        try:
            _ = load(folder, device="cpu").recipe
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either outcome is right
        assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung))).close()
    assert sprung.exists(), "the trap works"


def test_a_file_that_leads_out_of_the_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    outside = (folder / "recipe.yaml").rename(tmp_path / "recipe.yaml")
    (folder / "recipe.yaml").symlink_to(outside)
    with pytest.raises(ValueError, match=r"got a recipe\.yaml that is a link to a file outside"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("recipe.yaml", "version: 1", "version: 2", "of version 2, and this tripletune reads"),
        ("model.json", '"format": 1', '"format": 2', "a newer version wrote this export; update"),
        ("model.json", '"width": 8', '"width": 7', "must be torch.float32 of shape"),
        ("model.json", '"width": 8', '"width": 8192', "must be torch.float32 of shape"),
        ("model.json", '"width": 8', '"width": 80000000', "must be a plain number or word"),
        ("model.json", '"conv4"', '"../../conv4"', "encoder.name must be one of"),
        ("model.json", '"conv4"', '"timm", "model": "local-dir:/etc"', "plain number or word"),
        ("model.json", '"conv4"', '"resnet18", "weights": "/etc/passwd"', "none in an export"),
        ("preprocess.json", "16", "100000", "image_size must be 1 to 512"),
        ("preprocess.json", "16", "32", "must give what model.json takes"),
        ("calibration.json", '"distance": 0', '"distance": -0', "must be finite and >= 0"),
    ],
)
def test_a_forged_value_is_named(
    name: str, old: str, new: str, message: str, folder: Path
) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=rf"must be an undamaged export, got: .*{message}"):
        load(with_hashes(folder), device="cpu")


def test_weights_of_other_shapes_and_of_no_number_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    sound = load_tensors(path.read_bytes())
    name = "head.weight"
    changes: dict[str, dict[str, torch.Tensor]] = {
        r"head\.weight must be torch\.float32 of shape": {name: sound[name][:, :1].contiguous()},
        r"head\.weight must be torch\.float32": {name: sound[name].double()},
        r"head\.weight must be finite": {name: torch.full_like(sound[name], torch.nan)},
        "the weights hold an unknown extra": {"extra": torch.zeros(1)},
    }
    for message, change in changes.items():
        path.write_bytes(save({**sound, **change}))
        with pytest.raises(ValueError, match=message):
            load(with_hashes(folder), device="cpu")
    path.write_bytes(save({key: one for key, one in sound.items() if key != name}))
    with pytest.raises(ValueError, match=r"the weights lack head\.weight"):
        load(with_hashes(folder), device="cpu")


def test_a_huge_text_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "scores.json").open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(ValueError, match=r"got a scores\.json of 17825792 bytes, more than"):
        load(folder)
    (folder / "scores.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="must be an undamaged export"):
        load(folder)
    (folder / "scores.json").write_text(json.dumps({"files": {"../../etc/passwd": "0"}}))
    with pytest.raises(ValueError, match="must be an undamaged export"):
        load(folder)
