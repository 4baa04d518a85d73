"""The table of encoders and heads as text: for a terminal, and for the page of the docs."""

import inspect
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from .compatibility import numbers_of
from .encoders import ENCODER_RECORDS, ENCODERS
from .facts import EncoderFacts
from .head import HeadConfig
from .tables import labelled


def render_encoders() -> str:
    """Encoders, then heads, at most 80 columns wide."""
    lines: list[str] = []
    for name, facts in ENCODERS.items():
        lines += [name, *labelled("layers", facts.layers), *labelled("takes", _takes(facts))]
        for key in _keys(ENCODER_RECORDS[name]):
            lines += labelled("key", key)
        lines += [*labelled("pools", _pools(facts)), *labelled("source", facts.source), ""]
    lines += ["head", *(line for key in _keys(HeadConfig) for line in labelled("key", key))]
    return "\n".join(lines) + "\n"


def render_encoders_page() -> str:
    """The page of the docs, in Markdown."""
    lines = [
        "# Encoders",
        "",
        "Printed by `tripletune describe --encoders --markdown` from the records that spaces are",
        "checked against. An encoder is a backbone, and a head that makes an embedding of",
        "`embedding_dim` numbers of its features.",
        "",
        "| encoder | takes | keys: default, usual range of a search | `head.pool` |",
        "|---|---|---|---|",
    ]
    for name, facts in ENCODERS.items():
        keys = "<br>".join(_keys(ENCODER_RECORDS[name])).replace("|", "\\|")
        lines.append(f"| `{name}` | {_takes(facts)} | {keys} | {_pools(facts)} |")
    for name, facts in ENCODERS.items():
        record = ENCODER_RECORDS[name]
        lines += ["", f"## `{name}`", "", f"    {facts.layers}", "", *_documentation(record)]
        lines += [] if facts.source == "-" else ["", f"{facts.source}."]
    lines += ["", "## The head: `encoder.head`", "", *_documentation(HeadConfig), ""]
    lines += [f"- {key}" for key in _keys(HeadConfig)]
    return "\n".join([*lines, "", *_PRETRAINED]) + "\n"


def _takes(facts: EncoderFacts) -> str:
    if facts.takes == "anything":
        return "images, vectors"
    unit = "pixels" if facts.takes == "images" else "values"
    least = f" of {facts.minimum} {unit} or more" if facts.minimum > 1 else " of any size"
    return f"{facts.takes}{least}"


def _pools(facts: EncoderFacts) -> str:
    return ", ".join(facts.pools) or "-"


def _keys(record: type[BaseModel]) -> Iterator[str]:
    """Each key of the record with its choices or its usual range, and its default."""
    numbers = numbers_of(record)
    for key, field in record.model_fields.items():
        if key in ("name", "head") and record is not HeadConfig:
            continue
        parts = [key]
        words = list(_words(field.annotation))
        if words and len(words) <= 4:
            parts.append(" | ".join(words))
        elif words:
            parts.append(f"one of {len(words)} names")
        if not field.is_required():
            parts.append(f"default {'null' if field.default is None else field.default}")
        if key in numbers:
            parts.append(f"usually {numbers[key].usual}")
        yield ", ".join(parts)


def _words(annotation: object) -> Iterator[str]:
    """The words of the literals that an annotation names."""
    for inner in get_args(annotation):
        if isinstance(inner, str):
            yield inner
        else:
            yield from _words(inner)


def _documentation(record: type[BaseModel]) -> list[str]:
    """What the record's docstring says, its attributes as a list."""
    text, _, attributes = inspect.cleandoc(record.__doc__ or "").partition("\n\nAttributes:\n")
    lines = text.splitlines()
    if attributes:
        lines.append("")
    for line in attributes.splitlines():
        is_key = line.startswith("    ") and not line.startswith("     ")
        key, _, rest = line.strip().partition(": ")
        lines.append(f"- `{key}`: {rest}" if is_key else f"  {line.strip()}")
    return lines


_PRETRAINED = """\
## Pretrained and frozen encoders

`resnet18`, `torchvision` and `timm` take `weights` and `train`. A file must hold every weight of
the backbone under the model's own names, or those of an exported `model.safetensors`; the
classifier's may be there too, and anything else is refused. With other than three channels, the
first convolution gets the sum of its weights over the colours, divided by the channels. Images
are normalised by the statistics of the training data, not by those of ImageNet.

```yaml
encoder:
  name: torchvision
  model: resnet50
  weights: imagenet
  train: last_k             # all | head | last_k
  last_blocks: 1
  head: {name: mlp, hidden: 512, layers: 2, pool: gem}
optimizer:
  learning_rate: 0.001
  backbone_rate: 0.1        # the backbone learns at 0.0001, the head at 0.001
objective:
  loss: {name: supcon}
```

The blocks of a model are its parts in the order in which images pass them (`layer1` to `layer4`
of a ResNet, the layers of a transformer); a lone norm belongs to the block before it. Frozen batch
norms keep their statistics. Dropout and stochastic depth are off, so that a resumed trial repeats
the interrupted one.

With `train: head` the backbone is run once over the training and the validation images. All trials
of a process that have this backbone share the features, and a step trains the head on features
that it gathers. Images then stay as they are: the recipe must say so, and is refused otherwise.
`head.pool: gem` learns, so it keeps whole maps instead of vectors, which takes more memory. The
export holds the whole encoder.

```yaml
encoder: {name: torchvision, model: resnet50, weights: imagenet, train: head}
augment: {probability: 0.0}
objective:
  loss: {name: supcon}
```""".splitlines()
