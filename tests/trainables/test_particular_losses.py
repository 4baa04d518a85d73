"""What is true of one loss only: what it learns, what it draws, and which others it equals."""

import math

import pytest
import torch
from torch import Tensor

from tripletune.spaces import (
    NCA,
    ArcFace,
    BatchConfig,
    Contrastive,
    CosFace,
    InfoNCE,
    LinearContrastive,
    LossConfig,
    MarginLoss,
    MinerConfig,
    MinerName,
    NormalizedSoftmax,
    NPair,
    NTXent,
    ObjectiveConfig,
    Prototypical,
    ProxyAnchor,
    ProxyNCA,
    SigmoidPair,
    SmoothAP,
    SoftNearestNeighbor,
    SoftTriplet,
    SquaredContrastive,
    SupCon,
    Triplet,
    TripletSwap,
    TwoMarginContrastive,
)
from tripletune.trainables.items import Items
from tripletune.trainables.losses import LossOutput, Objective, build_objective

DIM = 8
NUM_CLASSES = 4
LABELS = [2, 0, 1, 0, 2, 1, 1, 0, 2]


def build(
    loss: LossConfig, miner: MinerName | None = None, labels: list[int] = LABELS, seed: int = 0
) -> Objective:
    config = (
        ObjectiveConfig(loss=loss)
        if miner is None
        else ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner))
    )
    batch = BatchConfig(
        classes=max(2, len(set(labels))), samples=max(labels.count(label) for label in labels)
    )
    return build_objective(
        config, batch=batch, embedding_dim=DIM, num_classes=NUM_CLASSES, seed=seed
    ).double()


def random_images(num_images: int = len(LABELS), seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_images, DIM, dtype=torch.float64, generator=generator)


def evaluate(
    objective: Objective, embeddings: Tensor, labels: list[int] = LABELS, seed: int = 7
) -> LossOutput:
    output: LossOutput = objective(
        embeddings, torch.tensor(labels), torch.Generator().manual_seed(seed)
    )
    return output


def value_of(loss: LossConfig, embeddings: Tensor, miner: MinerName | None = None) -> float:
    return float(evaluate(build(loss, miner), embeddings).value.detach())


def in_batch_order(objective: Objective, embeddings: Tensor, labels: list[int]) -> float:
    """The value where the items with the smallest random numbers are the first of the batch."""
    num_numbers = objective.setting.max_positives + 1
    uniform = (torch.arange(len(labels)) / len(labels))[:, None].expand(-1, num_numbers)
    output: LossOutput = objective.loss(Items.of_batch(embeddings, torch.tensor(labels), uniform))
    return float(output.value.detach())


# The sigmoid loss.


def test_pulling_a_positive_pair_together_lowers_the_sigmoid_loss() -> None:
    labels = [0, 0, 1, 1]
    objective = build(SigmoidPair(), labels=labels)
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
        num_classes=100,
    )
    p = 3 / 127
    state = objective.state_dict()
    assert float(state["loss.bias"]) == pytest.approx(math.log(p / (1 - p)))
    assert float(state["loss.log_scale"]) == pytest.approx(math.log(10.0))


def test_the_sigmoid_loss_learns_its_scale_and_bias() -> None:
    objective = build(SigmoidPair())
    evaluate(objective, random_images()).value.backward()
    gradients = {name: p.grad for name, p in objective.named_parameters()}
    assert set(gradients) == {"loss.log_scale", "loss.bias"}
    assert all(gradient is not None and gradient != 0.0 for gradient in gradients.values())


# The margin loss.


@pytest.mark.parametrize(
    ("learn_beta", "shapes"), [("no", []), ("global", [1]), ("class", [NUM_CLASSES])]
)
def test_the_margin_loss_learns_the_boundary_that_its_recipe_names(
    learn_beta: str, shapes: list[int]
) -> None:
    loss = MarginLoss.model_validate({"learn_beta": learn_beta, "beta": 0.9})
    learned = list(build(loss).parameters())
    assert [parameter.numel() for parameter in learned] == shapes
    assert all(torch.all((parameter - 0.9).abs() < 1e-6) for parameter in learned)


def test_a_boundary_of_each_class_is_moved_by_the_anchors_of_that_class_alone() -> None:
    labels = [0, 0, 2, 2]
    objective = build(MarginLoss(learn_beta="class", beta_penalty=0.1), "all", labels)
    evaluate(objective, random_images(4), labels).value.backward()
    (beta,) = objective.parameters()
    assert beta.grad is not None
    assert [bool(x) for x in beta.grad != 0.0] == [True, False, True, False]


def test_the_penalty_pulls_the_boundary_down() -> None:
    gradients = []
    for penalty in (0.0, 0.5):
        objective = build(MarginLoss(beta_penalty=penalty), "all")
        evaluate(objective, random_images()).value.backward()
        (beta,) = objective.parameters()
        assert beta.grad is not None
        gradients.append(float(beta.grad))
    assert gradients[1] - gradients[0] == pytest.approx(0.5)


# N-pair and prototypical: what they draw.


def test_n_pair_takes_the_two_items_of_a_class_with_the_smallest_random_numbers() -> None:
    labels = [0, 1, 0, 1, 0, 1]
    loss, images = NPair(norm_penalty=0.0), random_images(6)
    objective = build(loss, labels=labels)
    moved = images.clone()
    moved[4:] += 1.0  # the third item of each class
    found = in_batch_order(objective, images, labels)
    assert in_batch_order(objective, moved, labels) == found
    first, second = images[[0, 1]], images[[2, 3]]
    logits = first @ second.T
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(2))
    assert found == pytest.approx(float(expected))


def test_n_pair_keeps_the_norms_of_the_items_that_it_uses_small() -> None:
    labels = [0, 1, 0, 1, 0, 1]
    images = random_images(6)
    values = [
        in_batch_order(build(NPair(norm_penalty=penalty), labels=labels), images, labels)
        for penalty in (0.0, 0.5)
    ]
    mean_norm = float(images[:4].square().sum(1).mean())
    assert values[1] - values[0] == pytest.approx(0.5 * mean_norm)


def test_n_pair_leaves_out_a_class_of_one_item() -> None:
    labels, images = [0, 1, 0, 1, 2], random_images(5)
    found = in_batch_order(build(NPair(), labels=labels), images, labels)
    assert found == pytest.approx(
        in_batch_order(build(NPair(), labels=labels[:4]), images[:4], labels[:4])
    )


def test_a_prototype_is_the_mean_of_its_support_and_the_others_are_queries() -> None:
    labels, images = [0, 1, 0, 1, 0, 1], random_images(6)
    found = in_batch_order(build(Prototypical(shots=2), labels=labels), images, labels)
    prototypes = torch.stack([images[[0, 2]].mean(0), images[[1, 3]].mean(0)])
    logits = -torch.cdist(images[4:], prototypes).square()
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    assert found == pytest.approx(float(expected))


def test_a_prototype_of_a_class_without_queries_competes() -> None:
    labels = [0, 0, 1]
    loss = Prototypical(shots=1)
    images = torch.zeros(3, DIM, dtype=torch.float64)
    near, far = images.clone(), images.clone()
    near[2, 0], far[2, 0] = 0.1, 9.0
    objective = build(loss, labels=labels)
    assert in_batch_order(objective, near, labels) > in_batch_order(objective, far, labels) + 0.5


@pytest.mark.parametrize("loss", [NPair(), Prototypical()], ids=lambda loss: loss.name)
def test_another_draw_is_another_value(loss: LossConfig) -> None:
    objective, images = build(loss), random_images()
    values = {float(evaluate(objective, images, seed=seed).value.detach()) for seed in range(5)}
    assert len(values) == 5


# Proxies.

PROXY_LOSSES: tuple[LossConfig, ...] = (
    ProxyNCA(),
    ProxyAnchor(),
    NormalizedSoftmax(),
    CosFace(),
    ArcFace(),
)
every_proxy_loss = pytest.mark.parametrize("loss", PROXY_LOSSES, ids=lambda loss: loss.name)


@every_proxy_loss
def test_each_class_has_a_proxy_and_the_seed_draws_it(loss: LossConfig) -> None:
    first, again, other = (build(loss, seed=seed) for seed in (3, 3, 4))
    (proxies,) = first.parameters()
    assert proxies.shape == (NUM_CLASSES, DIM)
    assert torch.equal(proxies, next(again.parameters()))
    assert not torch.equal(proxies, next(other.parameters()))


@every_proxy_loss
def test_drawing_proxies_leaves_the_global_generator_alone(loss: LossConfig) -> None:
    before = torch.get_rng_state()
    build(loss)
    assert torch.equal(torch.get_rng_state(), before)


@every_proxy_loss
def test_a_step_moves_the_proxy_of_a_class_towards_its_items(loss: LossConfig) -> None:
    labels = [0, 0, 1, 1]
    objective, images = build(loss, labels=labels), random_images(4)
    (proxies,) = objective.parameters()
    evaluate(objective, images, labels).value.backward()
    assert proxies.grad is not None
    unit = torch.nn.functional.normalize
    moved = proxies.detach() - 1e-4 * proxies.grad
    for label in (0, 1):
        towards = unit(images[[i for i in range(4) if labels[i] == label]]).mean(0)
        before, after = (unit(p[label], dim=0) @ towards for p in (proxies.detach(), moved))
        assert after > before


@every_proxy_loss
def test_the_norm_of_a_proxy_does_not_matter(loss: LossConfig) -> None:
    objective, images = build(loss), random_images()
    expected = evaluate(objective, images).value
    with torch.no_grad():
        next(objective.parameters()).mul_(torch.tensor([[0.1], [1.0], [7.0], [100.0]]))
    torch.testing.assert_close(evaluate(objective, images).value, expected)


@pytest.mark.parametrize("margin", [0.0, 28.6, 80.0])
def test_arcface_never_rewards_a_larger_angle(margin: float) -> None:
    """Beyond 180 degrees cos(angle + margin) would rise again."""
    objective = build(ArcFace(margin=margin, scale=4.0), labels=[0, 0])
    (proxies,) = objective.parameters()
    angles = torch.linspace(0.01, math.pi - 0.01, 60, dtype=torch.float64)
    with torch.no_grad():
        proxies.zero_()
        proxies[0, 0] = 1.0
        proxies[1:, 2] = 1.0  # at a right angle, whatever the angle to the own proxy
    values = []
    for angle in angles:
        image = torch.zeros(2, DIM, dtype=torch.float64)
        image[:, 0], image[:, 1] = angle.cos(), angle.sin()
        values.append(float(evaluate(objective, image, [0, 0]).value.detach()))
    assert values == sorted(values)


@pytest.mark.parametrize("at", [1.0, -1.0], ids=["on the proxy", "opposite"])
def test_arcface_has_a_finite_gradient_where_the_arc_cosine_has_none(at: float) -> None:
    objective = build(ArcFace(), labels=[0, 0]).float()
    (proxies,) = objective.parameters()
    images = (at * proxies.detach()[[0, 0]] * 3.0).requires_grad_()
    output = evaluate(objective, images, [0, 0])
    output.value.backward()
    assert output.value.isfinite()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert proxies.grad is not None
    assert proxies.grad.isfinite().all()


# Losses that are one and the same somewhere.

SAME: list[tuple[LossConfig, LossConfig, MinerName | None]] = [
    (LinearContrastive(), TwoMarginContrastive(positive_margin=0.0), "all"),
    (NTXent(temperature=0.3), InfoNCE(temperature=0.3, unit_norm=True), None),
    (CosFace(margin=0.0, scale=5.0), NormalizedSoftmax(temperature=0.2), None),
    (ArcFace(margin=0.0, scale=5.0), NormalizedSoftmax(temperature=0.2), None),
    # On unit vectors d^2 = 2 - 2 s.
    (ProxyNCA(temperature=0.4), NormalizedSoftmax(temperature=0.2), None),
    (
        Triplet(margin=0.2, distance="cosine", reduction="all"),
        Triplet(margin=0.2, distance="dot", reduction="all"),
        "semi_hard",
    ),
]


@pytest.mark.parametrize(
    ("loss", "other", "miner"), SAME, ids=lambda value: getattr(value, "name", value)
)
def test_these_two_are_one_loss(
    loss: LossConfig, other: LossConfig, miner: MinerName | None
) -> None:
    images = random_images()
    assert value_of(loss, images, miner) == pytest.approx(value_of(other, images, miner))


def test_squared_contrastive_is_twice_that_of_hadsell() -> None:
    images = random_images()
    expected = 2.0 * value_of(Contrastive(margin=1.3), images, "all")
    assert value_of(SquaredContrastive(margin=1.3), images, "all") == pytest.approx(expected)


def test_nca_is_the_soft_nearest_neighbour_loss_without_normalisation() -> None:
    images = torch.nn.functional.normalize(random_images())
    expected = value_of(SoftNearestNeighbor(temperature=1.0), images)
    assert value_of(NCA(), images) == pytest.approx(expected)


def test_squared_distances_of_unit_vectors_are_twice_the_cosine_distances() -> None:
    images = random_images()
    squared = Triplet(margin=0.4, distance="squared_euclidean")
    cosine = Triplet(margin=0.2, distance="cosine")
    expected = 2.0 * value_of(cosine, images, "all")
    assert value_of(squared, images, "all") == pytest.approx(expected)


def test_supcon_is_nt_xent_where_every_anchor_has_one_positive() -> None:
    labels, images = [0, 1, 2, 0, 2, 1], random_images(6)
    values = [
        float(evaluate(build(loss, labels=labels), images, labels).value.detach())
        for loss in (SupCon(temperature=0.2), NTXent(temperature=0.2))
    ]
    assert values[0] == pytest.approx(values[1])


def test_swapping_never_lowers_a_triplet_loss() -> None:
    images = random_images()
    plain = value_of(Triplet(reduction="all"), images, "all")
    assert value_of(TripletSwap(reduction="all"), images, "all") > plain


def test_a_soft_triplet_is_ln_2_where_nothing_is_told_apart() -> None:
    images = torch.ones(len(LABELS), DIM, dtype=torch.float64)
    assert value_of(SoftTriplet(), images, "all") == pytest.approx(math.log(2.0))


# Smooth average precision.


def hard_average_precision(images: Tensor, labels: list[int]) -> float:
    """Mean average precision of every item as a query over the others."""
    unit = torch.nn.functional.normalize(images)
    found = []
    for i, label in enumerate(labels):
        order = sorted(
            (j for j in range(len(labels)) if j != i), key=lambda j: -float(unit[i] @ unit[j])
        )
        hits = [labels[j] == label for j in order]
        precisions = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits)) if hits[k]]
        found.append(sum(precisions) / len(precisions))
    return sum(found) / len(found)


def test_smooth_ap_of_a_cold_sigmoid_is_one_minus_the_mean_average_precision() -> None:
    images = random_images()
    found = value_of(SmoothAP(temperature=0.001), images)
    assert found == pytest.approx(1.0 - hard_average_precision(images, LABELS), abs=1e-2)


def test_a_counted_query_raises_the_average_precision() -> None:
    images = random_images()
    counted = value_of(SmoothAP(temperature=0.01, count_query=True), images)
    assert counted < value_of(SmoothAP(temperature=0.01), images)
