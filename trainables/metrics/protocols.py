"""The protocols that one-shot numbers are published in, as lists of episodes over a set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...spaces import EvaluationConfig
from ..data import ImageSet
from ..episodes import Stream, draw_episodes, score_episodes
from ..evaluation import mean_with_interval

WAYS = (5, 20)
SHOTS = (1, 5)


@dataclass(frozen=True)
class Protocol:
    """N-way K-shot, within a group or across.

    Attributes:
        name: Such as `20-way 1-shot within a group`.
        config: Of its episodes.
    """

    name: str
    config: EvaluationConfig


def protocol_name(config: EvaluationConfig) -> str:
    """How a protocol is called in tables and files."""
    where = "within a group" if config.within == "group" else "over all classes"
    return f"{config.way}-way {config.shot}-shot {where}"


def standard_protocols(evaluation: EvaluationConfig, *, has_groups: bool) -> Iterator[Protocol]:
    """5- and 20-way, 1- and 5-shot, over all classes and, where there are groups, within one.

    The study's own protocol comes first. Number of episodes, queries and seed are the study's.
    """
    places = ("group", "any") if has_groups else ("any",)
    configs = [evaluation]
    for within in places:
        for way in WAYS:
            for shot in SHOTS:
                changes = {"way": way, "shot": shot, "within": within}
                configs.append(evaluation.model_copy(update=changes))
    for config in dict.fromkeys(configs):
        yield Protocol(protocol_name(config), config)


def score_protocols(
    embeddings: Tensor, data: ImageSet, evaluation: EvaluationConfig, stream: Stream
) -> dict[str, dict[str, Any]]:
    """One-shot accuracy of an encoder in every standard protocol.

    Args:
        embeddings: Of all images of the set, as the encoder is used, shape (I, D).
        data: The set.
        evaluation: The study's own protocol.
        stream: What the lists are for.

    Returns:
        By name: `one_shot_accuracy`, `interval` (over episodes), `chance`, `episodes_hash`; or
        `skipped` with the reason where the set cannot hold the episodes.
    """
    scores: dict[str, dict[str, Any]] = {}
    for protocol in standard_protocols(evaluation, has_groups=len(data.groups) > 1):
        try:
            episodes = draw_episodes(data, protocol.config, stream=stream)
        except ValueError:
            scores[protocol.name] = {"skipped": _reason(data, protocol.config)}
            continue
        score = mean_with_interval(score_episodes(embeddings, episodes))
        scores[protocol.name] = {
            "one_shot_accuracy": score.one_shot_accuracy,
            "interval": [score.low, score.high],
            "chance": 1.0 / protocol.config.way,
            "episodes_hash": episodes.digest,
        }
    return scores


def _reason(data: ImageSet, config: EvaluationConfig) -> str:
    needed = config.shot + config.queries
    where = (
        "no group has" if config.within == "group" and len(data.groups) > 1 else "there are not"
    )
    return f"{where} {config.way} classes of {needed} images"
