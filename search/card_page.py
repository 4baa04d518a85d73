"""A data card as text, a picture and a page."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .folder import write_text

if TYPE_CHECKING:
    from ..trainables.data.card import DataCard

FORMATS = (".html", ".png", ".json")
CAPTION = 14
"""Characters of a caption below a picture."""


def card_lines(content: Mapping[str, Any]) -> list[str]:
    """The card as lines of at most 80 columns, but for names that are longer."""
    counts, split, copies = content["images_per_class"], content["split"], content["copies"]
    sides = {
        f"  {side}": f"{sizes['classes']} classes ({sizes['images']} images) of "
        f"{_groups(sizes['groups'])}"
        for side, sizes in split["sides"].items()
        if sizes["classes"]
    }
    within, between, across = (
        copies[name]["images"] for name in ("within_a_class", "between_classes", "across_sides")
    )
    images = f"{content['images']} in {content['classes']} classes, {_groups(content['groups'])}"
    alike = f"{copies['exact']} exact; nearly the same: {within} within a class, {between} between"
    rows = [
        ("data", content["data"]),
        ("images", images),
        (
            "a class",
            f"{counts['smallest']} to {counts['largest']} images, median {counts['median']:g}",
        ),
        *_file_rows(content["files"]),
        ("split", f"by {split['by']}, hash {split['hash'][:12]}"),
        *sides.items(),
        ("copies", alike),
        ("", f"classes, {across} across the sides of the split"),
    ]
    lines = [f"{name:<12} {value}" for name, value in rows]
    return [*lines, *(f"! {note}" for note in content["notes"])]


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count} groups"


def _file_rows(files: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if files is None:
        return []
    formats = ", ".join(f"{count} {name}" for name, count in files["formats"].items())
    (low, middle, high), (short, usual, tall) = files["widths"], files["heights"]
    rows = [
        ("files", formats),
        ("size", f"{low}x{short} to {high}x{tall} pixels, median {middle}x{usual}"),
        ("smallest", files["smallest"]),
        ("largest", files["largest"]),
    ]
    damaged = files["damaged"]
    rows += [("damaged", name) for name in damaged[:5]]
    if len(damaged) > 5:
        rows.append(("", f"and {len(damaged) - 5} more: see --json"))
    return rows


def write_card(card: "DataCard", path: Path) -> None:
    """Write the card as a page, a picture or plain data, by the ending of the file.

    Raises:
        ValueError: If the ending is another.
    """
    import json

    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise ValueError(f"--to must end in {', '.join(FORMATS)}, got {path}; name another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".png":
        path.write_bytes(card_picture(card))
    elif ending == ".json":
        write_text(path, json.dumps(card.content, indent=2) + "\n")
    else:
        write_text(path, card_page(card))


def card_picture(card: "DataCard") -> bytes:
    """The picture of the extremes as a PNG file: sizes of classes, and strips of images."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    content = card.content
    most = max(len(strip.images) for strip in card.strips)
    figure = Figure(figsize=(11, 2.4 + 1.35 * len(card.strips)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{Path(content['data']).name}: {content['images']} images, {content['classes']} classes"
    )
    heights = [2.0] + [1.35] * len(card.strips)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    chart = parts[0].subplots()
    by_count = {int(k): v for k, v in content["images_per_class"]["classes_by_count"].items()}
    chart.hist(
        list(by_count),
        weights=list(by_count.values()),
        bins=min(40, max(1, len(by_count))),
        color="#4477aa",
    )
    chart.set_xlabel("images of a class")
    chart.set_ylabel("classes")
    chart.yaxis.get_major_locator().set_params(integer=True)
    for part, strip in zip(parts[1:], card.strips, strict=True):
        part.suptitle(strip.title, fontsize=9, x=0.01, ha="left")
        for place, axis in enumerate(part.subplots(1, most, squeeze=False)[0]):
            axis.set_axis_off()
            if place >= len(strip.images):
                continue
            pixels = np.moveaxis(strip.images[place], 0, -1)
            axis.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
            axis.set_title(_short(strip.captions[place]), fontsize=5, pad=1, parse_math=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()


def _short(caption: str) -> str:
    """The end of a name, which tells classes of one group apart."""
    return caption if len(caption) <= CAPTION else f"…{caption[-CAPTION + 1 :]}"


def card_page(card: "DataCard") -> str:
    """The card as one HTML file that needs nothing else."""
    content = card.content
    picture = base64.b64encode(card_picture(card)).decode()
    lines = html.escape("\n".join(card_lines(content)))
    counts = content["images_per_class"]
    tables = [
        _table("Fewest images", ("class", "images"), counts["fewest"]),
        _table("Most images", ("class", "images"), counts["most"]),
    ]
    for name, title in (
        ("across_sides", "Nearly the same, across the sides"),
        ("between_classes", "Nearly the same, of different classes"),
        ("within_a_class", "Nearly the same, of one class"),
    ):
        examples = content["copies"][name]["examples"]
        if examples:
            tables.append(_table(title, ("image", "image"), examples))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(Path(content["data"]).name)}: data card</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }}
pre {{ background: #f4f4f4; padding: 1rem; overflow-x: auto }}
img {{ max-width: 100% }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
td, th {{ padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left }}
</style></head><body>
<h1>{html.escape(Path(content["data"]).name)}</h1>
<pre>{lines}</pre>
<p><img alt="sizes of the classes and extreme images" src="data:image/png;base64,{picture}"></p>
<p>Pictures are of training and validation classes; those of the test side stay unseen.</p>
{"".join(tables)}
</body></html>
"""


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def row(cells: Sequence[Any], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f"<h2>{title}</h2><table><tr>{row(head, 'th')}</tr>{body}</table>\n"
