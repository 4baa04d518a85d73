"""Reads the runs of a study back from W&B's server, through its public API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .found_run import FoundRun
from .run_content import StudyContent
from .wandb_uploader.login import has_login, own_settings, require_server, without_secrets
from .wandb_uploader.study_run import data_artifact, model_artifact

TIMEOUT_S = 30

PAGE_STEPS = 100_000


class WandbError(RuntimeError):
    """W&B's server cannot be asked; the message says why and what to do."""


class ServerRuns:
    """The runs of one project on W&B's server.

    Attributes:
        path: `ENTITY/PROJECT`.

    Args:
        project: Of W&B.

    Raises:
        WandbError: Without a login, or when the server cannot be reached or refuses the key.
    """

    def __init__(self, project: str) -> None:
        settings = own_settings()
        if not has_login(settings):
            raise WandbError(
                "there is no W&B login on this machine: run `wandb login`, or set WANDB_API_KEY; "
                "without a server, --offline reads the files"
            )
        self.path = project
        with mapped(settings.base_url):
            import wandb

            require_server(settings)
            self._api: Any = wandb.Api(timeout=TIMEOUT_S)
            self.path = f"{settings.entity or self._api.default_entity}/{project}"

    def found(self, run_id: str) -> FoundRun | None:
        """One run; None if the server has none of that id.

        Raises:
            WandbError: If the server cannot be asked.
        """
        run = self._run(run_id)
        if run is None:
            return None
        with mapped(self.path):
            found = FoundRun(
                group=run.group or "",
                tags=frozenset(run.tags),
                config={key: value for key, value in run.config.items() if key[0] != "_"},
                summary=dict(run.summary),
                is_finished=run.state not in ("running", "pending"),
                is_success=run.state == "finished",
            )
            for row in run.scan_history(page_size=PAGE_STEPS, use_cache=False):
                found.rows.setdefault(row["_step"], {}).update(row)
        return found

    def artifact_differences(self, content: StudyContent) -> list[str]:
        """How the artifacts of a study differ from its data and its exported model."""
        run = self._run(content.run.id)
        if run is None:
            return []
        lines = []
        with mapped(self.path):
            used = {
                artifact.source_name.split(":")[0]: artifact for artifact in run.used_artifacts()
            }
            for entry in content.data:
                if entry["name"] not in used:
                    lines.append(f"does not name the data {entry['name']} as its input")
                elif used[entry["name"]].digest != data_artifact(entry).digest:
                    lines.append(f"data {entry['name']} differ from the study's description")
            if content.model is not None:
                lines += self._model_differences(content.model)
        return lines

    def _model_differences(self, model: Mapping[str, Any]) -> Iterator[str]:
        name = f"{self.path}/{model['name']}:best"
        if not self._api.artifact_exists(name):
            yield f"there is no artifact {model['name']} with the alias best"
        elif self._api.artifact(name).digest != model_artifact(model).digest:
            yield f"artifact {model['name']}:best is not the exported model"

    def _run(self, run_id: str) -> Any:
        path = f"{self.path}/{run_id}"
        with mapped(self.path):
            try:
                return self._api.run(path)
            except Exception as error:
                if "could not find" in str(error).lower() or "not found" in str(error).lower():
                    return None
                raise


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """Errors of W&B's client as one of ours."""
    try:
        yield
    except WandbError:
        raise
    except Exception as error:  # the client raises a dozen kinds
        raise WandbError(
            f"W&B could not be asked at {where}: {without_secrets(str(error))}"
        ) from error
