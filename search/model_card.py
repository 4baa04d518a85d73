"""The model card of an export: a page that says what the model is, with two pictures.

I images, D embedding.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spaces import Recipe
from ..trainables import Bundle
from ..trainables.bundle import CARD_FILE, CURVE_FILE, NEAREST_FILE, ONNX_FILE
from ..trainables.calibration import Calibration
from ..trainables.data import Preprocessing, SeriesPreprocessing
from ..trainables.data.series_preprocessing import as_in_files

NUM_QUERIES = 6
NUM_NEAREST = 6
_SHOWN_SIZES = frozenset({1, 5, 10, 20, 50, 100, 1000})

_CARD = """# {loss} on {encoder}, {data}

An encoder that maps images of one class near each other, also of classes that it never saw.
Made by tripletune {version}: {origin}.

## Scores

| what | one-shot accuracy | 95 % interval |
| --- | --- | --- |
{rows}

{caveat}
Hashes of data, split and episodes are in `scores.json`.

![Learning curve](learning_curve.png)

## What it finds alike

Left an image of a validation class, to its right the nearest others, with their distances; green
frames are of the same class, red ones of another.

![Nearest images](nearest.png)

## When it says unknown

{thresholds}

## What was trained

- data: {data}, {size} px, {color}
- encoder: {encoder}, {weights} weights; embeddings of {dim} numbers
- objective: {loss}, miner {miner}
- {steps} steps of {classes} classes x {samples} images; every value is in `recipe.yaml`

## Use

```python
import tripletune

people = tripletune.Recognizer("THIS_FOLDER")
people.enrol("ann", ["ann.jpg"])
print(people.identify(["who.jpg"])[0])
```
{onnx}
## Limits

- It was chosen on classes like those of its data; on others, measure before you rely on it. A
  threshold from these classes is no promise about yours.
- Identifying people touches their rights: ask them, and mind the law where you are.
- `nearest.png` and `probes.safetensors` show a few validation images: think of that before you
  hand this folder on.
"""
_BEST_OF = """The interval is over episodes. The first row chose this model among {count}, so it
flatters: expect less on new classes."""
_ONE_RUN = "The interval is over episodes: it says nothing of another training seed."
_ONNX = "\n`model.onnx` is the same network for other runtimes: uint8 images in, embeddings out.\n"
_THRESHOLDS = """At these Euclidean distances {rate:.1%} of strangers are taken for somebody,
measured on {images} images of {classes} validation classes; other rates are in `calibration.json`.

| images in the gallery | unknown from | enrolled ones named rightly |
| --- | --- | --- |
{rows}"""
_RIGHT, _WRONG = "#1a9850", "#d73027"


def card_files(
    bundle: Bundle, scores: Mapping[str, Any], preprocessing: Preprocessing | SeriesPreprocessing
) -> dict[str, bytes]:
    """`MODEL_CARD.md` and its pictures.

    Args:
        bundle: What is exported.
        scores: The content of `scores.json`.
        preprocessing: Of its images.
    """
    return {
        CARD_FILE: _text(bundle, scores).encode(),
        CURVE_FILE: _learning_curve(scores),
        NEAREST_FILE: _nearest(bundle, preprocessing),
    }


def _text(bundle: Bundle, scores: Mapping[str, Any]) -> str:
    recipe, selection = bundle.recipe, scores["selection"]
    is_best = scores["best_of"] > 1
    rows = [
        _row(f"this model, {scores['protocol']}", selection),
        *_further_scores(scores),
        *(
            _row(f"{name.replace('_', ' ')}, same episodes", one)
            for name, one in scores["baselines"].items()
        ),
    ]
    return _CARD.format(
        loss=recipe.objective.loss.name,
        miner=recipe.objective.miner.name,
        encoder=recipe.encoder.name,
        data=_data_name(recipe),
        origin=f"trial {scores['trial']} of study {scores['study']}"
        if scores.get("study")
        else "one run without a search",
        version=scores["versions"].get("tripletune", ""),
        rows="\n".join(rows),
        caveat=_BEST_OF.format(count=scores["best_of"]) if is_best else _ONE_RUN,
        thresholds=_thresholds(bundle.calibration),
        size=recipe.data.image_size,
        color=recipe.data.color,
        weights=f"{sum(one.numel() for one in bundle.network.encoder.parameters()):,}",
        dim=bundle.embeddings.shape[1],
        steps=scores["steps"],
        classes=recipe.batch.classes,
        samples=recipe.batch.samples,
        onnx=_ONNX if ONNX_FILE in bundle.files else "",
    )


def _row(what: str, score: Mapping[str, Any]) -> str:
    low, high = score["interval"]
    return f"| {what} | {score['one_shot_accuracy']:.4f} | {low:.4f} to {high:.4f} |"


def _further_scores(scores: Mapping[str, Any]) -> list[str]:
    """Rows of scores that came after the selection, where there are any."""
    texts = {"confirmed": "confirmed on fresh episodes", "tested": "tested on test classes"}
    return [
        _row(text, scores[key])
        for key, text in texts.items()
        if isinstance(scores.get(key), Mapping) and scores[key].get("interval")
    ]


def _thresholds(calibration: Calibration) -> str:
    listed = calibration.thresholds[calibration.rate]
    shown = [one for one in listed if one.images in _SHOWN_SIZES or one == listed[-1]]
    rows = [
        f"| {one.images} | {one.distance:.4f} | "
        + ("extrapolated |" if one.identified is None else f"{one.identified:.1%} |")
        for one in shown
    ]
    return _THRESHOLDS.format(
        rate=calibration.rate,
        images=calibration.num_images,
        classes=calibration.num_classes,
        rows="\n".join(rows),
    )


def _data_name(recipe: Recipe) -> str:
    name = recipe.data.name
    path = (recipe.data.path or "").rstrip("/").rpartition("/")[2]
    return path if name == "folder" and path else name


def _learning_curve(scores: Mapping[str, Any]) -> bytes:
    from matplotlib.figure import Figure

    curve: Sequence[Mapping[str, Any]] = scores["curve"]
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    steps = [one["step"] for one in curve]
    accuracies = [one["one_shot_accuracy"] for one in curve]
    axes.plot(steps, accuracies, marker="o", markersize=3, color="#2166ac", label="this model")
    low, high = scores["selection"]["interval"]
    axes.fill_between(steps[-1:] * 2, [low] * 2, [high] * 2, alpha=0.3, color="#2166ac", lw=6)
    for name, one in scores["baselines"].items():
        label = name.replace("_", " ")
        axes.axhline(one["one_shot_accuracy"], ls="--", lw=1, color="#777777", label=label)
    axes.set(xlabel="step", ylabel="one-shot accuracy", xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return _png(figure)


def _nearest(bundle: Bundle, preprocessing: Preprocessing | SeriesPreprocessing) -> bytes:
    from matplotlib.figure import Figure

    queries = _some_queries(bundle.labels)
    gaps = bundle.embeddings[queries][:, None] - bundle.embeddings[None]  # (Q, I, D)
    distances = np.sqrt((gaps.astype(np.float64) ** 2).sum(2))  # (Q, I)
    distances[np.arange(len(queries)), queries] = np.inf
    num = min(NUM_NEAREST, len(bundle.labels) - 1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :num]
    images = as_in_files(bundle.pixels, preprocessing)
    figure = Figure(figsize=(1 + num, len(queries)), layout="constrained")
    grid = figure.subplots(len(queries), 1 + num, squeeze=False)
    for row, query in enumerate(queries):
        for column, index in enumerate((query, *nearest[row])):
            axes = grid[row][column]
            if isinstance(preprocessing, SeriesPreprocessing):
                axes.plot(images[index].T, lw=0.7)
            else:
                axes.imshow(images[index], cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            is_right = bundle.labels[index] == bundle.labels[query]
            for spine in axes.spines.values():
                spine.set_linewidth(0.5 if column == 0 else 2.5)
                spine.set_color("black" if column == 0 else _RIGHT if is_right else _WRONG)
            if column > 0:
                axes.set_title(f"{distances[row, index]:.2f}", fontsize=7, pad=2)
    return _png(figure)


def _some_queries(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first image of a few classes, spread over all."""
    _, firsts = np.unique(labels, return_index=True)
    chosen = np.linspace(0, len(firsts) - 1, min(NUM_QUERIES, len(firsts))).astype(np.int64)
    return firsts[chosen]


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
