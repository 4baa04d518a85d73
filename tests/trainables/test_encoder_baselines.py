"""What an encoder is worth without metric learning."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy import recipe, trial_data

from tripletune.spaces import EvaluationConfig, Recipe
from tripletune.trainables import ImageSet, PreparedData, TrialData, build_encoder, prepare
from tripletune.trainables.embedding import embed
from tripletune.trainables.encoder_baselines import encoder_baselines
from tripletune.trainables.episodes import score_episodes
from tripletune.trainables.tasks.classifier import CrossEntropy, build_classifier


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    """The toy data with their episodes."""
    return prepare(trial_data(), EvaluationConfig(way=5, episodes=200), torch.device("cpu"))


def test_the_classifier_beats_the_untrained_encoder_and_both_say_what_they_cost(
    prepared: PreparedData,
) -> None:
    scores = encoder_baselines(longer(), prepared)
    assert set(scores) == {"untrained", "cross_entropy"}
    untrained, trained = scores["untrained"], scores["cross_entropy"]
    assert 0.2 < untrained["one_shot_accuracy"] < trained["interval"][0]
    assert trained["steps"] == 60
    assert "steps" not in untrained
    assert trained["seconds"] > 0


def longer() -> Recipe:
    return recipe(budget=recipe().budget.model_copy(update={"steps": 60, "report_every": 60}))


def test_the_untrained_encoder_is_the_recipe_s_own_with_random_weights(
    prepared: PreparedData,
) -> None:
    made = recipe()
    encoder = build_encoder(
        made.encoder,
        channels=1,
        image_size=16,
        mean=prepared.mean,
        std=prepared.std,
        seed=made.seed,
    )
    embeddings = embed(encoder, prepared.validation_images, unit_norm=True)
    expected = score_episodes(embeddings, prepared.episodes).mean()
    scores = encoder_baselines(made, prepared)
    assert scores["untrained"]["one_shot_accuracy"] == expected


def test_the_recipe_s_own_loss_and_miner_play_no_part(prepared: PreparedData) -> None:
    other = recipe(
        objective=Recipe.model_validate(
            {"objective": {"loss": {"name": "triplet", "margin": 0.3}}}
        ).objective
    )
    one, two = (encoder_baselines(made, prepared) for made in (recipe(), other))
    for name in one:
        assert one[name]["one_shot_accuracy"] == two[name]["one_shot_accuracy"]


def test_the_loss_is_the_cross_entropy_of_a_linear_layer() -> None:
    loss = CrossEntropy(embedding_dim=6, num_classes=4, seed=0)
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(10, 6, generator=random, requires_grad=True)
    labels = torch.randint(0, 4, (10,), generator=random)
    output = loss(embeddings, labels)
    logits = embeddings.double() @ loss.classifier.weight.double().T + loss.classifier.bias
    expected = (logits.logsumexp(1) - logits[torch.arange(10), labels]).mean()
    assert float(output.value.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert (float(output.active_share), int(output.num_active)) == (1.0, 10)
    same = CrossEntropy(embedding_dim=6, num_classes=4, seed=0)
    assert torch.equal(loss.classifier.weight, same.classifier.weight)


def test_the_classifier_knows_quarter_turns_as_classes_and_its_loss_at_a_collapse(
    prepared: PreparedData,
) -> None:
    made = recipe(batch=recipe().batch.model_copy(update={"rotations_as_classes": True}))
    encoder = torch.nn.Identity()
    task = build_classifier(made, prepared, encoder)  # type: ignore[arg-type]  # not looked at
    assert task.objective.classifier.out_features == 4 * 18
    task.objective.classifier.bias.data.zero_()
    expected = torch.log(torch.tensor(72.0))
    assert task.collapse_value(torch.zeros(16)) == pytest.approx(float(expected))


def rgb_data() -> TrialData:
    """The toy data at 32 pixels, in three channels."""

    def widened(images: ImageSet) -> ImageSet:
        pixels = images.images.repeat(2, axis=2).repeat(2, axis=3).repeat(3, axis=1)
        return replace(images, images=pixels)

    data = trial_data()
    return replace(data, train=widened(data.train), validation=widened(data.validation))


def test_pretrained_features_are_scored_alone(prepared: PreparedData, tmp_path: Path) -> None:
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_file(mobilenet_v3_small(weights=None).state_dict(), path)
    rgb = prepare(rgb_data(), EvaluationConfig(way=5, episodes=50), torch.device("cpu"))
    made = Recipe.model_validate(
        recipe().to_dict()
        | {
            "data": {"image_size": 32, "color": "rgb"},
            "encoder": {
                "name": "torchvision",
                "model": "mobilenet_v3_small",
                "weights": str(path),
                "train": "head",
                "embedding_dim": 8,
            },
            "augment": {"probability": 0.0},
            "evaluation": {"way": 5, "episodes": 50},
        }
    )
    scores = encoder_baselines(made, rgb)
    assert set(scores) == {"untrained", "features", "cross_entropy"}
    assert scores["features"]["one_shot_accuracy"] != scores["untrained"]["one_shot_accuracy"]
