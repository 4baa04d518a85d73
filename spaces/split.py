"""How the classes of a data set are divided into sides."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from .record import Record, broken_rule

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class SplitConfig(Record):
    """How classes are divided: no class is ever on two sides, but `by: item`.

    Attributes:
        by: Whole groups (alphabets, scripts, categories), single classes, the rows of a `file`, or
            a published split: `omniglot_background` tests on the 20 evaluation alphabets and
            divides the others; `omniglot_vinyals` validates on 5 alphabets and tests on the 423
            characters of Vinyals et al. where the set has them; `mini_imagenet_ravi`; `cub_mlrc`.
            `item` divides the items of each class, for tasks that are judged on known classes.
        path: Of the CSV file, for `file`: columns name and side.
        validation: Share of the groups or classes that score the trials.
        test: Share that no trial can open.
        seed: Of the permutation that divides them.
        folds: Divides all but the test side into so many folds of equal size, of which one
            validates; null takes the share `validation`.
        fold: Which, from 0. Over all folds each group or class validates once.
    """

    by: Literal[
        "group",
        "class",
        "item",
        "file",
        "omniglot_background",
        "omniglot_vinyals",
        "mini_imagenet_ravi",
        "cub_mlrc",
    ] = "group"
    path: str | None = None
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    test: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    folds: Annotated[int, Field(ge=2)] | None = None
    fold: Annotated[int, Field(ge=0)] = 0

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what was not there in the first versions: recipes keep their names."""
        content: dict[str, Any] = plain(self)
        unused = {"path": None, "folds": None, "fold": 0}
        return {key: value for key, value in content.items() if unused.get(key, ...) != value}

    @model_validator(mode="after")
    def _path_goes_with_file(self) -> Self:
        if self.by == "file" and not self.path:
            raise broken_rule(
                "path",
                "must be given with by: file",
                f"path={self.path!r}",
                "name a CSV file with the columns name and side",
            )
        if self.by != "file" and self.path is not None:
            raise broken_rule(
                "path", "counts only with by: file", f"path={self.path!r}", "write by: file"
            )
        return self

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> Self:
        if self.folds is not None and self.fold >= self.folds:
            raise broken_rule(
                "fold",
                "must be < folds",
                f"fold={self.fold}, folds={self.folds}",
                f"write 0 to {self.folds - 1}",
            )
        if self.folds is None and self.fold and self.by in ("group", "class"):
            raise broken_rule(
                "fold", "counts only with folds", f"fold={self.fold}, folds=null", "write folds"
            )
        return self

    @model_validator(mode="after")
    def _leaves_classes_to_train_on(self) -> Self:
        if self.validation + self.test >= 1.0:
            raise broken_rule(
                "validation",
                "must be < 1 together with test, so that classes are left to train on",
                f"validation={self.validation:g}, test={self.test:g}",
                "lower one of them",
            )
        return self
