"""Every loss and every miner from its paper, one pair and one triplet at a time, in float64.

This is the specification that the tests compare with: nothing here is shared with `trainables`.
A loss is a function of a batch (`Naive`), its record and what it learns; it gives the value and
its terms, those that `num_active` counts where they are above 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tripletune.spaces import (
    NCA,
    Angular,
    ArcFace,
    Circle,
    Contrastive,
    CosFace,
    InfoNCE,
    LiftedStructure,
    LinearContrastive,
    MarginLoss,
    MinerName,
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
)

Pair = tuple[int, int]
Triple = tuple[int, int, int]
Matrix = Sequence[Sequence[float]]
Terms = list[Tensor]
Result = tuple[Tensor, Terms]
State = Mapping[str, Tensor]


# Miners: plain numbers in, indices out.


def candidates(labels: Sequence[int], anchor: int) -> tuple[list[int], list[int]]:
    """The positives and the negatives of an anchor; a label below 0 is an empty place."""
    others = [j for j, label in enumerate(labels) if label >= 0 and j != anchor]
    positives = [j for j in others if labels[j] == labels[anchor]]
    return positives, [j for j in others if labels[j] != labels[anchor]]


def pick(items: Sequence[int], uniform: float) -> int:
    """The k-th of n items, k = floor(u n)."""
    return items[min(int(uniform * len(items)), len(items) - 1)]


def draw_by_density(
    negatives: Sequence[int], d: Sequence[float], uniform: float, dim: int
) -> list[int]:
    """Wu et al. 2017: P(n) ~ 1 / q(d), q(d) = d^(D-2) (1 - d^2/4)^((D-3)/2), d at least 0.5.

    None where no negative is nearer than 1.4, as in the authors' program.
    """
    near = [n for n in negatives if d[n] < 1.4]
    floored = [max(0.5, d[n]) for n in near]
    weights = [x ** (2 - dim) * (1 - x**2 / 4) ** ((3 - dim) / 2) for x in floored]
    rest = uniform * sum(weights)
    for n, weight in zip(near, weights, strict=True):
        rest -= weight
        if rest < 0:
            return [n]
    return []


def mined_triplets(
    miner: MinerName,
    distances: Matrix,
    labels: Sequence[int],
    uniform: Matrix,
    *,
    margin: float,
    dim: int,
) -> list[Triple]:
    """The triplets a miner keeps; distances[i][j] of anchor i and item j, the anchors first."""
    found: list[Triple] = []
    for a, d in enumerate(distances):
        positives, negatives = candidates(labels, a)
        if not positives or not negatives:
            continue
        nearest_positive = min(positives, key=d.__getitem__)
        farthest_positive = max(positives, key=d.__getitem__)
        nearest_negative = min(negatives, key=d.__getitem__)
        farthest_negative = max(negatives, key=d.__getitem__)
        random_positive = pick(positives, uniform[a][-1])
        gap = {(p, n): d[n] - d[p] for p in positives for n in negatives}
        band = {p: [n for n in negatives if 0 < gap[p, n] < margin] for p in positives}
        farther = {p: [n for n in negatives if gap[p, n] > 0] for p in positives}
        slots = list(zip(positives, uniform[a][: len(positives)], strict=True))
        chosen: list[Pair]
        match miner:
            case "none" | "all":
                chosen = list(gap)
            case "hard":
                chosen = [pair for pair in gap if gap[pair] <= 0]
            case "semi_hard":
                chosen = [pair for pair in gap if 0 < gap[pair] < margin]
            case "easy":
                chosen = [pair for pair in gap if gap[pair] > margin]
            case "batch_hard":
                chosen = [(farthest_positive, nearest_negative)]
            case "batch_easy":
                chosen = [(nearest_positive, farthest_negative)]
            case "easy_positive_hard":
                chosen = [(nearest_positive, nearest_negative)]
            case "easy_positive_semi_hard":
                beyond = farther[nearest_positive]
                nearest = sorted(beyond, key=d.__getitem__)[:1]
                chosen = [(nearest_positive, n) for n in nearest]
            case "semi_hard_or_hardest":
                chosen = [(p, min(band[p] or negatives, key=d.__getitem__)) for p in positives]
            case "semi_hard_random":
                chosen = [(p, pick(band[p], u)) for p, u in slots if band[p]]
            case "semi_hard_random_or_any":
                chosen = [(p, pick(band[p] or negatives, u)) for p, u in slots]
            case "semi_hard_nearest_or_farthest":
                chosen = [
                    (p, min(farther[p], key=d.__getitem__) if farther[p] else farthest_negative)
                    for p in positives
                ]
            case "distance_weighted":
                chosen = [(p, n) for p, u in slots for n in draw_by_density(negatives, d, u, dim)]
            case "random":
                chosen = [(random_positive, pick(negatives, uniform[a][0]))]
            case "random_positive_hard":
                chosen = [(random_positive, nearest_negative)]
            case "random_positive_semi_hard":
                near = [n for n in negatives if 0 <= gap[random_positive, n] < margin]
                chosen = [(random_positive, pick(near or negatives, uniform[a][0]))]
            case "mixed":
                of_positive = distances[random_positive]
                chosen = [(random_positive, min(negatives, key=of_positive.__getitem__))]
            case "multi_similarity":
                raise ValueError("multi_similarity keeps pairs, not triplets")
        found += [(a, p, n) for p, n in chosen]
    return found


def mined_pairs_by_similarity(
    similarities: Matrix, labels: Sequence[int], epsilon: float
) -> tuple[list[Pair], list[Pair]]:
    """Wang et al. 2019, equations 11 and 12."""
    kept_positives: list[Pair] = []
    kept_negatives: list[Pair] = []
    for i, s in enumerate(similarities):
        positives, negatives = candidates(labels, i)
        if not positives or not negatives:
            continue
        nearest_negative = max(s[n] for n in negatives)
        farthest_positive = min(s[p] for p in positives)
        kept_positives += [(i, p) for p in positives if s[p] - epsilon < nearest_negative]
        kept_negatives += [(i, n) for n in negatives if s[n] + epsilon > farthest_positive]
    return kept_positives, kept_negatives


class Naive:
    """A batch, and perhaps a memory behind it: anchors are the first `size` of the items."""

    def __init__(
        self,
        config: ObjectiveConfig,
        embeddings: Tensor,
        labels: Sequence[int],
        uniform: Matrix,
        *,
        memory: Tensor | None = None,
        memory_labels: Sequence[int] = (),
    ) -> None:
        self.config, self.uniform = config, uniform
        self.size, self.dim = embeddings.shape
        self.labels = [*labels, *memory_labels]
        self.raw = [*embeddings, *(() if memory is None else memory)]
        self.unit = [e / e.norm() for e in self.raw]
        self.e = self.unit if config.unit_norm else self.raw
        self.distance: str = getattr(config.loss, "distance", "cosine")
        self.margin: float = getattr(config.loss, "margin", 0.0)
        self._distances: dict[Pair, Tensor] = {}
        self._similarities: dict[Pair, Tensor] = {}

    @property
    def anchors(self) -> range:
        return range(self.size)

    def positives(self, i: int) -> list[int]:
        return candidates(self.labels, i)[0]

    def negatives(self, i: int) -> list[int]:
        return candidates(self.labels, i)[1]

    def items_of(self, label: int) -> list[int]:
        return [i for i in self.anchors if self.labels[i] == label]

    def classes(self) -> list[int]:
        return sorted(set(self.labels[: self.size]))

    def s(self, i: int, j: int) -> Tensor:
        """The cosine similarity."""
        if (i, j) not in self._similarities:
            self._similarities[i, j] = self.unit[i] @ self.unit[j]
        return self._similarities[i, j]

    def d(self, i: int, j: int) -> Tensor:
        """The distance of the loss."""
        if (i, j) not in self._distances:
            self._distances[i, j] = self._distance(i, j)
        return self._distances[i, j]

    def _distance(self, i: int, j: int) -> Tensor:
        match self.distance:
            case "euclidean":
                length: Tensor = torch.linalg.vector_norm(self.e[i] - self.e[j])
                return length
            case "squared_euclidean":
                return self.squared(i, j)
            case "cosine":
                return 1 - self.s(i, j)
            case "dot":
                return -self.product(i, j)
        raise ValueError(self.distance)

    def squared(self, i: int, j: int) -> Tensor:
        return torch.square(self.e[i] - self.e[j]).sum()

    def product(self, i: int, j: int) -> Tensor:
        return torch.dot(self.e[i], self.e[j])

    def triplets(self) -> list[Triple]:
        everything = range(len(self.labels))
        return mined_triplets(
            self.config.miner.name,
            [[float(self.d(i, j).detach()) for j in everything] for i in self.anchors],
            self.labels,
            self.uniform,
            margin=self.margin,
            dim=self.dim,
        )

    def pairs(self) -> tuple[list[Pair], list[Pair]]:
        """The positive and the negative pairs that the loss sees, each once."""
        miner = self.config.miner
        if miner.name in ("none", "all"):
            return (
                [(i, j) for i in self.anchors for j in self.positives(i)],
                [(i, j) for i in self.anchors for j in self.negatives(i)],
            )
        if miner.name == "multi_similarity":
            everything = range(len(self.labels))
            similarities = [
                [float(self.s(i, j).detach()) for j in everything] for i in self.anchors
            ]
            return mined_pairs_by_similarity(similarities, self.labels, miner.epsilon)
        triplets = self.triplets()
        return sorted({(a, p) for a, p, _ in triplets}), sorted({(a, n) for a, _, n in triplets})


# What the formulas are written with.


def total(terms: Terms) -> Tensor:
    return torch.stack(terms).sum() if terms else torch.zeros((), dtype=torch.float64)


def mean(terms: Terms) -> Tensor:
    return total(terms) / max(1, len(terms))


def above_zero(terms: Terms) -> Terms:
    return [term for term in terms if term > 0]


def cross_entropy(own: Tensor, others: Terms) -> Tensor:
    """-log( exp(own) / (exp(own) + sum of exp(other)) )."""
    return -torch.log(torch.exp(own) / (torch.exp(own) + total([torch.exp(x) for x in others])))


def log_one_plus(terms: Terms) -> Tensor:
    return torch.log(1 + total(terms))


# Contrastive losses.


def mean_apart(pull: Terms, push: Terms, reduction: str) -> Result:
    if reduction == "active":
        return mean(above_zero(pull)) + mean(above_zero(push)), pull + push
    return mean(pull) + mean(push), pull + push


def contrastive(b: Naive, loss: Contrastive, state: State) -> Result:
    positives, negatives = b.pairs()
    pull = [b.d(i, p) ** 2 / 2 for i, p in positives]
    push = [torch.relu(loss.margin - b.d(i, n)) ** 2 / 2 for i, n in negatives]
    return mean_apart(pull, push, loss.reduction)


def squared_contrastive(b: Naive, loss: SquaredContrastive, state: State) -> Result:
    positives, negatives = b.pairs()
    pull = [b.d(i, p) ** 2 for i, p in positives]
    push = [torch.relu(loss.margin - b.d(i, n)) ** 2 for i, n in negatives]
    return mean_apart(pull, push, loss.reduction)


def mixed_contrastive(b: Naive, loss: MixedContrastive, state: State) -> Result:
    positives, negatives = b.pairs()
    pull = [b.d(i, p) ** 2 / 2 for i, p in positives]
    push = [torch.relu(loss.margin - b.d(i, n)) for i, n in negatives]
    return mean_apart(pull, push, loss.reduction)


def linear_contrastive(b: Naive, loss: LinearContrastive, state: State) -> Result:
    positives, negatives = b.pairs()
    pull = [b.d(i, p) for i, p in positives]
    push = [torch.relu(loss.margin - b.d(i, n)) for i, n in negatives]
    return mean_apart(pull, push, loss.reduction)


def two_margin_contrastive(b: Naive, loss: TwoMarginContrastive, state: State) -> Result:
    positives, negatives = b.pairs()
    pull = [torch.relu(b.d(i, p) - loss.positive_margin) for i, p in positives]
    push = [torch.relu(loss.margin - b.d(i, n)) for i, n in negatives]
    return mean_apart(pull, push, loss.reduction)


# Triplet losses.


def triplet(b: Naive, loss: Triplet, state: State) -> Result:
    terms = [torch.relu(b.d(a, p) - b.d(a, n) + loss.margin) for a, p, n in b.triplets()]
    return mean(above_zero(terms) if loss.reduction == "active" else terms), terms


def triplet_swap(b: Naive, loss: TripletSwap, state: State) -> Result:
    terms = [
        torch.relu(b.d(a, p) - torch.minimum(b.d(a, n), b.d(p, n)) + loss.margin)
        for a, p, n in b.triplets()
    ]
    return mean(above_zero(terms) if loss.reduction == "active" else terms), terms


def soft_triplet(b: Naive, loss: SoftTriplet, state: State) -> Result:
    terms = [torch.log(1 + torch.exp(b.d(a, p) - b.d(a, n))) for a, p, n in b.triplets()]
    return mean(terms), terms


def margin(b: Naive, loss: MarginLoss, state: State) -> Result:
    triplets = b.triplets()
    if not triplets:
        return mean([]), []
    learned = state.get("beta", torch.tensor(loss.beta, dtype=torch.float64))
    beta = [
        learned[b.labels[a]] if loss.learn_beta == "class" else learned for a, _, _ in triplets
    ]
    near, far = [], []
    for (a, p, n), boundary in zip(triplets, beta, strict=True):
        near.append(torch.relu(loss.margin + b.d(a, p) - boundary))
        far.append(torch.relu(loss.margin - b.d(a, n) + boundary))
    num_active = max(1, len(above_zero(near)) + len(above_zero(far)))
    value = total(near + far) / num_active
    if loss.learn_beta == "global":
        value = value + loss.beta_penalty * learned.reshape(())
    if loss.learn_beta == "class":
        value = value + loss.beta_penalty * total(beta) / num_active
    return value, near + far


def angular(b: Naive, loss: Angular, state: State) -> Result:
    tan_squared = math.tan(math.radians(loss.angle)) ** 2
    terms = []
    for a in b.anchors:
        for p in b.positives(a):
            apart = 2 * (1 + tan_squared) * b.product(a, p)
            terms.append(
                log_one_plus(
                    [
                        torch.exp(4 * tan_squared * ((b.e[a] + b.e[p]) @ b.e[n]) - apart)
                        for n in b.negatives(a)
                    ]
                )
            )
    return mean(terms), terms


# Softmax and sigmoid losses.


def supcon(b: Naive, loss: SupCon, state: State) -> Result:
    terms = []
    for i in b.anchors:
        everything = b.positives(i) + b.negatives(i)
        denominator = total([torch.exp(b.s(i, k) / loss.temperature) for k in everything])
        own = [
            -torch.log(torch.exp(b.s(i, p) / loss.temperature) / denominator)
            for p in b.positives(i)
        ]
        terms += [mean(own)] if own else []
    return mean(terms), terms


def nt_xent(b: Naive, loss: NTXent, state: State) -> Result:
    positives, negatives = b.pairs()
    terms = []
    for i, p in positives:
        others = [b.s(i, n) / loss.temperature for j, n in negatives if j == i]
        terms.append(cross_entropy(b.s(i, p) / loss.temperature, others))
    return mean(terms), terms


def info_nce(b: Naive, loss: InfoNCE, state: State) -> Result:
    terms = []
    for i in b.anchors:
        others = [b.product(i, n) / loss.temperature for n in b.negatives(i)]
        terms += [
            cross_entropy(b.product(i, p) / loss.temperature, others) for p in b.positives(i)
        ]
    return mean(terms), terms


def n_pair(b: Naive, loss: NPair, state: State) -> Result:
    pairs = []
    for label in b.classes():
        ranked = sorted(b.items_of(label), key=lambda i: b.uniform[i][-1])
        pairs += [(ranked[0], ranked[1])] if len(ranked) > 1 else []
    terms = []
    for a, p in pairs:
        others = [b.product(a, q) - b.product(a, p) for _, q in pairs if q != p]
        terms.append(log_one_plus([torch.exp(x) for x in others]))
    norms = [(b.e[i] ** 2).sum() for pair in pairs for i in pair]
    return mean(terms) + loss.norm_penalty * mean(norms), terms


def neighbourhood(b: Naive, temperature: float) -> Result:
    terms = []
    for i in b.anchors:
        near = [torch.exp(-b.squared(i, p) / temperature) for p in b.positives(i)]
        far = [torch.exp(-b.squared(i, n) / temperature) for n in b.negatives(i)]
        terms += [-torch.log(total(near) / total(near + far))] if near else []
    return mean(terms), terms


def soft_nearest_neighbor(b: Naive, loss: SoftNearestNeighbor, state: State) -> Result:
    return neighbourhood(b, loss.temperature)


def nca(b: Naive, loss: NCA, state: State) -> Result:
    return neighbourhood(b, 1.0)


def prototypical(b: Naive, loss: Prototypical, state: State) -> Result:
    prototypes, queries = {}, []
    for label in b.classes():
        ranked = sorted(b.items_of(label), key=lambda i: b.uniform[i][-1])
        prototypes[label] = torch.stack([b.e[i] for i in ranked[: loss.shots]]).mean(0)
        queries += [(i, label) for i in ranked[loss.shots :]]
    terms = []
    for i, label in queries:
        logits = {c: -((b.e[i] - prototypes[c]) ** 2).sum() for c in prototypes}
        terms.append(cross_entropy(logits.pop(label), list(logits.values())))
    return mean(terms), terms


def sigmoid_pair(b: Naive, loss: SigmoidPair, state: State) -> Result:
    scale, bias = torch.exp(state["log_scale"]), state["bias"]
    terms = []
    for i in b.anchors:
        for z, others in ((1, b.positives(i)), (-1, b.negatives(i))):
            terms += [-torch.log(torch.sigmoid(z * (scale * b.s(i, j) + bias))) for j in others]
    return total(terms) / b.size, terms


def smooth_ap(b: Naive, loss: SmoothAP, state: State) -> Result:
    def rank(i: int, p: int, items: list[int]) -> Tensor:
        steps = [
            torch.sigmoid((b.s(i, k) - b.s(i, p)) / loss.temperature) for k in items if k != p
        ]
        return 1 + total(steps)

    terms = []
    for i in b.anchors:
        if b.positives(i):
            relevant = b.positives(i) + ([i] if loss.count_query else [])
            everything = relevant + b.negatives(i)
            precisions = [rank(i, p, relevant) / rank(i, p, everything) for p in relevant]
            terms.append(1 - mean(precisions))
    return mean(terms), terms


# Losses that weigh pairs.


def multi_similarity(b: Naive, loss: MultiSimilarity, state: State) -> Result:
    positives, negatives = b.pairs()
    terms = []
    for i in b.anchors:
        near = [
            torch.exp(-loss.alpha * (b.s(i, p) - loss.threshold)) for j, p in positives if j == i
        ]
        far = [torch.exp(loss.beta * (b.s(i, n) - loss.threshold)) for j, n in negatives if j == i]
        terms.append(log_one_plus(near) / loss.alpha + log_one_plus(far) / loss.beta)
    return mean(terms), terms


def circle(b: Naive, loss: Circle, state: State) -> Result:
    m, gamma = loss.relaxation, loss.scale
    terms = []
    for i in b.anchors:
        far, near = [], []
        for n in b.negatives(i):
            weight = torch.relu(b.s(i, n).detach() + m)  # O_n = -m
            far.append(torch.exp(gamma * weight * (b.s(i, n) - m)))
        for p in b.positives(i):
            weight = torch.relu(1 + m - b.s(i, p).detach())  # O_p = 1 + m
            near.append(torch.exp(-gamma * weight * (b.s(i, p) - (1 - m))))
        terms += [torch.log(1 + total(far) * total(near))] if far and near else []
    return mean(terms), terms


def lifted_structure(b: Naive, loss: LiftedStructure, state: State) -> Result:
    terms = []
    for i in b.anchors:
        for j in b.positives(i):
            far = [torch.exp(loss.margin - b.d(k, n)) for k in (i, j) for n in b.negatives(k)]
            terms += [torch.relu(torch.log(total(far)) + b.d(i, j)) ** 2 / 2] if far else []
    return mean(terms), terms


def ranked_list(b: Naive, loss: RankedList, state: State) -> Result:
    ball = loss.boundary - loss.margin
    terms = []
    for i in b.anchors:
        beyond = [b.d(i, p) - ball for p in b.positives(i) if b.d(i, p) > ball]
        within = [loss.boundary - b.d(i, n) for n in b.negatives(i) if b.d(i, n) < loss.boundary]
        near = weighted_mean(beyond, loss.positive_temperature)
        far = weighted_mean(within, loss.negative_temperature)
        terms.append((1 - loss.negative_share) * near + loss.negative_share * far)
    return mean(terms), terms


def weighted_mean(excesses: Terms, temperature: float) -> Tensor:
    if not excesses:
        return mean([])
    weights = [torch.exp(temperature * x.detach()) for x in excesses]
    return total([w * x for w, x in zip(weights, excesses, strict=True)]) / total(weights)


# Losses with proxies.


def proxy_cosines(b: Naive, state: State, i: int) -> list[Tensor]:
    return [b.unit[i] @ (p / p.norm()) for p in state["proxies"]]


def classify(
    b: Naive, state: State, own_logit: Callable[[Tensor], Tensor], scale: float
) -> Result:
    """Cross entropy over the proxies, with another logit for the own one."""
    terms = []
    for i in b.anchors:
        cosines = proxy_cosines(b, state, i)
        own = cosines.pop(b.labels[i])
        terms.append(cross_entropy(own_logit(own), [scale * s for s in cosines]))
    return mean(terms), terms


def proxy_nca(b: Naive, loss: ProxyNCA, state: State) -> Result:
    terms = []
    for i in b.anchors:
        logits = [
            -((b.unit[i] - p / p.norm()) ** 2).sum() / loss.temperature for p in state["proxies"]
        ]
        terms.append(cross_entropy(logits.pop(b.labels[i]), logits))
    return mean(terms), terms


def proxy_anchor(b: Naive, loss: ProxyAnchor, state: State) -> Result:
    cosines = [proxy_cosines(b, state, i) for i in b.anchors]
    near, far = [], []
    for c in range(len(state["proxies"])):
        own = [torch.exp(-loss.scale * (cosines[i][c] - loss.margin)) for i in b.items_of(c)]
        near += [log_one_plus(own)] if own else []
        others = [i for i in b.anchors if b.labels[i] != c]
        far.append(
            log_one_plus([torch.exp(loss.scale * (cosines[i][c] + loss.margin)) for i in others])
        )
    return mean(near) + mean(far), near + far


def normalized_softmax(b: Naive, loss: NormalizedSoftmax, state: State) -> Result:
    return classify(b, state, lambda s: s / loss.temperature, 1 / loss.temperature)


def cosface(b: Naive, loss: CosFace, state: State) -> Result:
    return classify(b, state, lambda s: loss.scale * (s - loss.margin), loss.scale)


def arcface(b: Naive, loss: ArcFace, state: State) -> Result:
    m = math.radians(loss.margin)

    def own_logit(s: Tensor) -> Tensor:
        angle = torch.arccos(s)
        bent = torch.cos(angle + m) if angle + m <= math.pi else s - m * math.sin(m)
        return loss.scale * bent

    return classify(b, state, own_logit, loss.scale)


NAIVE: dict[str, Callable[[Naive, Any, State], Result]] = {
    "contrastive": contrastive,
    "squared_contrastive": squared_contrastive,
    "mixed_contrastive": mixed_contrastive,
    "linear_contrastive": linear_contrastive,
    "two_margin_contrastive": two_margin_contrastive,
    "triplet": triplet,
    "triplet_swap": triplet_swap,
    "soft_triplet": soft_triplet,
    "margin": margin,
    "angular": angular,
    "supcon": supcon,
    "nt_xent": nt_xent,
    "info_nce": info_nce,
    "n_pair": n_pair,
    "soft_nearest_neighbor": soft_nearest_neighbor,
    "nca": nca,
    "prototypical": prototypical,
    "sigmoid_pair": sigmoid_pair,
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


def variance(b: Naive, add_on: VarianceConfig) -> Tensor:
    """VICReg's hinge on the standard deviation, of unit vectors in units of 1/sqrt(D)."""
    rows = [b.unit[i] * b.dim**0.5 if b.config.unit_norm else b.raw[i] for i in b.anchors]
    hinges = []
    for k in range(b.dim):
        column = [row[k] for row in rows]
        centre = mean(column)
        spread = total([(x - centre) ** 2 for x in column]) / (len(column) - 1)
        hinges.append(torch.relu(add_on.target - torch.sqrt(spread + 1e-4)))
    return add_on.weight * mean(hinges)
