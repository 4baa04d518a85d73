"""The contract of every loss with every miner that fits it.

A new loss joins with a row in `CONFIGS` and its formula, as a loop, in `naive_losses.NAIVE`.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_losses import NAIVE, Naive, variance
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from tripletune.spaces import (
    NCA,
    Angular,
    ArcFace,
    BatchConfig,
    Circle,
    Contrastive,
    CosFace,
    InfoNCE,
    LiftedStructure,
    LinearContrastive,
    LossConfig,
    MarginLoss,
    MemoryConfig,
    MinerConfig,
    MixedContrastive,
    MultiSimilarity,
    NormalizedSoftmax,
    NPair,
    NTXent,
    ObjectiveConfig,
    Prototypical,
    ProxyAnchor,
    ProxyNCA,
    RankedList,
    SigmoidPair,
    SmoothAP,
    SoftNearestNeighbor,
    SoftTriplet,
    SquaredContrastive,
    SupCon,
    Triplet,
    TripletSwap,
    TwoMarginContrastive,
    VarianceConfig,
    compatibility,
)
from tripletune.trainables.items import Items
from tripletune.trainables.losses import LOSSES, LossOutput, Objective, build_objective

DIM = 8
NUM_CLASSES = 5

CONFIGS: dict[str, tuple[LossConfig, ...]] = {
    "contrastive": (
        Contrastive(margin=1.3),
        Contrastive(margin=4.0, unit_norm=False, reduction="active"),
    ),
    "squared_contrastive": (
        SquaredContrastive(margin=1.3, reduction="active"),
        SquaredContrastive(margin=4.0, unit_norm=False),
    ),
    "mixed_contrastive": (
        MixedContrastive(margin=1.3),
        MixedContrastive(margin=4.0, unit_norm=False, reduction="active"),
    ),
    "linear_contrastive": (
        LinearContrastive(margin=1.3),
        LinearContrastive(margin=2.0, distance="squared_euclidean", reduction="active"),
        LinearContrastive(margin=0.9, distance="cosine"),
        LinearContrastive(margin=9.0, distance="squared_euclidean", unit_norm=False),
    ),
    "two_margin_contrastive": (
        TwoMarginContrastive(margin=1.3, positive_margin=0.9),
        TwoMarginContrastive(
            margin=0.9, positive_margin=0.5, distance="cosine", reduction="active"
        ),
        TwoMarginContrastive(
            margin=12.0, positive_margin=6.0, distance="squared_euclidean", unit_norm=False
        ),
    ),
    "triplet": (
        Triplet(),
        Triplet(margin=0.5, distance="squared_euclidean", reduction="all"),
        Triplet(margin=0.5, unit_norm=False),
        Triplet(margin=0.3, distance="cosine"),
        Triplet(margin=2.0, distance="dot", unit_norm=False),
        Triplet(margin=0.3, distance="dot", reduction="all"),
    ),
    "triplet_swap": (
        TripletSwap(),
        TripletSwap(margin=0.3, distance="cosine", reduction="all"),
        TripletSwap(margin=2.0, distance="dot", unit_norm=False),
        TripletSwap(margin=2.0, distance="squared_euclidean", unit_norm=False),
    ),
    "soft_triplet": (
        SoftTriplet(),
        SoftTriplet(distance="squared_euclidean"),
        SoftTriplet(distance="dot"),
    ),
    "margin": (
        MarginLoss(learn_beta="no"),
        MarginLoss(margin=0.3, beta=1.0, beta_penalty=0.05),
        MarginLoss(learn_beta="class", beta_penalty=0.05),
        MarginLoss(margin=0.4, beta=2.0, distance="squared_euclidean", learn_beta="class"),
        MarginLoss(margin=0.3, beta=0.8, distance="cosine"),
        MarginLoss(margin=1.0, beta=4.0, unit_norm=False, beta_penalty=0.02),
    ),
    "angular": (Angular(), Angular(angle=55.0)),
    "supcon": (SupCon(), SupCon(temperature=0.5)),
    "nt_xent": (NTXent(), NTXent(temperature=0.5)),
    "info_nce": (InfoNCE(), InfoNCE(temperature=0.2, unit_norm=True)),
    "n_pair": (NPair(), NPair(norm_penalty=0.0)),
    "soft_nearest_neighbor": (SoftNearestNeighbor(), SoftNearestNeighbor(temperature=1.0)),
    "nca": (NCA(),),
    "prototypical": (Prototypical(), Prototypical(shots=2)),
    "sigmoid_pair": (SigmoidPair(), SigmoidPair(temperature=0.5, bias=-1.0)),
    "smooth_ap": (
        SmoothAP(),
        SmoothAP(temperature=0.1, count_query=True),
        SmoothAP(temperature=0.1),
    ),
    "multi_similarity": (
        MultiSimilarity(),
        MultiSimilarity(alpha=5.0, beta=20.0, threshold=-0.1),
    ),
    "circle": (Circle(), Circle(relaxation=0.25, scale=16.0)),
    "lifted_structure": (LiftedStructure(), LiftedStructure(margin=3.0, unit_norm=False)),
    "ranked_list": (
        RankedList(),
        RankedList(negative_temperature=0.0, negative_share=0.3),
        RankedList(
            boundary=4.0,
            margin=1.0,
            positive_temperature=3.0,
            negative_temperature=2.0,
            unit_norm=False,
        ),
    ),
    "proxy_nca": (ProxyNCA(), ProxyNCA(temperature=1.0)),
    "proxy_anchor": (ProxyAnchor(), ProxyAnchor(margin=0.0, scale=5.0)),
    "normalized_softmax": (NormalizedSoftmax(), NormalizedSoftmax(temperature=0.5)),
    "cosface": (CosFace(), CosFace(margin=0.0, scale=5.0)),
    "arcface": (ArcFace(), ArcFace(margin=80.0, scale=5.0)),
}

DRAWS_BY_PLACE = {
    "distance_weighted",
    "semi_hard_random",
    "semi_hard_random_or_any",
    "random",
    "random_positive_hard",
    "random_positive_semi_hard",
    "mixed",
}
"""Miners that draw the k-th candidate in the order of the batch."""

HINGES = {
    "contrastive",
    "squared_contrastive",
    "mixed_contrastive",
    "linear_contrastive",
    "two_margin_contrastive",
    "triplet",
    "triplet_swap",
    "margin",
    "lifted_structure",
    "ranked_list",
}
"""Losses whose terms are 0 from a margin on; the terms of the others fade without an end."""


def objective_configs() -> list[ObjectiveConfig]:
    """Every setting of every loss with every miner that the recipe allows it."""
    found = []
    for name, configs in CONFIGS.items():
        for loss in configs:
            for miner in compatibility.LOSSES[name].miners:
                try:
                    found.append(ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner)))  # type: ignore[arg-type]  # checked by the record
                except ValueError:
                    continue  # distance_weighted without unit vectors, which the recipe refuses
    return found


def each_once() -> list[ObjectiveConfig]:
    """Every loss with every miner, and every setting, but not every setting with every miner."""
    found: dict[object, ObjectiveConfig] = {}
    for config in objective_configs():
        if config.loss not in found or (config.loss.name, config.miner.name) not in found:
            found.setdefault(config.loss, config)
            found[config.loss.name, config.miner.name] = config
    return list({label_of(config): config for config in found.values()}.values())


def label_of(config: ObjectiveConfig) -> str:
    options = [str(value) for key, value in config.loss if key != "name"]
    return "-".join([config.loss.name, config.miner.name, *options])


every_objective = pytest.mark.parametrize("config", objective_configs(), ids=label_of)
every_pairing = pytest.mark.parametrize("config", each_once(), ids=label_of)

BATCHES: dict[str, tuple[list[int], list[int]]] = {
    # labels, and which image each item is: an image may be twice in a batch
    "random": ([2, 0, 1, 0, 2, 1, 1, 0, 2], list(range(9))),
    "imbalanced": ([0, 0, 0, 0, 0, 1, 1, 2, 2], list(range(9))),
    "singletons among others": ([0, 0, 1, 2, 2, 2, 3], list(range(7))),
    "same image twice": ([0, 0, 0, 1, 1, 1], [0, 0, 1, 2, 3, 3]),
    "single class": ([0, 0, 0, 0], list(range(4))),
    "one image a class": ([0, 1, 2, 3], list(range(4))),
}


def samples_of(config: ObjectiveConfig, labels: list[int]) -> int:
    """K, so that the batch is one of the recipe's."""
    shots = getattr(config.loss, "shots", 1)
    return max(2, shots + 1, *(labels.count(label) for label in labels))


def build(config: ObjectiveConfig, labels: list[int]) -> Objective:
    batch = BatchConfig(classes=max(2, len(set(labels))), samples=samples_of(config, labels))
    return build_objective(
        config, batch=batch, embedding_dim=DIM, num_classes=NUM_CLASSES
    ).double()


def random_images(num_images: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_images, DIM, dtype=torch.float64, generator=generator)


def evaluate(objective: Objective, embeddings: Tensor, labels: list[int]) -> LossOutput:
    output: LossOutput = objective(
        embeddings, torch.tensor(labels), torch.Generator().manual_seed(7)
    )
    return output


def same_draws(num_items: int, num_numbers: int) -> Tensor:
    """The random numbers of `evaluate`: one a slot of an anchor, and one an anchor."""
    return torch.rand(num_items, num_numbers, generator=torch.Generator().manual_seed(7))


def state_of(objective: Objective) -> dict[str, Tensor]:
    """What the loss learns, live, and what it would learn if the recipe let it."""
    return dict(objective.loss.named_buffers()) | dict(objective.loss.named_parameters())


def assert_same_gradients(value: Tensor, expected: Tensor, leaves: list[Tensor]) -> None:
    found = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
    if not expected.requires_grad:
        assert all(gradient.count_nonzero() == 0 for gradient in found)
        return
    wanted = torch.autograd.grad(expected, leaves, allow_unused=True, materialize_grads=True)
    for gradient, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-8, rtol=1e-6)


def assert_equals_the_loop(
    config: ObjectiveConfig, labels: list[int], images: Tensor, which: list[int]
) -> None:
    # The gradient reaches the images: of two equal items, either may be the one a miner takes.
    images = images.requires_grad_()
    objective = build(config, labels)
    output = evaluate(objective, images[which], labels)
    draws = same_draws(len(labels), samples_of(config, labels))
    naive = Naive(config, images[which], labels, draws.tolist())
    value, terms = NAIVE[config.loss.name](naive, config.loss, state_of(objective))
    torch.testing.assert_close(output.value, value, atol=1e-8, rtol=1e-7)
    assert_same_gradients(output.value, value, [images, *objective.parameters()])
    num_clearly_active = sum(float(term.detach()) > 1e-12 for term in terms)
    # 1 - s of the same image twice is 0 up to rounding, on either side of it.
    is_blurred = naive.distance == "cosine" and len(set(which)) < len(which)
    if config.loss.name in HINGES and not is_blurred:
        assert int(output.num_active) == num_clearly_active
    else:
        assert num_clearly_active <= int(output.num_active) <= len(terms)
    assert 0.0 <= float(output.active_share) <= 1.0


def test_losses_are_those_of_the_compatibility_table_and_of_this_test() -> None:
    assert set(LOSSES) == set(compatibility.LOSSES) == set(CONFIGS) == set(NAIVE)


def test_each_loss_meets_each_of_its_miners_here() -> None:
    met = {(config.loss.name, config.miner.name) for config in each_once()}
    assert met == {
        (name, miner) for name, facts in compatibility.LOSSES.items() for miner in facts.miners
    }


@every_objective
@pytest.mark.parametrize("batch", BATCHES)
def test_a_loss_equals_the_loop_of_its_paper(config: ObjectiveConfig, batch: str) -> None:
    labels, which = BATCHES[batch]
    assert_equals_the_loop(config, labels, random_images(len(labels)), which)


@every_pairing
@settings(deadline=None, max_examples=3)
@given(labels=st.lists(st.integers(0, 2), min_size=3, max_size=7), seed=st.integers(0, 999))
def test_a_loss_equals_the_loop_on_any_batch(
    config: ObjectiveConfig, labels: list[int], seed: int
) -> None:
    which = list(range(len(labels)))
    assert_equals_the_loop(config, labels, random_images(len(labels), seed), which)


MEMORY_LABELS = [1, 0, 2, 2, 3]


@pytest.mark.parametrize(
    "config",
    [
        config
        for config in each_once()
        if compatibility.LOSSES[config.loss.name].takes_memory and config.miner.name != "mixed"
    ],
    ids=label_of,
)
@pytest.mark.parametrize("labels", [[2, 0, 1, 0, 2, 1], [0, 0, 0, 0, 0, 1]], ids=str)
def test_a_loss_compares_with_a_memory_as_the_loop_does(
    config: ObjectiveConfig, labels: list[int]
) -> None:
    """The batch before, of five, in a memory of eight: three places are empty."""
    config = config.model_copy(update={"memory": MemoryConfig(size=8)})
    images, before = random_images(len(labels)).requires_grad_(), random_images(5, seed=1)
    batch = BatchConfig(classes=4, samples=5)
    objective = build_objective(
        config, batch=batch, embedding_dim=DIM, num_classes=NUM_CLASSES
    ).double()
    evaluate(objective, before, MEMORY_LABELS)
    output = evaluate(objective, images, labels)
    num_slots = batch.samples - 1 + batch.samples
    naive = Naive(
        config,
        images,
        labels,
        same_draws(len(labels), num_slots + 1).tolist(),
        memory=before,
        memory_labels=MEMORY_LABELS,
    )
    value, _ = NAIVE[config.loss.name](naive, config.loss, state_of(objective))
    torch.testing.assert_close(output.value, value, atol=1e-8, rtol=1e-7)
    assert_same_gradients(output.value, value, [images, *objective.parameters()])


@pytest.mark.parametrize("loss", [SupCon(), NCA(), Triplet(unit_norm=False)], ids=repr)
def test_the_variance_add_on_equals_the_loop_of_its_paper(loss: LossConfig) -> None:
    labels, _ = BATCHES["random"]
    add_on = VarianceConfig(weight=0.7, target=1.1)
    images = random_images(9).requires_grad_()
    without = ObjectiveConfig(loss=loss)
    config = without.model_copy(update={"variance": add_on})
    found = evaluate(build(config, labels), images, labels).value
    added = variance(Naive(config, images, labels, []), add_on)
    expected = evaluate(build(without, labels), images, labels).value + added
    assert float(added.detach()) > 0.01
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    assert_same_gradients(found, expected, [images])


@every_pairing
def test_gradients_match_finite_differences(config: ObjectiveConfig) -> None:
    has_constant_weights = isinstance(config.loss, Circle) or (
        isinstance(config.loss, RankedList)
        and config.loss.positive_temperature + config.loss.negative_temperature > 0
    )
    if has_constant_weights:
        pytest.skip("its weights are constants by the paper, not part of the derivative")
    labels = [0, 1, 0, 1, 2, 2, 0]
    objective = build(config, labels)

    def value(embeddings: Tensor) -> Tensor:
        return evaluate(objective, embeddings, labels).value

    assert torch.autograd.gradcheck(value, random_images(7).requires_grad_(), fast_mode=True)


@every_pairing
def test_the_order_of_the_batch_does_not_matter(config: ObjectiveConfig) -> None:
    if config.miner.name in DRAWS_BY_PLACE:
        pytest.skip("its random numbers choose by the place in the batch")
    labels = torch.tensor(BATCHES["random"][0])
    order = [5, 2, 8, 0, 1, 7, 3, 6, 4]
    objective, embeddings = build(config, labels.tolist()), random_images(9)
    # The random numbers of an item go with it: n_pair and prototypical rank items by them.
    uniform = same_draws(9, 3)
    expected: LossOutput = objective.loss(Items.of_batch(embeddings, labels, uniform))
    found: LossOutput = objective.loss(
        Items.of_batch(embeddings[order], labels[order], uniform[order])
    )
    torch.testing.assert_close(found.value, expected.value)
    assert int(found.num_active) == int(expected.num_active)


@every_pairing
def test_nothing_active_is_exactly_zero_with_a_graph(config: ObjectiveConfig) -> None:
    facts = compatibility.LOSSES[config.loss.name]
    if config.loss.name == "sigmoid_pair" or facts.has_proxies:
        pytest.skip("every pair, or every item with every proxy, is a question: no term is void")
    if config.loss.name == "multi_similarity" and config.miner.name == "none":
        pytest.skip("the push of a negative fades with its distance and never ends")
    # Three classes of one image, as far apart as three can be: no positive, no negative near.
    angles = 2.0 * torch.pi * torch.arange(3, dtype=torch.float64) / 3.0
    embeddings = torch.zeros(3, DIM, dtype=torch.float64)
    embeddings[:, 0], embeddings[:, 1] = 9.0 * angles.cos(), 9.0 * angles.sin()
    embeddings.requires_grad_()
    objective = build(config, [0, 1, 2])
    output = evaluate(objective, embeddings, [0, 1, 2])
    output.value.backward()
    assert output.value.item() == 0.0
    assert int(output.num_active) == 0
    assert float(output.active_share) == 0.0
    assert embeddings.grad is not None
    assert embeddings.grad.count_nonzero() == 0
    for parameter in objective.parameters():
        assert parameter.grad is None or parameter.grad.count_nonzero() == 0


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

SHARPEST = {
    "temperature": 0.001,
    "scale": 1000.0,
    "alpha": 1000.0,
    "positive_temperature": 100.0,
    "negative_temperature": 100.0,
}


def sharpest(config: ObjectiveConfig) -> ObjectiveConfig:
    """The numbers that go into an exponential at the ends of their ranges."""
    numbers = {key: SHARPEST[key] for key in type(config.loss).model_fields if key in SHARPEST}
    if isinstance(config.loss, MultiSimilarity):
        numbers["beta"] = 1000.0
    if isinstance(config.loss, Angular):
        numbers["angle"] = 89.0
    return config.model_copy(update={"loss": config.loss.model_copy(update=numbers)})


@every_pairing
@pytest.mark.parametrize("extreme", EXTREMES)
def test_values_and_gradients_are_finite_at_the_extremes(
    config: ObjectiveConfig, extreme: str
) -> None:
    for labels in ([0, 0, 1, 1, 2, 3], [0] * 6):
        embeddings = EXTREMES[extreme].float().clone().requires_grad_()
        objective = build(sharpest(config), labels).float()
        # The cast is part of the graph, as it is behind an encoder in half precision.
        output = evaluate(objective, embeddings.to(EXTREMES[extreme].dtype), labels)
        output.value.backward()
        assert output.value.isfinite()
        assert embeddings.grad is not None
        for parameter in objective.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all()
        if extreme != "the end of float16":  # there the gradient itself may leave float16
            assert embeddings.grad.isfinite().all()


@every_pairing
def test_autocast_changes_nothing(config: ObjectiveConfig) -> None:
    labels, _ = BATCHES["random"]
    objective, embeddings = build(config, labels).float(), random_images(9).bfloat16()
    expected = evaluate(objective, embeddings.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        found = evaluate(objective, embeddings, labels)
    assert found.value.dtype == torch.float32
    assert torch.equal(found.value, expected.value)


@every_pairing
def test_a_step_is_one_graph_of_fixed_shapes_and_small_tensors(config: ObjectiveConfig) -> None:
    """Traced without values: what looks at one, or has a shape that depends on one, raises."""
    classes, samples, dim = 16, 4, DIM
    size = classes * samples
    objective = build_objective(
        config,
        batch=BatchConfig(classes=classes, samples=samples),
        embedding_dim=dim,
        num_classes=classes,
    )

    def step(embeddings: Tensor, labels: Tensor, uniform: Tensor) -> tuple[Tensor, ...]:
        output: LossOutput = objective.loss(Items.of_batch(embeddings, labels, uniform))
        (gradient,) = torch.autograd.grad(output.value, embeddings)
        return output.value, output.active_share, output.num_active, gradient

    embeddings = torch.randn(size, dim, requires_grad=True)
    labels = torch.arange(classes).repeat_interleave(samples)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        inputs = [mode.from_tensor(t) for t in (embeddings, labels, torch.rand(size, samples))]
        graph = make_fx(step, tracing_mode="real")(*inputs)
    values = [node.meta.get("val") for node in graph.graph.nodes]
    largest = max(value.numel() for value in values if isinstance(value, Tensor))
    has_triplets = config.loss.name in ("triplet", "triplet_swap", "soft_triplet", "margin")
    has_ranks = config.loss.name == "smooth_ap"
    assert largest <= size * size * (samples - 1 if has_triplets or has_ranks else 1)


@every_pairing
def test_a_loss_compiles_whole(config: ObjectiveConfig) -> None:
    labels = torch.tensor(BATCHES["random"][0])
    objective = build(config, labels.tolist())
    embeddings, uniform = random_images(9), same_draws(9, 3)

    def value(embeddings: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        output: LossOutput = objective.loss(Items.of_batch(embeddings, labels, uniform))
        return output.value

    torch.compiler.reset()
    compiled = torch.compile(value, fullgraph=True, backend="eager")
    leaf, other = (embeddings.clone().requires_grad_() for _ in range(2))
    found, expected = compiled(leaf, labels, uniform), value(other, labels, uniform)
    assert torch.equal(found, expected)
    found.backward()
    expected.backward()
    assert leaf.grad is not None
    assert other.grad is not None
    assert torch.equal(leaf.grad, other.grad)


@every_pairing
def test_clusters_by_class_cost_less_than_clusters_across_classes(config: ObjectiveConfig) -> None:
    """A loss of the wrong sign, or fed a distance for a similarity, rewards the opposite."""
    labels, mixed = [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 2, 0, 1, 2]
    centres = 2.0 * torch.eye(3, DIM, dtype=torch.float64)
    embeddings = centres.repeat_interleave(3, 0) + 0.1 * random_images(9)
    objective = build(config, labels)
    for name, parameter in objective.loss.named_parameters():
        if name == "proxies":
            parameter.data[:3] = centres
    assert (
        evaluate(objective, embeddings, labels).value
        < evaluate(objective, embeddings, mixed).value
    )


def test_active_share_of_semi_hard_counts_all_triplets() -> None:
    labels, _ = BATCHES["random"]
    config = ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="semi_hard"))
    output = evaluate(build(config, labels), random_images(9), labels)
    assert float(output.active_share) == pytest.approx(int(output.num_active) / (9 * 2 * 6))


def test_every_objective_takes_the_same_random_numbers() -> None:
    labels, _ = BATCHES["random"]
    states = []
    for config in each_once():
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
