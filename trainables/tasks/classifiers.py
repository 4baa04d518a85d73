"""Classifiers of features, for the stages of a correction.

I items, F features, C classes.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...spaces import Corrector

LAYERS = (256, 64)
LEARNING_RATE = 3e-3
NUM_FOLDS = 3


class Classifier(Protocol):
    """Features to classes."""

    def __call__(self, features: Tensor) -> Tensor:
        """Classes (I,) int64 of features (I, F)."""


def train_mlp(features: Tensor, labels: Tensor, config: Corrector, seed: int) -> Classifier:
    """F-256-64-C with batch norm, on all items a step, AdamW, weighted by class.

    Class weights are I / (C I_c), so that each class counts the same.

    Args:
        features: (I, F).
        labels: (I,) int64, each class at least once.
        config: How many steps.
        seed: Of the weights.
    """
    num_classes = int(labels.max()) + 1
    mean, std = features.mean(0), features.std(0).clamp_min(1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        layers: list[nn.Module] = []
        inputs = features.shape[1]
        for outputs in LAYERS:
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        network = nn.Sequential(*layers, nn.Linear(inputs, num_classes)).to(features.device)
    weights = class_weights(labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, fused=True)
    network.train()
    normalised = (features - mean) / std
    with torch.enable_grad():
        for _ in range(config.classifier_steps):
            loss = cross_entropy(network(normalised), labels, weight=weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    network.eval()

    @torch.no_grad()
    def classify(features: Tensor) -> Tensor:
        scores: Tensor = network((features - mean) / std)
        return scores.argmax(1)

    return classify


def train_svm(features: Tensor, labels: Tensor, config: Corrector, seed: int) -> Classifier:
    """Support vectors with an RBF kernel, weighted by class.

    Raises:
        ValueError: If scikit-learn is not installed.
    """
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
    except ImportError as error:
        raise ValueError(
            "task.classifier must be mlp where scikit-learn is not installed, got svm: "
            "pip install scikit-learn"
        ) from error
    machine = make_pipeline(StandardScaler(), SVC(class_weight="balanced", random_state=seed))
    machine.fit(features.cpu().numpy(), labels.cpu().numpy())

    def classify(features: Tensor) -> Tensor:
        return torch.from_numpy(machine.predict(features.cpu().numpy())).to(features.device)

    return classify


CLASSIFIERS: dict[str, Callable[[Tensor, Tensor, Corrector, int], Classifier]] = {
    "mlp": train_mlp,
    "svm": train_svm,
}


def class_weights(labels: Tensor) -> Tensor:
    """I / (C I_c) for each class, float32, shape (C,)."""
    counts = torch.bincount(labels)
    return len(labels) / (len(counts) * counts.float())


def held_out_predictions(features: Tensor, labels: Tensor, config: Corrector, seed: int) -> Tensor:
    """Class of each item by a classifier that did not see it, (I,) int64.

    The items of each class are dealt to the folds in turns, in an order drawn from the seed.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    fold = np.empty(len(labels), np.int64)
    host = labels.cpu().numpy()
    for label in np.unique(host):
        of_class = order[host[order] == label]
        fold[of_class] = np.arange(len(of_class)) % NUM_FOLDS
    place = torch.from_numpy(fold).to(labels.device)
    predicted = torch.empty_like(labels)
    for number in range(NUM_FOLDS):
        is_out = place == number
        classify = CLASSIFIERS[config.classifier](
            features[~is_out], labels[~is_out], config, seed + number
        )
        predicted[is_out] = classify(features[is_out])
    return predicted
