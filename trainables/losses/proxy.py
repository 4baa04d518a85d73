"""The proxy losses: items against a learned vector of each training class.

Letters: B items, C classes, D embedding.

A proxy is drawn from the unit sphere, and only its direction counts. Proxies are trained with the
encoder, at a learning rate of their own (`optimizer.objective_rate`), stand in the checkpoint and
not in the export: they name training classes, which the encoder is never asked about.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...spaces import ArcFace as ArcFaceConfig
from ...spaces import CosFace as CosFaceConfig
from ...spaces import NormalizedSoftmax as NormalizedSoftmaxConfig
from ...spaces import ProxyAnchor as ProxyAnchorConfig
from ...spaces import ProxyNCA as ProxyNCAConfig
from ..distances import cosine_similarities, inner_products, normalise
from ..items import Items
from ..miners import Setting
from .log_sum_exp import log_sum_exp
from .output import LossOutput, mean_over, mean_over_all

SMALLEST_SINE = 1e-4
"""Of an angle to the own proxy: the derivative of the sine grows without bound towards 0."""


class ProxyNCA(nn.Module):
    """ProxyNCA++.

    L = mean over items of -log( exp(-|u - p_y|^2/T) / sum_c exp(-|u - p_c|^2/T) )

    u and p are unit vectors. Unlike ProxyNCA, the own proxy is in the denominator too, which makes
    the fraction a probability.

    Source: Teh, DeVries, Taylor 2020: ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood
    Component Analysis, arXiv 2004.01113, equation 6.
    """

    def __init__(self, config: ProxyNCAConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.proxies = _proxies(setting)

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        # |u - p|^2 = 2 - 2 s, and a constant changes no softmax.
        logits = _scaled_cosines(items, self.proxies, 2.0 / self.config.temperature)
        return _cross_entropy(logits, items.labels)


class NormalizedSoftmax(nn.Module):
    """Softmax over the cosines to all proxies.

    L = mean over items of -log( exp(s_y/T) / sum_c exp(s_c/T) )

    Source: Zhai, Wu 2019: Classification is a Strong Baseline for Deep Metric Learning,
    arXiv 1811.12649, equation 2.
    """

    def __init__(self, config: NormalizedSoftmaxConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.proxies = _proxies(setting)

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        logits = _scaled_cosines(items, self.proxies, 1.0 / self.config.temperature)
        return _cross_entropy(logits, items.labels)


class CosFace(nn.Module):
    """Large margin cosine loss.

    L = mean over items of
        -log( exp(z (s_y - m)) / (exp(z (s_y - m)) + sum_{c != y} exp(z s_c)) )

    Source: Wang et al. 2018: CosFace: Large Margin Cosine Loss for Deep Face Recognition,
    arXiv 1801.09414, equation 4.
    """

    def __init__(self, config: CosFaceConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.proxies = _proxies(setting)

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        scale = self.config.scale
        logits = _scaled_cosines(items, self.proxies, scale)  # (B, C)
        penalty = torch.full_like(items.labels, -scale * self.config.margin, dtype=logits.dtype)
        return _cross_entropy(
            logits.scatter_add(1, items.labels[:, None], penalty[:, None]), items.labels
        )


class ArcFace(nn.Module):
    """Additive angular margin loss.

    L = mean over items of
        -log( exp(z cos(t_y + m)) / (exp(z cos(t_y + m)) + sum_{c != y} exp(z s_c)) )

    t_y is the angle to the own proxy. Where t_y + m passes 180 degrees the cosine would rise
    again; there cos(t_y) - m sin(m) takes its place, as in the authors' program. The margin of the
    recipe is in degrees. The sine of the angle is kept above 1e-4, which bounds the gradient of an
    item that lies on its proxy.

    Source: Deng, Guo, Xue, Zafeiriou 2019: ArcFace: Additive Angular Margin Loss for Deep Face
    Recognition, arXiv 1801.07698, equation 3.
    """

    def __init__(self, config: ArcFaceConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.proxies = _proxies(setting)

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        margin = math.radians(self.config.margin)
        scale = self.config.scale
        logits = _scaled_cosines(items, self.proxies, scale)  # (B, C)
        own = logits.gather(1, items.labels[:, None]) / scale  # (B, 1)
        sine = (1.0 - own.square()).clamp_min(SMALLEST_SINE**2).sqrt()
        moved = own * math.cos(margin) - sine * math.sin(margin)  # cos(t + m)
        beyond = own - margin * math.sin(margin)
        target = scale * torch.where(own >= -math.cos(margin), moved, beyond)
        return _cross_entropy(logits.scatter(1, items.labels[:, None], target), items.labels)


class ProxyAnchor(nn.Module):
    """Proxy-anchor loss.

    L = mean over proxies with an item in the batch of log(1 + sum_p exp(-a (s_p - m)))
      + mean over all proxies of log(1 + sum_n exp(a (s_n + m)))

    The proxy is the anchor, and the batch its positives and negatives.

    Source: Kim, Kim, Cho, Kwak 2020: Proxy Anchor Loss for Deep Metric Learning, arXiv 2003.13911,
    equation 4.
    """

    def __init__(self, config: ProxyAnchorConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.proxies = _proxies(setting)

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        scale, margin = self.config.scale, self.config.margin
        cosines = cosine_similarities(self.proxies, items.anchors)  # (C, B)
        classes = torch.arange(len(self.proxies), device=cosines.device)
        is_own = classes[:, None] == items.labels  # (C, B)
        pull = scale * margin + log_sum_exp(cosines, is_own, -scale)  # (C,)
        push = scale * margin + log_sum_exp(cosines, ~is_own, scale)
        near, far = -functional.logsigmoid(-pull), -functional.logsigmoid(-push)
        own, all_others = mean_over(is_own.any(1), near), mean_over_all(far)
        num_active = own.num_active + all_others.num_active
        num_terms = is_own.any(1).sum() + len(far)
        return LossOutput(own.value + all_others.value, num_active / num_terms, num_active)


def _proxies(setting: Setting) -> nn.Parameter:
    """A direction for each class, (C, D), drawn by the seed of the setting."""
    generator = torch.Generator().manual_seed(setting.seed)
    directions = torch.randn(setting.num_classes, setting.embedding_dim, generator=generator)
    return nn.Parameter(functional.normalize(directions, dim=1))


def _scaled_cosines(items: Items, proxies: Tensor, scale: float) -> Tensor:
    """Scale * s of items and proxies, (B, C)."""
    return inner_products(normalise(items.anchors) * scale, normalise(proxies))


def _cross_entropy(logits: Tensor, labels: Tensor) -> LossOutput:
    terms = functional.cross_entropy(logits, labels, reduction="none")  # (B,)
    return mean_over_all(terms)
