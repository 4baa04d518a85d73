"""Trains the baselines beside the trials: one Ray task with the resources of a trial."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..cluster import TrialResources
from ..spaces import TASKS, Recipe

if TYPE_CHECKING:
    import ray

    from ..trainables import TrialData
    from .shipping import Mapped
    from .study import Study

POLL_S = 0.5


@contextmanager
def baselines_beside(
    study: "Study",
    recipe: Recipe,
    shipment: "Mapped | ray.ObjectRef[TrialData]",
    resources: TrialResources,
    should_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> Iterator[None]:
    """Train the baselines of a study while its trials run, where it has none yet.

    They take the place of one trial until they are done. Where they fail, or the search has to
    stop before, it has none, and the next start trains them.

    Args:
        study: Keeps the scores.
        recipe: The first of the space: its encoder, batches, optimiser and budget.
        shipment: Its data.
        resources: Of a trial.
        should_stop: Asked again and again, once the trials are over and the baselines are not.
        say: Told that they are trained, and why there are none.
    """
    import ray

    if not _are_missing(recipe, study.settings.baselines):
        yield
        return
    train = ray.remote(
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        max_calls=1,  # its end gives the context on a GPU back
        max_retries=0,
    )(_train)
    say("one place trains the baselines first: untrained encoder, classifier")
    compute = recipe.compute.model_copy(update={"threads": max(1, int(resources.cpus))})
    # In a list, in which Ray does not look for what it could fetch itself.
    job = train.remote(
        recipe.model_copy(update={"compute": compute}), [shipment], resources.gpus > 0
    )
    try:
        yield
        while not ray.wait([job], timeout=POLL_S)[0]:
            if should_stop():
                return
        try:
            scores: dict[str, dict[str, Any]] = ray.get(job)
        except ray.exceptions.RayError as error:
            say(f"the baselines were not trained: {str(error).strip().splitlines()[-1]}")
        else:
            study.keep_baselines(scores)
    finally:
        ray.cancel(job, force=True)


def _are_missing(recipe: Recipe, there: Mapping[str, Any]) -> bool:
    """Whether they are still to be trained, and would say something of trials such as this one."""
    return TASKS[recipe.task.name].metric == "one_shot_accuracy" and "cross_entropy" not in there


def _train(
    recipe: Recipe, shipments: "list[Mapped | ray.ObjectRef[TrialData]]", uses_gpu: bool
) -> dict[str, dict[str, Any]]:
    from ..trainables import default_device, prepare
    from ..trainables.encoder_baselines import encoder_baselines
    from .shipping import receive

    (data,) = map(receive, shipments)
    device = default_device(is_gpu_allowed=uses_gpu)
    return encoder_baselines(recipe, prepare(data, recipe.evaluation, device))
