"""The losses equal those of pytorch-metric-learning, an independent implementation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

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
    MinerName,
    MixedContrastive,
    MultiSimilarity,
    NormalizedSoftmax,
    NPair,
    NTXent,
    ObjectiveConfig,
    ProxyAnchor,
    ProxyNCA,
    RankedList,
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
from tripletune.trainables.losses import LossOutput, Objective, build_objective

pml_losses = pytest.importorskip(
    "pytorch_metric_learning.losses", reason="the oracle is not installed: pip install .[dev]"
)
pml_miners = pytest.importorskip("pytorch_metric_learning.miners")
pml_distances = pytest.importorskip("pytorch_metric_learning.distances")
pml_reducers = pytest.importorskip("pytorch_metric_learning.reducers")

Loss = Callable[[Tensor, Tensor, Any], Tensor]
"""Of embeddings, labels and what a miner of theirs gave."""

DIM = 8
NUM_CLASSES = 6
BATCHES = {
    "random": [2, 0, 1, 0, 2, 1, 1, 0, 2, 3, 3, 3],
    "imbalanced": [0, 0, 0, 0, 0, 1, 1, 2, 2],
    "singletons among others": [0, 0, 1, 2, 2, 2, 3],
    "same image twice": [0, 0, 0, 1, 1, 1],
    "single class": [0, 0, 0, 0],
    "one image a class": [0, 1, 2, 3],
}

NOT_IN_THE_ORACLE = {
    "losses": {"prototypical", "sigmoid_pair"},
    "miners": {
        # a random draw of theirs cannot be repeated with our numbers
        "distance_weighted",
        "random",
        "random_positive_hard",
        "random_positive_semi_hard",
        "mixed",
        "semi_hard_random",
        "semi_hard_random_or_any",
        # theirs knows no rule with a fallback
        "semi_hard_or_hardest",
        "semi_hard_nearest_or_farthest",
    },
}


def images_of(batch: str) -> tuple[Tensor, list[int]]:
    labels = BATCHES[batch]
    images = torch.randn(
        len(labels), DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    which = [0, 0, 1, 2, 3, 3] if batch == "same image twice" else list(range(len(labels)))
    return images.requires_grad_(), which


def build(config: ObjectiveConfig, labels: list[int]) -> Objective:
    samples = max(2, *(labels.count(label) for label in labels))
    batch = BatchConfig(classes=max(2, len(set(labels))), samples=samples)
    return build_objective(
        config, batch=batch, embedding_dim=DIM, num_classes=NUM_CLASSES
    ).double()


def ours(objective: Objective, embeddings: Tensor, labels: list[int]) -> Tensor:
    """The value where the order of the batch is the order of the random numbers."""
    # Theirs takes the first items of a class, ours those with the smallest random numbers.
    num_numbers = objective.setting.max_positives + 1
    uniform = (torch.arange(len(labels)) / len(labels))[:, None].expand(-1, num_numbers)
    output: LossOutput = objective.loss(Items.of_batch(embeddings, torch.tensor(labels), uniform))
    return output.value


def distance_of(loss: LossConfig) -> Any:
    """Their distance, or the similarity that they use in its place."""
    distance = getattr(loss, "distance", "cosine")
    has_unit_norm = getattr(loss, "unit_norm", True)
    if distance == "cosine":
        return pml_distances.CosineSimilarity()
    if distance == "dot":
        return pml_distances.DotProductSimilarity(normalize_embeddings=has_unit_norm)
    power = 2 if distance == "squared_euclidean" else 1
    return pml_distances.LpDistance(normalize_embeddings=has_unit_norm, power=power)


def squared_distance(*, unit_norm: bool) -> Any:
    return pml_distances.LpDistance(normalize_embeddings=unit_norm, power=2)


def reducer_of(reduction: str) -> Any:
    return (
        pml_reducers.AvgNonZeroReducer() if reduction == "active" else pml_reducers.MeanReducer()
    )


def mined(config: ObjectiveConfig, embeddings: Tensor, labels: Tensor) -> Any:
    """What their miner keeps; None where every pair or triplet is kept."""
    loss, name = config.loss, config.miner.name
    distance = distance_of(loss)
    margin = getattr(loss, "margin", 0.0)
    of_type = {"hard": "hard", "semi_hard": "semihard", "easy": "easy"}
    strategies = {
        "batch_easy": ("easy", "easy"),
        "easy_positive_hard": ("easy", "hard"),
        "easy_positive_semi_hard": ("easy", "semihard"),
    }
    if name in of_type:
        miner = pml_miners.TripletMarginMiner(
            margin=margin, type_of_triplets=of_type[name], distance=distance
        )
    elif name == "batch_hard":
        miner = pml_miners.BatchHardMiner(distance=distance)
    elif name in strategies:
        positive, negative = strategies[name]
        miner = pml_miners.BatchEasyHardMiner(
            pos_strategy=positive, neg_strategy=negative, distance=distance
        )
    elif name == "multi_similarity":
        miner = pml_miners.MultiSimilarityMiner(epsilon=config.miner.epsilon)
    else:
        assert name in ("none", "all")
        return None
    return miner(embeddings, labels)


# Their loss for each of ours.


def powers_of_hinges(loss: Any, pull: Callable[[Tensor], Tensor], push: Any) -> Loss:
    """The powers of the paper of their hinges: their own loss is linear in them."""
    hinges = pml_losses.ContrastiveLoss(
        pos_margin=0.0,
        neg_margin=loss.margin,
        distance=distance_of(loss),
        reducer=pml_reducers.DoNothingReducer(),
    )
    positive, negative = reducer_of(loss.reduction), reducer_of(loss.reduction)

    def value(embeddings: Tensor, labels: Tensor, chosen: Any) -> Tensor:
        found = hinges(embeddings, labels, chosen)
        total = embeddings.sum() * 0.0
        for side, power, reducer in [
            ("pos_loss", pull, positive),
            ("neg_loss", push, negative),
        ]:
            if isinstance(found[side]["losses"], Tensor) and len(found[side]["losses"]):
                terms = found[side] | {"losses": power(found[side]["losses"])}
                total = total + reducer({"loss": terms}, embeddings, labels)
        return total

    return value


def contrastive(loss: Contrastive, objective: Objective) -> Loss:
    return powers_of_hinges(loss, lambda d: d**2 / 2, lambda hinge: hinge**2 / 2)


def squared_contrastive(loss: SquaredContrastive, objective: Objective) -> Loss:
    return powers_of_hinges(loss, lambda d: d**2, lambda hinge: hinge**2)


def mixed_contrastive(loss: MixedContrastive, objective: Objective) -> Loss:
    return powers_of_hinges(loss, lambda d: d**2 / 2, lambda hinge: hinge)


def linear_contrastive(
    loss: LinearContrastive | TwoMarginContrastive, objective: Objective
) -> Loss:
    margins = [getattr(loss, "positive_margin", 0.0), loss.margin]
    if loss.distance == "cosine":  # theirs are similarities
        margins = [1.0 - margin for margin in margins]
    function: Loss = pml_losses.ContrastiveLoss(
        *margins, distance=distance_of(loss), reducer=reducer_of(loss.reduction)
    )
    return function


def triplet(loss: Triplet | TripletSwap, objective: Objective) -> Loss:
    function: Loss = pml_losses.TripletMarginLoss(
        margin=loss.margin,
        swap=isinstance(loss, TripletSwap),
        distance=distance_of(loss),
        reducer=reducer_of(loss.reduction),
    )
    return function


def soft_triplet(loss: SoftTriplet, objective: Objective) -> Loss:
    function: Loss = pml_losses.TripletMarginLoss(
        margin=0.0, smooth_loss=True, distance=distance_of(loss), reducer=reducer_of("all")
    )
    return function


def margin(loss: MarginLoss, objective: Objective) -> Loss:
    is_similarity = loss.distance == "cosine"
    function = pml_losses.MarginLoss(
        margin=loss.margin,
        nu=loss.beta_penalty,
        beta=1.0 - loss.beta if is_similarity else loss.beta,
        learn_beta=loss.learn_beta != "no",
        num_classes=NUM_CLASSES if loss.learn_beta == "class" else None,
        distance=distance_of(loss),
    ).double()
    if loss.learn_beta == "class":
        with torch.no_grad():
            spread = torch.linspace(0.9, 1.1, NUM_CLASSES, dtype=torch.float64)
            function.beta.mul_(spread)
            beta = objective.loss.get_parameter("beta")
            beta.copy_(1.0 - function.beta if is_similarity else function.beta)
    value: Loss = function
    return value


def angular(loss: Angular, objective: Objective) -> Loss:
    function = pml_losses.AngularLoss(alpha=loss.angle)

    def value(embeddings: Tensor, labels: Tensor, chosen: Any) -> Tensor:
        # Theirs normalises anchor and positive but not the negatives: it is given unit vectors.
        unit = torch.nn.functional.normalize(embeddings)
        found: Tensor = function(unit, labels, chosen)
        return found

    return value


def supcon(loss: SupCon, objective: Objective) -> Loss:
    function: Loss = pml_losses.SupConLoss(temperature=loss.temperature)
    return function


def nt_xent(loss: NTXent, objective: Objective) -> Loss:
    function: Loss = pml_losses.NTXentLoss(temperature=loss.temperature)
    return function


def info_nce(loss: InfoNCE, objective: Objective) -> Loss:
    distance = pml_distances.DotProductSimilarity(normalize_embeddings=loss.unit_norm)
    function: Loss = pml_losses.NTXentLoss(temperature=loss.temperature, distance=distance)
    return function


def n_pair(loss: NPair, objective: Objective) -> Loss:
    distance = pml_distances.DotProductSimilarity(normalize_embeddings=False)
    function: Loss = pml_losses.NPairsLoss(distance=distance)
    return function


def soft_nearest_neighbor(loss: SoftNearestNeighbor, objective: Objective) -> Loss:
    distance = squared_distance(unit_norm=True)
    function: Loss = pml_losses.NCALoss(softmax_scale=1.0 / loss.temperature, distance=distance)
    return function


def nca(loss: NCA, objective: Objective) -> Loss:
    function: Loss = pml_losses.NCALoss(distance=squared_distance(unit_norm=False))
    return function


def smooth_ap(loss: SmoothAP, objective: Objective) -> Loss:
    function: Loss = pml_losses.SmoothAPLoss(temperature=loss.temperature)
    return function


def multi_similarity(loss: MultiSimilarity, objective: Objective) -> Loss:
    function: Loss = pml_losses.MultiSimilarityLoss(
        alpha=loss.alpha, beta=loss.beta, base=loss.threshold
    )
    return function


def circle(loss: Circle, objective: Objective) -> Loss:
    function: Loss = pml_losses.CircleLoss(m=loss.relaxation, gamma=loss.scale)
    return function


def lifted_structure(loss: LiftedStructure, objective: Objective) -> Loss:
    function: Loss = pml_losses.LiftedStructureLoss(
        neg_margin=loss.margin, pos_margin=0.0, distance=distance_of(loss)
    )
    return function


def their_ranked_list(loss: RankedList, **changes: Any) -> Any:
    numbers = {
        "margin": loss.margin,
        "alpha": loss.boundary,
        "imbalance": loss.negative_share,
        "Tp": loss.positive_temperature,
        "Tn": loss.negative_temperature,
        "distance": distance_of(loss),
    }
    return pml_losses.RankedListLoss(**(numbers | changes))


def ranked_list(loss: RankedList, objective: Objective) -> Loss:
    """Their two sides, each without the 1e-5 that theirs adds to each of the B weights."""
    assert loss.positive_temperature == loss.negative_temperature == 0.0
    per_anchor = pml_reducers.DoNothingReducer()
    near = their_ranked_list(loss, imbalance=0.0, reducer=per_anchor)
    far = their_ranked_list(loss, imbalance=1.0, reducer=per_anchor)

    def value(embeddings: Tensor, labels: Tensor, chosen: Any) -> Tensor:
        d = distance_of(loss)(embeddings).detach()
        same = labels[:, None] == labels[None, :]
        num_near = (same & (d > loss.boundary - loss.margin)).fill_diagonal_(False).sum(1)
        num_far = (~same & (d < loss.boundary)).sum(1)
        extra = len(labels) * 1e-5
        total = torch.zeros(len(labels), dtype=embeddings.dtype)
        for function, count, share in [
            (near, num_near, 1.0 - loss.negative_share),
            (far, num_far, loss.negative_share),
        ]:
            terms = function(embeddings, labels)["loss"]["losses"]
            total = total + share * terms * (count + extra) / count.clamp_min(1)
        return total.mean()

    return value


def with_our_proxies(function: Any, objective: Objective) -> Loss:
    """Theirs with a copy of our proxies, which stand in columns where it calls them W."""
    proxies = objective.loss.get_parameter("proxies").detach()
    if hasattr(function, "W"):
        function.W.data = proxies.T.clone()
    else:
        function.proxies.data = proxies.clone()
    value: Loss = function.double()
    return value


def proxy_nca(loss: ProxyNCA, objective: Objective) -> Loss:
    function = pml_losses.ProxyNCALoss(NUM_CLASSES, DIM, softmax_scale=1.0 / loss.temperature)
    return with_our_proxies(function, objective)


def proxy_anchor(loss: ProxyAnchor, objective: Objective) -> Loss:
    function = pml_losses.ProxyAnchorLoss(NUM_CLASSES, DIM, margin=loss.margin, alpha=loss.scale)
    return with_our_proxies(function, objective)


def normalized_softmax(loss: NormalizedSoftmax, objective: Objective) -> Loss:
    function = pml_losses.NormalizedSoftmaxLoss(NUM_CLASSES, DIM, temperature=loss.temperature)
    return with_our_proxies(function, objective)


def cosface(loss: CosFace, objective: Objective) -> Loss:
    function = pml_losses.CosFaceLoss(NUM_CLASSES, DIM, margin=loss.margin, scale=loss.scale)
    return with_our_proxies(function, objective)


def arcface(loss: ArcFace, objective: Objective) -> Loss:
    function = pml_losses.ArcFaceLoss(NUM_CLASSES, DIM, margin=loss.margin, scale=loss.scale)
    return with_our_proxies(function, objective)


THEIRS: dict[str, Callable[[Any, Objective], Loss]] = {
    "contrastive": contrastive,
    "squared_contrastive": squared_contrastive,
    "mixed_contrastive": mixed_contrastive,
    "linear_contrastive": linear_contrastive,
    "two_margin_contrastive": linear_contrastive,
    "triplet": triplet,
    "triplet_swap": triplet,
    "soft_triplet": soft_triplet,
    "margin": margin,
    "angular": angular,
    "supcon": supcon,
    "nt_xent": nt_xent,
    "info_nce": info_nce,
    "n_pair": n_pair,
    "soft_nearest_neighbor": soft_nearest_neighbor,
    "nca": nca,
    "smooth_ap": smooth_ap,
    "multi_similarity": multi_similarity,
    "circle": circle,
    "lifted_structure": lifted_structure,
    "ranked_list": ranked_list,
    "proxy_nca": proxy_nca,
    "proxy_anchor": proxy_anchor,
    "normalized_softmax": normalized_softmax,
    "cosface": cosface,
    "arcface": arcface,
}

TRIPLET_MINERS: tuple[MinerName, ...] = (
    "all",
    "hard",
    "semi_hard",
    "batch_hard",
    "batch_easy",
    "easy_positive_hard",
    "easy_positive_semi_hard",
)
PAIR_MINERS: tuple[MinerName, ...] = ("all", "batch_hard", "multi_similarity")

CASES: list[tuple[LossConfig, tuple[MinerName, ...]]] = [
    (Contrastive(margin=1.3), PAIR_MINERS),
    (Contrastive(margin=4.0, unit_norm=False, reduction="active"), PAIR_MINERS),
    (SquaredContrastive(margin=1.3), PAIR_MINERS),
    (SquaredContrastive(margin=1.3, reduction="active"), PAIR_MINERS),
    (MixedContrastive(margin=1.3), PAIR_MINERS),
    (MixedContrastive(margin=1.3, reduction="active"), PAIR_MINERS),
    (LinearContrastive(margin=1.3), PAIR_MINERS),
    (LinearContrastive(margin=1.3, reduction="active"), PAIR_MINERS),
    (LinearContrastive(margin=2.0, distance="squared_euclidean"), PAIR_MINERS),
    (LinearContrastive(margin=0.9, distance="cosine"), PAIR_MINERS),
    (TwoMarginContrastive(margin=1.3, positive_margin=0.9), PAIR_MINERS),
    (
        TwoMarginContrastive(
            margin=0.9, positive_margin=0.5, distance="cosine", reduction="active"
        ),
        PAIR_MINERS,
    ),
    (Triplet(), TRIPLET_MINERS),
    (Triplet(reduction="all"), TRIPLET_MINERS),
    (Triplet(margin=0.5, distance="squared_euclidean"), TRIPLET_MINERS),
    (Triplet(margin=0.5, unit_norm=False), TRIPLET_MINERS),
    (Triplet(margin=0.3, distance="cosine"), TRIPLET_MINERS),
    (Triplet(margin=2.0, distance="dot", unit_norm=False, reduction="all"), TRIPLET_MINERS),
    (TripletSwap(), TRIPLET_MINERS),
    (TripletSwap(margin=0.3, distance="cosine", reduction="all"), TRIPLET_MINERS),
    (TripletSwap(margin=2.0, distance="dot", unit_norm=False), TRIPLET_MINERS),
    (
        SoftTriplet(),
        ("all", "hard", "easy", "batch_hard", "batch_easy", *TRIPLET_MINERS[-2:]),
    ),
    (SoftTriplet(distance="squared_euclidean"), ("all", "batch_hard")),
    (SoftTriplet(distance="dot"), ("all", "batch_hard")),
    (MarginLoss(learn_beta="no"), ("all", "batch_hard", "easy_positive_semi_hard")),
    (MarginLoss(learn_beta="global", beta_penalty=0.05), ("all", "batch_hard")),
    (MarginLoss(learn_beta="class", beta_penalty=0.05), ("all", "batch_hard")),
    (MarginLoss(beta=2.0, distance="squared_euclidean", learn_beta="class"), ("all",)),
    (MarginLoss(beta=0.8, distance="cosine", learn_beta="no"), ("all", "batch_hard")),
    (Angular(), ("none",)),
    (Angular(angle=50.0), ("none",)),
    (SupCon(), ("none",)),
    (SupCon(temperature=0.5), ("none",)),
    (NTXent(temperature=0.2), ("none", "easy_positive_hard", "easy_positive_semi_hard")),
    (InfoNCE(), ("none",)),
    (InfoNCE(temperature=0.2, unit_norm=True), ("none",)),
    (NPair(norm_penalty=0.0), ("none",)),
    (SoftNearestNeighbor(), ("none",)),
    (NCA(), ("none",)),
    (MultiSimilarity(), ("none", "multi_similarity")),
    (MultiSimilarity(alpha=5.0, beta=20.0, threshold=0.1), ("none", "multi_similarity")),
    (Circle(), ("none",)),
    (Circle(relaxation=0.25, scale=16.0), ("none",)),
    (LiftedStructure(), ("none",)),
    (LiftedStructure(margin=3.0, unit_norm=False), ("none",)),
    (RankedList(negative_temperature=0.0), ("none",)),
    (RankedList(boundary=4.0, negative_temperature=0.0, unit_norm=False), ("none",)),
    (ProxyNCA(), ("none",)),
    (ProxyAnchor(), ("none",)),
    (NormalizedSoftmax(), ("none",)),
    (CosFace(), ("none",)),
    (ArcFace(), ("none",)),
    (ArcFace(margin=80.0, scale=5.0), ("none",)),
]
CONFIGS = [
    ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner))
    for loss, miners in CASES
    for miner in miners
]


def label_of(config: ObjectiveConfig) -> str:
    options = [str(value) for key, value in config.loss if key != "name"]
    return "-".join([config.loss.name, config.miner.name, *options])


def test_every_loss_and_every_miner_that_the_oracle_has_is_compared() -> None:
    compared = {config.loss.name for config in CONFIGS} | {"smooth_ap"}
    assert compared == set(THEIRS)
    assert compared | NOT_IN_THE_ORACLE["losses"] == set(compatibility.LOSSES)
    miners: set[str] = {config.miner.name for config in CONFIGS}
    assert not miners & NOT_IN_THE_ORACLE["miners"]
    assert miners | NOT_IN_THE_ORACLE["miners"] == set(compatibility.MINERS)


def assert_equal(
    found: Tensor, expected: Tensor, ours: list[Tensor], theirs: list[Tensor]
) -> None:
    """Values, and gradients by our tensors and by theirs."""
    torch.testing.assert_close(found, expected.reshape(()), atol=1e-5, rtol=0, check_dtype=False)
    gradients = torch.autograd.grad(found, ours, allow_unused=True, materialize_grads=True)
    wanted = torch.autograd.grad(
        expected.reshape(()), theirs, allow_unused=True, materialize_grads=True
    )
    for gradient, other in zip(gradients, wanted, strict=True):
        other = other.T if other.shape != gradient.shape else other
        torch.testing.assert_close(gradient, other, atol=1e-6, rtol=0, check_dtype=False)


WHERE_THEIRS_DIFFERS = {
    ("supcon", "single class"): "we keep the paper's terms, which are valid; theirs gives 0",
    ("nca", "one image a class"): "theirs is the mean of no terms, NaN; ours is 0",
    ("soft_nearest_neighbor", "one image a class"): "theirs is the mean of no terms, NaN",
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("config", CONFIGS, ids=label_of)
def test_value_and_gradient_equal_those_of_pytorch_metric_learning(
    config: ObjectiveConfig, batch: str
) -> None:
    reason = WHERE_THEIRS_DIFFERS.get((config.loss.name, batch))
    if reason is not None:
        pytest.skip(reason)
    images, which = images_of(batch)
    labels = BATCHES[batch]
    objective = build(config, labels)
    function = THEIRS[config.loss.name](config.loss, objective)
    embeddings, true_labels = images[which], torch.tensor(labels)
    chosen = mined(config, embeddings.detach(), true_labels)
    learned = list(objective.parameters())
    others = list(function.parameters()) if isinstance(function, torch.nn.Module) else []
    assert_equal(
        ours(objective, images[which], labels),
        function(embeddings, true_labels, chosen),
        [images, *learned],
        [images, *others],
    )


@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1, 2, 2, 2], [3, 3, 0, 0]], ids=str)
def test_smooth_ap_equals_that_of_pytorch_metric_learning(
    labels: list[int], temperature: float
) -> None:
    """Theirs counts the query, and knows only classes of one size, each in one piece."""
    loss = SmoothAP(temperature=temperature, count_query=True)
    objective = build(ObjectiveConfig(loss=loss), labels)
    images = torch.randn(
        len(labels), DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    expected = smooth_ap(loss, objective)(images, torch.tensor(labels), None)
    assert_equal(ours(objective, images, labels), expected, [images], [images])


@pytest.mark.parametrize("batch", BATCHES)
def test_a_weighted_ranked_list_is_above_theirs_by_what_they_add_to_the_weights(
    batch: str,
) -> None:
    """Theirs adds 1e-5 to each of the B weights of a sum of at least 1.

    Only values: the gradient of theirs goes through the weights, which ours takes as constants.
    """
    loss = RankedList(positive_temperature=2.0, negative_temperature=5.0)
    images, which = images_of(batch)
    embeddings, labels = images.detach()[which], BATCHES[batch]
    found = float(ours(build(ObjectiveConfig(loss=loss), labels), embeddings, labels))
    theirs = float(their_ranked_list(loss)(embeddings, torch.tensor(labels)))
    assert theirs <= found + 1e-12
    assert found * (1.0 - len(labels) * 1e-5) <= theirs + 1e-12


@pytest.mark.parametrize("weight", [0.5, 25.0])
def test_the_variance_add_on_is_the_variance_term_of_vicreg(weight: float) -> None:
    labels = BATCHES["random"]
    images, _ = images_of("random")
    add_on = VarianceConfig(weight=weight, target=1.0)
    values = [
        build(ObjectiveConfig(loss=NCA(), variance=variance), labels)(
            images, torch.tensor(labels), torch.Generator()
        ).value
        for variance in (VarianceConfig(), add_on)
    ]
    vicreg = pml_losses.VICRegLoss(invariance_lambda=0, variance_mu=weight, covariance_v=0)
    expected = vicreg(images, ref_emb=images)
    assert float(expected.detach()) > 0.01
    assert_equal(values[1] - values[0], expected, [images], [images])


MEMORY_CASES: list[tuple[LossConfig, MinerName]] = [
    (LinearContrastive(margin=1.3), "all"),
    (TwoMarginContrastive(margin=1.3, positive_margin=0.9, reduction="active"), "all"),
    (LinearContrastive(margin=0.9, distance="cosine"), "batch_hard"),
    (Triplet(), "all"),
    (Triplet(reduction="all"), "batch_hard"),
    (SoftTriplet(), "all"),
    (SupCon(), "none"),
    (NTXent(temperature=0.2), "none"),
    (InfoNCE(), "none"),
    (MultiSimilarity(), "none"),
    (Circle(), "none"),
]
with_each_memory_case = pytest.mark.parametrize(
    ("loss", "miner"),
    MEMORY_CASES,
    ids=lambda value: value if isinstance(value, str) else value.name,
)


def assert_equals_their_cross_batch_memory(
    loss: LossConfig, miner: MinerName, batches: list[list[int]]
) -> None:
    """Only values: theirs writes the batch into the memory and compares with it there, detached.

    Their memory therefore holds the batch beside what ours holds: two batches before it.
    """
    size = len(batches[0])
    config = ObjectiveConfig(
        loss=loss, miner=MinerConfig(name=miner), memory=MemoryConfig(size=2 * size)
    )
    objective = build(config, batches[0])
    chooser = pml_miners.BatchHardMiner(distance=distance_of(loss))
    memory = pml_losses.CrossBatchMemory(
        THEIRS[loss.name](loss, objective),
        DIM,
        memory_size=3 * size,
        miner=chooser if miner == "batch_hard" else None,
    )
    generator = torch.Generator().manual_seed(0)
    for labels in batches:
        images = torch.randn(size, DIM, dtype=torch.float64, generator=generator)
        found = objective(images, torch.tensor(labels), torch.Generator()).value
        expected = memory(images, torch.tensor(labels))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0, check_dtype=False)


@with_each_memory_case
def test_a_loss_with_a_memory_equals_their_cross_batch_memory(
    loss: LossConfig, miner: MinerName
) -> None:
    """The ring comes round, and holds at most K items of a class."""
    even, odd = [0, 0, 1, 2, 1, 2], [3, 4, 4, 3, 5, 5]
    assert_equals_their_cross_batch_memory(loss, miner, [even, odd, even, odd, even])


@with_each_memory_case
def test_a_memory_with_many_items_of_a_class_equals_their_cross_batch_memory(
    loss: LossConfig, miner: MinerName
) -> None:
    """Twice K items of each class are in the memory."""
    labels = [0, 0, 1, 2, 1, 2]
    assert_equals_their_cross_batch_memory(loss, miner, [labels] * 4)
