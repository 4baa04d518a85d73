"""The losses that learn a vector, a proxy, for each training class."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..distributions import LogUniform, Uniform
from ..facts import LossFacts, Number
from ..record import Record
from .softmax import SquaredTemperature, Temperature

LogitScale = Annotated[
    float, Field(gt=0.0, le=1000.0), Number("1/similarity", LogUniform(8.0, 128.0))
]
SoftmaxMargin = Annotated[float, Field(ge=0.0, lt=2.0), Number("similarity", Uniform(0.0, 0.5))]


class ProxyNCA(Record):
    """ProxyNCA++: a softmax over the squared distances to all proxies."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(-|u - p_y|^2 / T) / sum_c exp(-|u - p_c|^2 / T) )",
        reduction="items",
        source="Teh, DeVries, Taylor 2020: ProxyNCA++, arXiv 2004.01113, equation 6",
        measure="squared distance of unit vectors",
        has_proxies=True,
    )

    name: Literal["proxy_nca"] = "proxy_nca"
    temperature: SquaredTemperature = 0.11


class ProxyAnchor(Record):
    """Proxy-anchor loss: each proxy against the whole batch."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="mean over proxies with items of log(1 + sum_p exp(-a (s - m))) + "
        "mean over proxies of log(1 + sum_n exp(a (s + m)))",
        reduction="proxies",
        source="Kim, Kim, Cho, Kwak 2020: Proxy Anchor Loss for Deep Metric Learning, "
        "arXiv 2003.13911, equation 4",
        has_proxies=True,
    )

    name: Literal["proxy_anchor"] = "proxy_anchor"
    margin: Annotated[float, Field(ge=0.0, lt=1.0), Number("similarity", Uniform(0.0, 0.3))] = 0.1
    scale: Annotated[
        float, Field(gt=0.0, le=1000.0), Number("1/similarity", LogUniform(8.0, 64.0))
    ] = 32.0


class NormalizedSoftmax(Record):
    """Softmax over the cosines to all proxies."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(s_y / T) / sum_c exp(s_c / T) )",
        reduction="items",
        source="Zhai, Wu 2019: Classification is a Strong Baseline for Deep Metric Learning, "
        "arXiv 1811.12649, equation 2",
        has_proxies=True,
    )

    name: Literal["normalized_softmax"] = "normalized_softmax"
    temperature: Temperature = 0.05


class CosFace(Record):
    """Softmax over cosines, with a margin on the cosine of the own class."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(z (s_y - m)) / (exp(z (s_y - m)) + sum_{c != y} exp(z s_c)) )",
        reduction="items",
        source="Wang et al. 2018: CosFace, arXiv 1801.09414, equation 4",
        has_proxies=True,
    )

    name: Literal["cosface"] = "cosface"
    margin: SoftmaxMargin = 0.35
    scale: LogitScale = 64.0


class ArcFace(Record):
    """Softmax over cosines, with a margin on the angle to the own class."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(z cos(t_y + m)) / (exp(z cos(t_y + m)) + sum_{c != y} exp(z s_c)) ), "
        "t_y the angle to the own proxy; cos(t_y) - m sin(m) where t_y + m is beyond 180 degrees",
        reduction="items",
        source="Deng, Guo, Xue, Zafeiriou 2019: ArcFace, arXiv 1801.07698, equation 3",
        measure="angle",
        has_proxies=True,
    )

    name: Literal["arcface"] = "arcface"
    margin: Annotated[float, Field(ge=0.0, lt=90.0), Number("degrees", Uniform(5.0, 40.0))] = 28.6
    scale: LogitScale = 64.0
