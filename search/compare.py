"""Compares families of recipes at the same budget: which differences between losses are real?

Each family is searched by itself, with as many trials and as many device-seconds as the others;
its best trial is trained again from fresh seeds on fresh episodes. What Musgrave, Belongie and Lim
2020 (A Metric Learning Reality Check, arXiv 2003.08505) did by hand, on the user's data.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cluster import open_session, plan_slots
from ..spaces import Space
from .comparison_pages import write_pages
from .confirm import ConfirmOptions, confirm
from .confirmation import ConfirmedRun, ConfirmFolder, rank_confirmed
from .divided import families
from .finalists import Family, finalists
from .folder import StudyError, StudyFolder, new_study_folder, read_yaml, write_text, write_yaml
from .live import LiveTable
from .options import SearchOptions
from .records import TrialRecord
from .runner import resume, run_search
from .study import Study


@dataclass(frozen=True)
class CompareOptions:
    """The budget of each family, and how its best is confirmed.

    Attributes:
        per: `loss` or `miner`.
        device_s: Device-seconds of each family's search: wall-clock seconds times trials at a
            time. None sets no limit beside the number of trials.
        search: Of each family's search; its `trials` are each family's.
        seeds: Fresh ones for the best of each family.
        episodes: Fresh ones.
    """

    per: Family = "loss"
    device_s: float | None = None
    search: SearchOptions = field(
        default_factory=lambda: SearchOptions(scheduler="none", wandb="off")
    )
    seeds: int = 5
    episodes: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what can't run.

        Raises:
            ValueError: With the option, the rule and the value.
        """
        if self.device_s is not None and self.device_s <= 0:
            raise ValueError(f"budget must be > 0 device-seconds, got {self.device_s:g}")
        ConfirmOptions(top=1, seeds=self.seeds, episodes=self.episodes)

    def to_dict(self) -> dict[str, Any]:
        """What two starts of one comparison must agree on."""
        return {
            "per": self.per,
            "device_s": self.device_s,
            "trials": self.search.trials,
            "scheduler": self.search.scheduler,
            "seeds": self.seeds,
            "episodes": self.episodes,
        }


def compare(
    space: Space,
    options: CompareOptions,
    *,
    name: str,
    runs: Path = Path("runs"),
    say: Callable[[str], None] = lambda line: None,
    live: LiveTable | None = None,
) -> dict[str, Any]:
    """Search every family, confirm its best, and write the comparison; goes on where it stopped.

    Args:
        space: What may be tried; see `families`.
        options: The budget.
        name: Of the comparison: its studies lie in `runs/NAME/FAMILY`.
        runs: Folder of all studies.
        say: Told what is done.
        live: Shows each search while it runs.

    Returns:
        The content of `runs/NAME/compare.json`.

    Raises:
        ValueError: If the space has no two families, or the options don't fit.
        StudyError: If there is another comparison of that name.
        SearchInterrupted: At Ctrl-C and the like; so does `ConfirmInterrupted`.
    """
    spaces = families(space, options.per)
    folder = new_study_folder(name, runs).path
    _claim(folder, space, options)
    studies: dict[str, Study] = {}
    with open_session(options.search.address) as session:
        search = options.search
        plan = plan_slots(
            session.nodes(),
            search.cpus_per_trial,
            None if search.gpus_per_trial == "auto" else search.gpus_per_trial,
            search.concurrency,
        )
        for number, (family, of_family) in enumerate(spaces.items(), start=1):
            say(f"family {number} of {len(spaces)}: {family}")
            study = _search(folder / family, of_family, options, plan.concurrency, live)
            studies[family] = study
            if not finalists(study.leaderboard(), 1):
                say(f"{family} has no complete trial: it is not ranked")
                continue
            wanted = ConfirmOptions(
                top=1,
                seeds=options.seeds,
                episodes=options.episodes,
                concurrency=search.concurrency,
                cpus_per_trial=search.cpus_per_trial,
                gpus_per_trial=(
                    None if search.gpus_per_trial == "auto" else search.gpus_per_trial
                ),
                address=search.address,
            )
            confirm(study, wanted, say)
    content = summarize(name, options, studies)
    write_text(folder / "compare.json", json.dumps(content, indent=1) + "\n")
    write_pages(folder, content, {family: study.records() for family, study in studies.items()})
    return content


def _claim(folder: Path, space: Space, options: CompareOptions) -> None:
    """Begin a comparison, or make sure that it is the one that is there."""
    content = {"space": space.text, **options.to_dict()}
    path = folder / "compare.yaml"
    if path.is_file():
        before = read_yaml(path)
        changed = [key for key, value in content.items() if before.get(key) != value]
        if changed:
            raise StudyError(
                f"comparison {folder.name} exists in {folder.parent} with another "
                f"{', '.join(changed)}: families must have the same budget. Choose another --name"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(path, content)


def _search(
    path: Path, space: Space, options: CompareOptions, concurrency: int, live: LiveTable | None
) -> Study:
    """One family's search, to the end of its trials or of its device-seconds."""
    folder = StudyFolder(path.resolve())
    if not folder.settings.is_file():
        limit = options.device_s and options.device_s / concurrency
        search = replace(options.search, time_budget_s=limit)
        return run_search(space, search, name=folder.name, runs=folder.path.parent, live=live)
    study = Study.open(folder)
    records = study.records()
    left = None
    if options.device_s is not None:
        left = (options.device_s - _device_seconds(records)) / concurrency
    is_over = len(records) >= options.search.trials and all(r.state != "running" for r in records)
    if is_over or (left is not None and left <= 0):
        return study
    return resume(study, replace(options.search, time_budget_s=left), live=live)


def _device_seconds(records: "tuple[TrialRecord, ...]") -> float:
    """Training and evaluation of all trials."""
    return sum(record.seconds for record in records)


def summarize(name: str, options: CompareOptions, studies: Mapping[str, Study]) -> dict[str, Any]:
    """The comparison as plain data: families by their confirmed score, with shared ranks.

    Args:
        name: Of the comparison.
        options: Its budget.
        studies: One a family, confirmed.
    """
    order = list(studies)
    tables, runs, best = {}, {}, {}
    for number, study in enumerate(studies.values()):
        folder = ConfirmFolder(study.folder.confirm)
        first = study.leaderboard().confirmed
        if not first:
            continue  # every seed failed
        best[number] = study.record(first[0].trial)
        mine: list[ConfirmedRun] = [r for r in folder.runs() if r.trial == first[0].trial]
        runs[number] = mine
        tables[number] = np.stack(
            [folder.scores(run) for run in mine if run.one_shot_accuracy is not None]
        )
    rows = [
        row.to_json() | _family(order[row.trial], studies[order[row.trial]], best[row.trial])
        for row in rank_confirmed(tables, runs)
    ]
    lost = [family for number, family in enumerate(order) if number not in tables]
    baselines = dict(next(iter(studies.values())).settings.baselines)
    return {
        "comparison": name,
        "budget": options.to_dict(),
        "families": rows,
        "without_a_score": lost,
        "baselines": baselines,
    }


def _family(name: str, study: Study, best: TrialRecord) -> dict[str, Any]:
    records, report, objective = study.records(), best.reports[-1], best.recipe.objective
    return {
        "family": name,
        "trial": best.number,
        "loss": objective.loss.name,
        "miner": objective.miner.name,
        "margin": getattr(objective.loss, "margin", None),
        "temperature": getattr(objective.loss, "temperature", None),
        "embedding_dim": best.recipe.encoder.embedding_dim,
        "selection": report.one_shot_accuracy,
        "selection_interval": [report.interval_low, report.interval_high],
        "trials": len(records),
        "complete": sum(record.state == "complete" for record in records),
        "device_seconds": _device_seconds(records),
    }
