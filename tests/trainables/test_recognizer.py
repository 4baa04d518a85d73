"""The recognizer: enrolled names come back, strangers do not, and the gallery outlives it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import image_set
from toy_export import trained, write_export

import tripletune
from tripletune.trainables import Recognizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(trained(steps=60), tmp_path_factory.mktemp("export") / "model")


def pictures() -> list[list[Image.Image]]:
    """Five images of each of 18 classes that no trial saw, with little noise."""
    data = image_set(seed=7, noise=8.0)
    return [
        [Image.fromarray(image[0]) for image in data.images[start : start + 5]]
        for start in data.class_starts[:-1]
    ]


def shares(
    recognizer: Recognizer, classes: Sequence[Sequence[Image.Image]]
) -> tuple[float, float]:
    """Share of the images of enrolled classes that are named rightly, and of others taken in."""
    right, passed = [], []
    for number, images in enumerate(classes):
        answers = recognizer.identify(images[1:])
        if str(number) in recognizer.names:
            right += [answer.name == str(number) for answer in answers]
        else:
            passed += [answer.is_known for answer in answers]
    return float(np.mean(right)), float(np.mean(passed))


def test_enrolled_classes_are_named_and_strangers_mostly_are_not(model: Path) -> None:
    recognizer = tripletune.Recognizer(model)
    classes = pictures()
    for number, images in enumerate(classes[:9]):
        recognizer.enrol(str(number), images[:1])
    right, passed = shares(recognizer, classes)
    assert right > 0.5
    assert passed < 0.2
    strict = Recognizer(model, threshold=0.0)
    generous = Recognizer(model, threshold=10.0)
    strict.gallery = generous.gallery = recognizer.gallery
    assert shares(strict, classes) == (0.0, 0.0)
    assert shares(generous, classes)[1] == 1.0


def test_an_answer_says_who_how_far_and_who_else(model: Path) -> None:
    recognizer = Recognizer(model)
    ann, ben, *_ = pictures()
    recognizer.enrol("ann", ann[:2])
    recognizer.enrol("ben", ben[:1])
    (answer,) = recognizer.identify(ann[:1])
    assert (answer.name, answer.nearest, answer.runner_up) == ("ann", "ann", "ben")
    assert answer.distance == pytest.approx(0.0, abs=1e-5)
    assert answer.runner_up_distance is not None
    assert answer.runner_up_distance > 0.0
    assert answer.threshold == recognizer.threshold
    assert (str(answer), answer.is_known) == ("ann", True)
    recognizer.forget("ann")
    assert recognizer.names == ("ben",)
    with pytest.raises(KeyError):
        recognizer.forget("ann")


def test_the_threshold_falls_as_the_gallery_grows(model: Path) -> None:
    recognizer = Recognizer(model)
    thresholds = []
    for number, images in enumerate(pictures()):
        recognizer.enrol(str(number), images[:1])
        thresholds.append(recognizer.threshold)
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1]


def test_an_unreadable_image_enrols_nobody(model: Path, tmp_path: Path) -> None:
    recognizer = Recognizer(model)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png: cannot identify image file"):
        recognizer.enrol("ann", [pictures()[0][0], tmp_path / "text.png"])
    assert recognizer.names == ()
    with pytest.raises(ValueError, match="must hold somebody, got nobody"):
        recognizer.identify(pictures()[0])


def test_a_saved_recognizer_answers_as_before(model: Path, tmp_path: Path) -> None:
    recognizer = Recognizer(model)
    for number, images in enumerate(pictures()[:5]):
        recognizer.enrol(str(number), images[:2])
    recognizer.save(tmp_path / "people")
    loaded = Recognizer.load(tmp_path / "people", model)
    asked = [image for images in pictures() for image in images]
    assert loaded.identify(asked) == recognizer.identify(asked)


def test_a_gallery_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    other = Recognizer(write_export(trained(steps=2), tmp_path / "other"))
    other.enrol("ann", pictures()[0])
    other.save(tmp_path / "people")
    with pytest.raises(ValueError, match=r"gallery must be of model .*enrol its images with this"):
        Recognizer.load(tmp_path / "people", model)


def test_thresholds_that_make_no_sense_are_refused(model: Path) -> None:
    with pytest.raises(ValueError, match="threshold must be >= 0, got -1"):
        Recognizer(model, threshold=-1.0)
    with pytest.raises(ValueError, match=r"rate must be one of .*0\.1.*, got 0\.07; export again"):
        Recognizer(model, false_accept_rate=0.07)
    with pytest.raises(ValueError, match="threshold must not be given together"):
        Recognizer(model, threshold=0.5, false_accept_rate=0.1)


def test_embeddings_that_were_read_before_can_be_enrolled(model: Path) -> None:
    recognizer, direct = Recognizer(model), Recognizer(model)
    images = pictures()[0]
    recognizer.enrol_embeddings("ann", recognizer.model.embed(images))
    direct.enrol("ann", images)
    np.testing.assert_array_equal(recognizer.gallery.embeddings, direct.gallery.embeddings)
    with pytest.raises(ValueError, match=r"embeddings must be finite, of shape \(K, 16\)"):
        recognizer.enrol_embeddings("ann", np.zeros((1, 3), np.float32))
