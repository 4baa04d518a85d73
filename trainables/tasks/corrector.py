"""Correction of the features on which a classifier errs.

I items, B batch, A misclassified items of it, F features, C classes, E = I validation items.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...spaces import Autoencoder, BatchConfig, Corrector, Recipe
from ..embedding import to_float
from ..encoders import Encoder
from ..encoders.autoencoder import Decoder, Trunk, reconstruction_loss
from ..features import backbone_key, embed_features, shared_features
from ..items import EMPTY, Items
from ..losses import LossOutput, build_objective
from ..prepared import PreparedData
from ..sampler import Batch, BatchSampler
from .classifiers import CLASSIFIERS, Classifier, class_weights, held_out_predictions
from .task import Network

PRETRAINING_BATCH = 128
PRETRAINING_RATE = 1e-3


class CorrectionSampler:
    """A third of a batch are misclassified items, the rest correct ones, each class as often.

    Attributes:
        num_classes: Of the data.
    """

    def __init__(self, is_correct: np.ndarray, labels: np.ndarray, size: int, seed: int) -> None:
        """Divide the items.

        Args:
            is_correct: (I,) bool, whether the classifier is right.
            labels: (I,) int64.
            size: B.
            seed: Of the trial.

        Raises:
            ValueError: If nothing is misclassified, or of a class nothing is correct.
        """
        self.num_classes = int(labels.max()) + 1
        self._wrong = np.flatnonzero(~is_correct)
        self._right = [
            np.flatnonzero(is_correct & (labels == label)) for label in range(self.num_classes)
        ]
        if not len(self._wrong):
            raise ValueError("the classifier must err on a training item, got no error to correct")
        if min(map(len, self._right)) == 0:
            label = min(range(self.num_classes), key=lambda label: len(self._right[label]))
            raise ValueError(
                f"the classifier must be right on an item of each class, got none of class {label}"
            )
        self._labels = labels
        self.num_anchors = size // 3
        self._each = max(1, (size - self.num_anchors) // self.num_classes)
        self._seed = seed

    def draw(self, step: int) -> Batch:
        """The batch of a step: misclassified items first, then correct ones, class by class."""
        random = np.random.default_rng((self._seed, step))
        wrong = random.choice(self._wrong, self.num_anchors)
        right = [random.choice(items, self._each) for items in self._right]
        chosen = torch.from_numpy(np.concatenate([wrong, *right]))
        labels = torch.from_numpy(self._labels)[chosen]
        return Batch(images=chosen, quarter_turns=torch.zeros_like(chosen), labels=labels)


class CorrectorTask:
    """Trains the encoder's head on its frozen features; judged by what a classifier gains."""

    def __init__(self, recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> None:
        """Train autoencoder and classifier, where an earlier trial has not done it already.

        Args:
            recipe: The trial's.
            prepared: Its data, split by item.
            encoder: Its backbone is trained here, if it is an autoencoder's.

        Raises:
            ValueError: If there is nothing to correct.
        """
        assert isinstance(recipe.task, Corrector), "the registry goes by its name"
        self._config, self._seed = recipe.task, recipe.seed
        data, device = prepared.data, prepared.device
        if isinstance(recipe.encoder, Autoencoder):
            train_autoencoder(recipe, prepared, encoder)
        self._features = shared_features(recipe.encoder, recipe.seed, encoder, prepared)
        self._labels = torch.from_numpy(data.train.labels).to(device)
        self._truth = torch.from_numpy(data.validation.labels).to(device)
        self._classify = self._trained(self._features.train)
        self._before = self._classify(self._features.validation)
        self._predicted: dict[str, Tensor] = {}
        self._is_paired = self._config.pairs == "misclassified"
        self.sampler = (
            CorrectionSampler(
                self._is_right().cpu().numpy(), data.train.labels, recipe.batch.size, recipe.seed
            )
            if self._is_paired
            else BatchSampler(recipe.batch, data.train, recipe.seed)
        )
        num_classes = data.train.num_classes
        per_class = max(2, recipe.batch.size // num_classes)
        self.objective = build_objective(
            recipe.objective,
            batch=BatchConfig(classes=num_classes, samples=per_class)
            if self._is_paired
            else recipe.batch,
            embedding_dim=recipe.encoder.embedding_dim,
            num_classes=num_classes,
            seed=recipe.seed,
        )

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """Never asked for: the backbone has seen every image already."""
        return to_float(items)

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """The recipe's loss: each misclassified item against the correct ones, or all pairs."""
        embeddings = network.embeddings(inputs).float()
        if not self._is_paired:
            output: LossOutput = self.objective(embeddings, labels, generator)
            return output
        assert isinstance(self.sampler, CorrectionSampler)
        paired: LossOutput = self.objective.loss(
            correction_items(
                embeddings,
                labels,
                self.sampler.num_anchors,
                num_slots=self.objective.setting.max_positives,
                generator=generator,
            )
        )
        return paired

    def set_progress(self, share: float) -> None:
        """Move miner and margin along their schedule."""
        self.objective.set_progress(share)

    def collapse_value(self, point: Tensor) -> float:
        """See `Objective.collapse_value`."""
        return self.objective.collapse_value(point)

    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """What each validation item adds to the gain in balanced accuracy, (E,).

        An item counts I / (C I_c): their mean is the mean over classes.
        """
        self._predicted = self._predictions(encoder)
        is_right = self._predicted[self._config.judged] == self._truth
        gained = is_right.float() - (self._before == self._truth).float()
        return (class_weights(self._truth)[self._truth] * gained).cpu().numpy()

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """Balanced accuracy before, after (where the sizes agree) and retrained, and macro F1."""
        found = {"before": self._before, **self._predicted}
        return {
            f"{name}_{stage}": score(self._truth, predicted)
            for stage, predicted in found.items()
            for name, score in (("balanced_accuracy", balanced_accuracy), ("f1", macro_f1))
        }

    def _predictions(self, encoder: Encoder) -> dict[str, Tensor]:
        """Class of each validation item once it is corrected, by stage."""
        train = embed_features(encoder, self._features.train).clone()
        validation = embed_features(encoder, self._features.validation).clone()
        found = {"retrained": self._trained(train)(validation)}
        if validation.shape == self._features.validation.shape:
            found["after"] = self._classify(validation)
        return found

    def _is_right(self) -> Tensor:
        """Whether each training item is classified rightly, (I,)."""
        features, config = self._features.train, self._config
        predicted = (
            held_out_predictions(features, self._labels, config, self._seed)
            if config.errors == "held_out"
            else self._classify(features)
        )
        return predicted == self._labels

    def _trained(self, features: Tensor) -> Classifier:
        return CLASSIFIERS[self._config.classifier](
            features, self._labels, self._config, self._seed
        )


def correction_items(
    embeddings: Tensor,
    labels: Tensor,
    num_anchors: int,
    *,
    num_slots: int,
    generator: torch.Generator,
) -> Items:
    """Misclassified items as anchors, correct ones as what they are compared with.

    Args:
        embeddings: (B, F), the misclassified first.
        labels: (B,).
        num_anchors: A, how many are misclassified.
        num_slots: S, the most positives that an anchor can have.
        generator: Of the miner's draws.
    """
    empty = torch.full_like(labels[:num_anchors], EMPTY)
    uniform = torch.rand(num_anchors, num_slots + 1, generator=generator, device=embeddings.device)
    return Items(
        anchors=embeddings[:num_anchors],
        labels=labels[:num_anchors],
        references=embeddings,
        reference_labels=torch.cat([empty, labels[num_anchors:]]),
        uniform=uniform,
    )


def train_autoencoder(recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> None:
    """Train the backbone to reconstruct the training images; once a process and recipe.

    Its weights are then those of every trial with the same encoder and seed.
    """
    config, trunk = recipe.encoder, encoder.backbone
    assert isinstance(config, Autoencoder)
    assert isinstance(trunk, Trunk)
    key = backbone_key(config, recipe.seed)
    kept = prepared.features.weights.get(key)
    if kept is not None:
        trunk.load_state_dict(kept)
        return
    images, device = prepared.train_images, prepared.device
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        decoder = Decoder(trunk, config, images.shape[1]).to(device)
    trunk.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [*trunk.parameters(), *decoder.parameters()], lr=PRETRAINING_RATE, fused=True
    )
    generator = torch.Generator(device).manual_seed(recipe.seed)
    size = min(PRETRAINING_BATCH, len(images))
    trunk.train()
    for step in range(config.pretraining_steps):
        chosen = np.random.default_rng((recipe.seed, step)).permutation(len(images))[:size]
        batch = to_float(images[torch.from_numpy(chosen)].to(device))
        normalised = (batch - encoder.mean) / encoder.std
        loss = reconstruction_loss(trunk, decoder, normalised, batch, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    trunk.requires_grad_(False).eval()
    prepared.features.weights[key] = {
        name: value.clone() for name, value in trunk.state_dict().items()
    }


def balanced_accuracy(truth: Tensor, predicted: Tensor) -> float:
    """Mean over classes of the share of their items that are classified rightly."""
    counts = torch.bincount(truth).float()
    right = torch.bincount(truth[predicted == truth], minlength=len(counts)).float()
    return float((right / counts)[counts > 0].mean())


def macro_f1(truth: Tensor, predicted: Tensor) -> float:
    """Mean over classes of 2 TP / (2 TP + FP + FN)."""
    num_classes = int(torch.maximum(truth.max(), predicted.max())) + 1
    right = torch.bincount(truth[predicted == truth], minlength=num_classes).float()
    both = torch.bincount(truth, minlength=num_classes) + torch.bincount(
        predicted, minlength=num_classes
    )
    return float((2 * right / both)[both > 0].mean())
