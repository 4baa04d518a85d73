"""A study as a sampler sees it: some of its trials, told in a way the sampler can use."""

import copy
from collections.abc import Container, Sequence

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


class StudyView(Study):
    """The same study, whose trials are those it was given."""

    def __init__(
        self, study: Study, trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
    ) -> None:
        """Show these trials of a study.

        Args:
            study: Whose name and storage it has.
            trials: Instead of its own, by number.
            directions: Of the values of the trials.
        """
        self.__dict__.update(study.__dict__)
        self._directions = list(directions)
        self._trials = list(trials)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        found = [t for t in self._trials if states is None or t.state in states]
        return copy.deepcopy(found) if deepcopy else found
