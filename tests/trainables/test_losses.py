"""The contract of every loss with every miner that fits it.

A new loss joins with a row in `CONFIGS` and its formula, as a loop, in `NAIVE`.
"""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from tripletune.spaces import (
    BatchConfig,
    Contrastive,
    LossConfig,
    MinerConfig,
    MinerName,
    NTXent,
    ObjectiveConfig,
    SigmoidPair,
    SoftNearestNeighbor,
    SoftTriplet,
    SupCon,
    Triplet,
    compatibility,
)
from tripletune.trainables.losses import LOSSES, LossOutput, Objective, build_objective

DIM = 8

CONFIGS: dict[str, tuple[LossConfig, ...]] = {
    "contrastive": (Contrastive(margin=1.3), Contrastive(margin=4.0, unit_norm=False)),
    "triplet": (
        Triplet(),
        Triplet(margin=0.5, distance="squared_euclidean", reduction="all"),
        Triplet(margin=0.5, unit_norm=False),
    ),
    "soft_triplet": (SoftTriplet(), SoftTriplet(distance="squared_euclidean")),
    "supcon": (SupCon(),),
    "nt_xent": (NTXent(),),
    "soft_nearest_neighbor": (SoftNearestNeighbor(),),
    "sigmoid_pair": (SigmoidPair(), SigmoidPair(temperature=0.5, bias=-1.0)),
}


def objective_configs() -> list[ObjectiveConfig]:
    found = []
    for name, configs in CONFIGS.items():
        for loss in configs:
            for miner in compatibility.LOSSES[name].miners:
                try:
                    found.append(ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner)))  # type: ignore[arg-type]  # checked by the record
                except ValueError:
                    continue  # distance_weighted without unit vectors, which the recipe refuses
    return found


def label_of(config: ObjectiveConfig) -> str:
    options = [str(value) for key, value in config.loss if key != "name"]
    return "-".join([config.loss.name, config.miner.name, *options])


every_objective = pytest.mark.parametrize("config", objective_configs(), ids=label_of)

BATCHES: dict[str, tuple[list[int], list[int]]] = {
    # labels, and which image each item is: an image may be twice in a batch
    "random": ([2, 0, 1, 0, 2, 1, 1, 0, 2], list(range(9))),
    "imbalanced": ([0, 0, 0, 0, 0, 1, 1, 2, 2], list(range(9))),
    "singletons among others": ([0, 0, 1, 2, 2, 2, 3], list(range(7))),
    "same image twice": ([0, 0, 0, 1, 1, 1], [0, 0, 1, 2, 3, 3]),
    "single class": ([0, 0, 0, 0], list(range(4))),
    "one image a class": ([0, 1, 2, 3], list(range(4))),
}


def build(config: ObjectiveConfig, labels: list[int]) -> Objective:
    samples = max(2, *(labels.count(label) for label in labels))
    batch = BatchConfig(classes=max(2, len(set(labels))), samples=samples)
    return build_objective(config, batch=batch, embedding_dim=DIM).double()


def random_images(num_images: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_images, DIM, dtype=torch.float64, generator=generator)


def evaluate(objective: Objective, embeddings: Tensor, labels: list[int]) -> LossOutput:
    output: LossOutput = objective(
        embeddings, torch.tensor(labels), torch.Generator().manual_seed(7)
    )
    return output


# The same from the papers, one pair and one triplet at a time.


class Naive:
    """Distances, similarities and mined triplets of a batch, by loops over its items."""

    def __init__(self, config: ObjectiveConfig, embeddings: Tensor, labels: list[int]) -> None:
        self.miner, self.labels, self.size = config.miner.name, labels, len(labels)
        loss = config.loss
        has_unit_norm = getattr(loss, "unit_norm", True)
        self.margin = getattr(loss, "margin", 0.0)
        rows = [e / e.norm() if has_unit_norm else e for e in embeddings]
        is_squared = getattr(loss, "distance", "euclidean") == "squared_euclidean"
        self.s = [[u @ v for v in rows] for u in rows]
        self.d = [[(u - v).norm() for v in rows] for u in rows]
        if is_squared:
            self.d = [[d**2 for d in row] for row in self.d]

    def positives(self, i: int) -> list[int]:
        return [j for j in range(self.size) if self.labels[j] == self.labels[i] and j != i]

    def negatives(self, i: int) -> list[int]:
        return [j for j in range(self.size) if self.labels[j] != self.labels[i]]

    def triplets(self) -> list[tuple[int, int, int]]:
        samples = max(2, *(self.labels.count(label) for label in self.labels))
        uniform = torch.rand(
            self.size, samples - 1, generator=torch.Generator().manual_seed(7)
        ).tolist()
        found = []
        for a in range(self.size):
            d = [float(value.detach()) for value in self.d[a]]
            positives, negatives = self.positives(a), self.negatives(a)
            if not positives or not negatives:
                continue
            if self.miner == "batch_hard":
                hardest = max(positives, key=d.__getitem__), min(negatives, key=d.__getitem__)
                found.append((a, *hardest))
            elif self.miner == "easy_positive_semi_hard":
                p = min(positives, key=d.__getitem__)
                farther = [n for n in negatives if d[n] > d[p]]
                found += [(a, p, min(farther, key=d.__getitem__))] if farther else []
            elif self.miner == "distance_weighted":
                for slot, p in enumerate(positives):
                    n = self.draw([n for n in negatives if d[n] < 1.4], d, uniform[a][slot])
                    found += [] if n is None else [(a, p, n)]
            else:
                in_band = self.miner == "semi_hard"
                found += [
                    (a, p, n)
                    for p in positives
                    for n in negatives
                    if not in_band or 0 < d[n] - d[p] < self.margin
                ]
        return found

    def draw(self, near: list[int], d: list[float], uniform: float) -> int | None:
        bounded = [max(0.5, d[n]) for n in near]
        weights = [x ** (2 - DIM) * (1 - x**2 / 4) ** ((3 - DIM) / 2) for x in bounded]
        rest = uniform * sum(weights)
        for n, weight in zip(near, weights, strict=True):
            rest -= weight
            if rest < 0:
                return n
        return None

    def pairs(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        if self.miner in ("none", "all"):
            items = range(self.size)
            return (
                [(i, j) for i in items for j in self.positives(i)],
                [(i, j) for i in items for j in self.negatives(i)],
            )
        triplets = self.triplets()
        return sorted({(a, p) for a, p, _ in triplets}), sorted({(a, n) for a, _, n in triplets})


Terms = list[Tensor]


def mean(terms: Terms) -> Tensor:
    return torch.stack(terms).mean() if terms else torch.zeros((), dtype=torch.float64)


def naive_contrastive(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    assert isinstance(loss, Contrastive)
    positives, negatives = b.pairs()
    pull = [b.d[i][j] ** 2 / 2 for i, j in positives]
    push = [torch.relu(loss.margin - b.d[i][j]) ** 2 / 2 for i, j in negatives]
    return mean(pull) + mean(push), pull + push


def naive_triplet(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    assert isinstance(loss, Triplet)
    terms = [torch.relu(b.d[a][p] - b.d[a][n] + loss.margin) for a, p, n in b.triplets()]
    active = [term for term in terms if term > 0]
    return mean(active if loss.reduction == "active" else terms), terms


def naive_soft_triplet(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    terms = [torch.log(1 + torch.exp(b.d[a][p] - b.d[a][n])) for a, p, n in b.triplets()]
    return mean(terms), terms


def naive_supcon(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    assert isinstance(loss, SupCon)
    terms = []
    for i in range(b.size):
        e = [torch.exp(s / loss.temperature) for s in b.s[i]]
        total = sum((e[k] for k in range(b.size) if k != i), torch.zeros(()))
        if b.positives(i):
            terms.append(mean([-torch.log(e[p] / total) for p in b.positives(i)]))
    return mean(terms), terms


def naive_nt_xent(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    assert isinstance(loss, NTXent)
    positives, negatives = b.pairs()
    terms = []
    for i, p in positives:
        e = [torch.exp(s / loss.temperature) for s in b.s[i]]
        total = sum((e[n] for j, n in negatives if j == i), e[p])
        terms.append(-torch.log(e[p] / total))
    return mean(terms), terms


def naive_soft_nearest_neighbor(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    assert isinstance(loss, SoftNearestNeighbor)
    terms = []
    for i in range(b.size):
        e = [torch.exp(-(d**2) / loss.temperature) for d in b.d[i]]
        total = sum((e[k] for k in range(b.size) if k != i), torch.zeros(()))
        if b.positives(i):
            near = sum((e[p] for p in b.positives(i)), torch.zeros(()))
            terms.append(-torch.log(near / total))
    return mean(terms), terms


def naive_sigmoid_pair(b: Naive, loss: LossConfig) -> tuple[Tensor, Terms]:
    assert isinstance(loss, SigmoidPair)
    samples = max(2, *(b.labels.count(label) for label in b.labels))
    size = max(2, len(set(b.labels))) * samples
    p = (samples - 1) / (size - 1)
    bias = math.log(p / (1 - p)) if loss.bias == "auto" else loss.bias
    terms = []
    for i in range(b.size):
        for j in b.positives(i) + b.negatives(i):
            z = 1.0 if b.labels[i] == b.labels[j] else -1.0
            terms.append(-torch.log(torch.sigmoid(z * (b.s[i][j] / loss.temperature + bias))))
    return torch.stack(terms).sum() / b.size, terms


NAIVE: dict[str, Callable[[Naive, LossConfig], tuple[Tensor, Terms]]] = {
    "contrastive": naive_contrastive,
    "triplet": naive_triplet,
    "soft_triplet": naive_soft_triplet,
    "supcon": naive_supcon,
    "nt_xent": naive_nt_xent,
    "soft_nearest_neighbor": naive_soft_nearest_neighbor,
    "sigmoid_pair": naive_sigmoid_pair,
}


def assert_equals_the_loop(
    config: ObjectiveConfig, labels: list[int], images: Tensor, which: list[int]
) -> None:
    # The gradient reaches the images: of two equal items, either may be the one a miner takes.
    images = images.requires_grad_()
    output = evaluate(build(config, labels), images[which], labels)
    (gradient,) = torch.autograd.grad(output.value, images)
    naive = Naive(config, images[which], labels)
    value, terms = NAIVE[config.loss.name](naive, config.loss)
    torch.testing.assert_close(output.value, value, atol=1e-6, rtol=1e-6)
    num_clearly_active = sum(float(term.detach()) > 1e-12 for term in terms)
    if config.loss.name in ("contrastive", "triplet"):
        assert int(output.num_active) == num_clearly_active
    else:  # a soft term fades without an end, and the loop rounds the last of it away
        assert num_clearly_active <= int(output.num_active) <= len(terms)
    assert 0.0 <= float(output.active_share) <= 1.0
    if value.requires_grad:
        expected = torch.autograd.grad(value, images, allow_unused=True)[0]
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-6)
    else:
        assert gradient.count_nonzero() == 0


def test_losses_are_those_of_the_compatibility_table_and_of_this_test() -> None:
    assert set(LOSSES) == set(compatibility.LOSSES) == set(CONFIGS) == set(NAIVE)


@every_objective
@pytest.mark.parametrize("batch", BATCHES)
def test_a_loss_equals_the_loop_of_its_paper(config: ObjectiveConfig, batch: str) -> None:
    labels, which = BATCHES[batch]
    assert_equals_the_loop(config, labels, random_images(len(labels)), which)


@every_objective
@settings(deadline=None, max_examples=3)
@given(labels=st.lists(st.integers(0, 2), min_size=2, max_size=7), seed=st.integers(0, 999))
def test_a_loss_equals_the_loop_on_any_batch(
    config: ObjectiveConfig, labels: list[int], seed: int
) -> None:
    which = list(range(len(labels)))
    assert_equals_the_loop(config, labels, random_images(len(labels), seed), which)


@every_objective
def test_gradients_match_finite_differences(config: ObjectiveConfig) -> None:
    labels = [0, 1, 0, 1, 2, 2]
    objective = build(config, labels)

    def value(embeddings: Tensor) -> Tensor:
        return evaluate(objective, embeddings, labels).value

    assert torch.autograd.gradcheck(value, random_images(6).requires_grad_(), fast_mode=True)


@every_objective
def test_the_order_of_the_batch_does_not_matter(config: ObjectiveConfig) -> None:
    if config.miner.name == "distance_weighted":
        pytest.skip("its random numbers belong to places of the batch")
    labels, _ = BATCHES["random"]
    order = [5, 2, 8, 0, 1, 7, 3, 6, 4]
    objective, embeddings = build(config, labels), random_images(9)
    expected = evaluate(objective, embeddings, labels)
    found = evaluate(objective, embeddings[order], [labels[i] for i in order])
    torch.testing.assert_close(found.value, expected.value)
    assert int(found.num_active) == int(expected.num_active)


@every_objective
def test_nothing_active_is_exactly_zero_with_a_graph(config: ObjectiveConfig) -> None:
    if config.loss.name == "sigmoid_pair":
        pytest.skip("every pair is a question, so a term is never invalid nor zero")
    # Two classes of one image, opposite and far apart: no positive, no negative within a margin.
    embeddings = torch.full((2, DIM), 9.0).double() * torch.tensor([[1.0], [-1.0]])
    embeddings.requires_grad_()
    output = evaluate(build(config, [0, 1]), embeddings, [0, 1])
    output.value.backward()
    assert output.value.item() == 0.0
    assert int(output.num_active) == 0
    assert float(output.active_share) == 0.0
    assert embeddings.grad is not None
    assert embeddings.grad.count_nonzero() == 0


EXTREMES: dict[str, Tensor] = {
    "zeros": torch.zeros(6, DIM),
    "one point": torch.ones(6, DIM),
    "huge norms": random_images(6).float() * 1e15,
    "tiny norms": random_images(6).float() * 1e-20,
    "one huge among small": random_images(6).float()
    * torch.tensor([1e10, 1, 1, 1, 1, 1])[:, None],
    "the end of float16": (random_images(6).sign() * 60_000).half(),
    "bfloat16": random_images(6).bfloat16(),
}


@every_objective
@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 3], [0] * 6], ids=str)
def test_values_and_gradients_are_finite_at_the_extremes(
    config: ObjectiveConfig, extreme: str, labels: list[int]
) -> None:
    if "temperature" in type(config.loss).model_fields:
        coldest = config.loss.model_copy(update={"temperature": 0.001})
        config = config.model_copy(update={"loss": coldest})
    embeddings = EXTREMES[extreme].float().clone().requires_grad_()
    # The cast is part of the graph, as it is behind an encoder in half precision.
    output = evaluate(
        build(config, labels).float(), embeddings.to(EXTREMES[extreme].dtype), labels
    )
    output.value.backward()
    assert output.value.isfinite()
    assert embeddings.grad is not None
    if extreme != "the end of float16":  # there the gradient itself may leave float16
        assert embeddings.grad.isfinite().all()


@every_objective
def test_autocast_changes_nothing(config: ObjectiveConfig) -> None:
    labels, _ = BATCHES["random"]
    objective, embeddings = build(config, labels).float(), random_images(9).bfloat16()
    expected = evaluate(objective, embeddings.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        found = evaluate(objective, embeddings, labels)
    assert found.value.dtype == torch.float32
    assert torch.equal(found.value, expected.value)


@every_objective
def test_a_step_is_one_graph_of_fixed_shapes_and_small_tensors(config: ObjectiveConfig) -> None:
    """Traced without values: what looks at one, or has a shape that depends on one, raises."""
    classes, samples, dim = 16, 4, DIM
    size = classes * samples
    objective = build_objective(
        config, batch=BatchConfig(classes=classes, samples=samples), embedding_dim=dim
    )

    def step(embeddings: Tensor, labels: Tensor, uniform: Tensor) -> tuple[Tensor, ...]:
        output: LossOutput = objective.loss(embeddings, labels, uniform)
        (gradient,) = torch.autograd.grad(output.value, embeddings)
        return output.value, output.active_share, output.num_active, gradient

    embeddings = torch.randn(size, dim, requires_grad=True)
    labels = torch.arange(classes).repeat_interleave(samples)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        inputs = [mode.from_tensor(t) for t in (embeddings, labels, torch.rand(size, samples - 1))]
        graph = make_fx(step, tracing_mode="real")(*inputs)
    values = [node.meta.get("val") for node in graph.graph.nodes]
    largest = max(value.numel() for value in values if isinstance(value, Tensor))
    has_triplets = config.miner.name in ("all", "semi_hard") and "triplet" in config.loss.name
    assert largest <= size * size * (samples - 1 if has_triplets else 1)


@pytest.mark.parametrize(
    ("loss", "miner"),
    [(Triplet(), "distance_weighted"), (NTXent(), "easy_positive_semi_hard")],
)
def test_a_loss_compiles_whole(loss: LossConfig, miner: MinerName) -> None:
    labels, _ = BATCHES["random"]
    objective = build(ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner)), labels)
    embeddings, uniform = random_images(9), torch.rand(9, 2)
    compiled = torch.compile(objective.loss, fullgraph=True, backend="eager")
    found: LossOutput = compiled(embeddings, torch.tensor(labels), uniform)
    expected: LossOutput = objective.loss(embeddings, torch.tensor(labels), uniform)
    assert torch.equal(found.value, expected.value)


@every_objective
def test_clusters_by_class_cost_less_than_clusters_across_classes(config: ObjectiveConfig) -> None:
    """A loss of the wrong sign, or fed a distance for a similarity, rewards the opposite."""
    if config.loss.name == "triplet" and config.miner.name != "all":
        pytest.skip("the miner leaves out the very triplets that would cost")
    labels, mixed = [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 2, 0, 1, 2]
    centres = 2.0 * torch.eye(3, DIM, dtype=torch.float64).repeat_interleave(3, 0)
    embeddings = centres + 0.1 * random_images(9)
    objective = build(config, labels)
    assert (
        evaluate(objective, embeddings, labels).value
        < evaluate(objective, embeddings, mixed).value
    )


def test_pulling_a_positive_pair_together_lowers_the_sigmoid_loss() -> None:
    labels = [0, 0, 1, 1]
    objective = build(ObjectiveConfig(loss=SigmoidPair()), labels)
    embeddings = random_images(4).requires_grad_()
    (gradient,) = torch.autograd.grad(evaluate(objective, embeddings, labels).value, embeddings)
    towards_partner = embeddings.detach()[[1, 0, 3, 2]] - embeddings.detach()
    values = []
    for step in (0.0, 0.2, 0.4, 0.6):
        # Positives move towards each other; classes stay where they are on average.
        moved = embeddings.detach() + 0.5 * step * towards_partner
        values.append(float(evaluate(objective, moved, labels).value.detach()))
    assert values == sorted(values, reverse=True)
    assert float((gradient * towards_partner).sum()) < 0.0


def test_the_automatic_bias_is_the_log_odds_of_a_positive_pair() -> None:
    objective = build_objective(
        ObjectiveConfig(loss=SigmoidPair()),
        batch=BatchConfig(classes=32, samples=4),
        embedding_dim=DIM,
    )
    p = 3 / 127
    state = objective.state_dict()
    assert float(state["loss.bias"]) == pytest.approx(math.log(p / (1 - p)))
    assert float(state["loss.log_scale"]) == pytest.approx(math.log(10.0))


def test_the_sigmoid_loss_learns_its_scale_and_bias() -> None:
    labels, _ = BATCHES["random"]
    objective = build(ObjectiveConfig(loss=SigmoidPair()), labels)
    evaluate(objective, random_images(9), labels).value.backward()
    gradients = {name: p.grad for name, p in objective.named_parameters()}
    assert set(gradients) == {"loss.log_scale", "loss.bias"}
    assert all(gradient is not None and gradient != 0.0 for gradient in gradients.values())


def test_active_share_of_semi_hard_counts_all_triplets() -> None:
    labels, _ = BATCHES["random"]
    config = ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="semi_hard"))
    output = evaluate(build(config, labels), random_images(9), labels)
    assert float(output.active_share) == pytest.approx(int(output.num_active) / (9 * 2 * 6))


def test_every_objective_takes_the_same_random_numbers() -> None:
    labels, _ = BATCHES["random"]
    states = []
    for config in objective_configs():
        generator = torch.Generator().manual_seed(3)
        build(config, labels)(random_images(9), torch.tensor(labels), generator)
        states.append(generator.get_state())
    assert all(torch.equal(state, states[0]) for state in states)


@pytest.mark.parametrize(
    ("shape", "num_labels", "message"),
    [
        ((6, 5), 6, "embeddings must have embedding_dim=8 columns, got 5"),
        ((6, 8), 5, r"labels must be of shape \(6,\), one for each embedding, got \(5,\)"),
        ((2, 8), 2, "embeddings must have at least batch.samples=3 rows, got 2"),
    ],
)
def test_a_batch_of_another_shape_is_refused(
    shape: tuple[int, int], num_labels: int, message: str
) -> None:
    objective = build(ObjectiveConfig(loss=SupCon()), [0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match=message):
        objective(torch.zeros(shape), torch.zeros(num_labels).long(), torch.Generator())
