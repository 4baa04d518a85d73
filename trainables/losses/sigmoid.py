"""The sigmoid loss over pairs.

Letters: B anchors, R references, P classes, K samples of each.
"""

import math
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from ...spaces import BatchConfig
from ...spaces import SigmoidPair as SigmoidPairConfig
from ..distances import cosine_similarities
from ..items import Items
from ..miners import Setting
from .output import LossOutput, mean_over


class SigmoidPair(nn.Module):
    """Sigmoid loss: each pair is a yes-or-no question, is it one class?

    L = -(1/B) sum_i sum_{j != i} log sigmoid(z_ij (t s_ij + b)), z = +1 same class, -1 otherwise

    s is a cosine *similarity*: pulling a positive pair together raises t s + b and lowers the
    loss. The scale t and the bias b are learned, t through its logarithm, which keeps it positive.
    Every pair is valid, in a batch of one class too.

    Source: Zhai, Mustafa, Kolesnikov, Beyer 2023: Sigmoid Loss for Language Image Pre-Training,
    arXiv 2303.15343, equation 1; pairs are those of one batch, not of images with texts.
    """

    def __init__(self, config: SigmoidPairConfig, setting: Setting) -> None:
        super().__init__()
        bias = prior_bias(setting.batch) if config.bias == "auto" else config.bias
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        similarities = cosine_similarities(items.anchors, items.references)
        logits = self.log_scale.exp() * similarities + self.bias  # (B, R)
        terms = -functional.logsigmoid(torch.where(items.is_same_class(), logits, -logits))
        is_pair = items.is_other()
        output = mean_over(is_pair, terms)
        # The paper's sum over j and mean over i, not a mean over pairs.
        pairs_an_anchor = is_pair.sum() / len(items.labels)
        return replace(output, value=output.value * pairs_an_anchor)


def prior_bias(batch: BatchConfig) -> float:
    """The bias at which a model that knows nothing gives each pair its prior: log(p / (1 - p)).

    p = (K - 1) / (P K - 1) is the share of positives among the pairs of a batch; it is above 0 and
    below 1, since P and K are at least 2. 128 images, 4 a class: -3.7. The paper's start of -10 is
    for batches of 32 thousand.
    """
    return math.log((batch.samples - 1) / (batch.size - batch.samples))
