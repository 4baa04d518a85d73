"""What `evaluate` prints: every measure of a model as lines of 80 columns."""

from collections.abc import Iterator, Mapping
from typing import Any

NAME = 36
"""Columns of a name."""

WORST = 5
"""Classes that are named."""


def evaluation_lines(found: Mapping[str, Any]) -> list[str]:
    """The measures of `evaluate_embeddings` as lines."""
    return [
        *_protocols(found["protocols"]),
        "",
        *_retrieval(found["retrieval"]),
        "",
        *_open_world(found["open_world"]),
        "",
        *_classes(found["per_class"]),
        *_pairs(found["worst_pairs"]),
    ]


def _line(name: str, score: Mapping[str, Any], mean: str = "mean") -> str:
    interval = score["interval"]
    shown = f"{score[mean]:.3f}"
    if interval is not None:
        shown += f"  [{interval[0]:.3f}, {interval[1]:.3f}]"
    return f"{name:<{NAME}} {shown}"


def _protocols(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "one-shot accuracy, interval over episodes"
    for name, score in scores.items():
        if "skipped" in score:
            yield f"  {name:<{NAME - 2}} -      {score['skipped']}"
        else:
            yield _line(f"  {name}", score, "one_shot_accuracy")


def _retrieval(scores: Mapping[str, Any]) -> Iterator[str]:
    yield f"retrieval of {scores['num_queries']} images, interval over classes"
    for name, score in scores.items():
        if name != "num_queries":
            yield _line(f"  {name.replace('_', ' ')}", score)


def _open_world(scores: Mapping[str, Any]) -> Iterator[str]:
    for name, score in scores.items():
        if score is None:
            yield f"open world, {name}: too few classes with images to enrol and to ask about"
            continue
        classes = f"{score['classes_in_gallery']:g} classes in the gallery"
        yield f"open world, {name}, {classes}, interval over classes"
        for part in ("top_1", "top_3", "top_3_images"):
            yield _line(f"  {part.replace('_', ' ')}", score[part])
        unknown = score["unknown"]
        yield _line("  known or unknown, AUROC", unknown["auroc"])
        yield (
            f"  {'accuracy with unknown':<{NAME - 2}} {unknown['accuracy']:.3f}  recognised "
            f"{unknown['recognised']:.3f}, refused {unknown['refused']:.3f}"
        )


def _classes(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    worst = sorted(scores.items(), key=lambda one: (one[1]["accuracy"], one[0]))[:WORST]
    yield f"the hardest of {len(scores)} classes"
    for name, score in worst:
        yield f"  {name:<{NAME - 2}} {score['accuracy']:.3f}  of {score['queries']} queries"


def _pairs(pairs: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "taken for each other most" if pairs else "no class is taken for another"
    for pair in pairs[:WORST]:
        one, other = pair["classes"]
        yield f"  {one} / {other}"
        yield f"  {'':<{NAME - 2}} {pair['confused']:.3f}  of {pair['queries']} queries"
