"""What starts a cluster, checked without one: by Ray's, Kubernetes' and KubeRay's own rules."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from command_line import tripletune
from kuberay_schema import RESOURCES
from ruamel.yaml import YAML

from tripletune.cluster.manifests import MANIFESTS, PROVIDERS, ManifestOptions

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def documents(text: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(text))


def kuberay(**changes: Any) -> dict[str, dict[str, Any]]:
    """Its documents by kind."""
    found = documents(MANIFESTS["kuberay"](ManifestOptions(**changes)))
    return {document["kind"]: document for document in found}


@pytest.fixture(params=[0, 2], ids=["cpu", "gpu"])
def resources(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    return kuberay(gpus=request.param, name="team-a", image="registry/image:1.2")


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_kuberay_resource_has_no_field_that_kuberay_does_not_know(
    kind: str, resources: dict[str, dict[str, Any]]
) -> None:
    jsonschema.validate(resources[kind], RESOURCES[kind])


def test_schema_of_kuberay_finds_a_misspelt_field() -> None:
    cluster = kuberay()["RayCluster"]
    cluster["spec"]["rayVersoin"] = cluster["spec"].pop("rayVersion")

    with pytest.raises(jsonschema.ValidationError, match="rayVersoin"):
        jsonschema.validate(cluster, RESOURCES["RayCluster"])


def test_pods_and_volumes_are_valid_kubernetes(resources: dict[str, dict[str, Any]]) -> None:
    spec = resources["RayCluster"]["spec"]
    templates = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for template in templates:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "checked"},
            **template["template"],
        }
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    kubernetes_validate.validate(
        resources["PersistentVolumeClaim"], kubernetes_validate.latest_version(), strict=True
    )


def test_schema_of_kubernetes_finds_a_misspelt_field() -> None:
    pod = kuberay()["RayCluster"]["spec"]["headGroupSpec"]["template"]
    pod["spec"]["containers"][0]["imagee"] = "x"

    with pytest.raises(kubernetes_validate.ValidationError, match="imagee"):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checked"}, **pod},
            kubernetes_validate.latest_version(),
            strict=True,
        )


def test_kuberay_cluster_asks_for_a_token_and_keeps_what_the_head_knows() -> None:
    spec = kuberay(workers=7)["RayCluster"]["spec"]
    (head,) = spec["headGroupSpec"]["template"]["spec"]["containers"]
    (workers,) = spec["workerGroupSpecs"]

    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert {"name": "RAY_gcs_storage", "value": "rocksdb"} in head["env"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (0, 7)
    assert workers["template"]["spec"]["terminationGracePeriodSeconds"] > 60


@pytest.mark.parametrize("provider", PROVIDERS)
def test_ray_accepts_the_file_of_ray_up(provider: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    text = MANIFESTS["ray-up"](ManifestOptions(provider=provider, hosts=HOSTS))
    (config,) = documents(text)

    validate_config(prepare_config(config))
    starts = "\n".join(config["head_start_ray_commands"] + config["worker_start_ray_commands"])
    assert starts.count("RAY_AUTH_MODE=token") == 2
    assert "--dashboard-host=127.0.0.1" in starts
    assert "auth_token" in str(config["file_mounts"])


def test_schema_of_ray_up_finds_a_misspelt_field() -> None:
    from ray.autoscaler._private.util import validate_config

    (config,) = documents(MANIFESTS["ray-up"](ManifestOptions()))

    with pytest.raises(jsonschema.ValidationError, match="max_wrokers"):
        validate_config(config | {"max_wrokers": 3})


@pytest.mark.parametrize("changes", [{}, {"gpus": 0, "partition": "long"}])
def test_slurm_script_is_clean_shell(changes: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "search.sh"
    script.write_text(MANIFESTS["slurm"](ManifestOptions(**changes)))

    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_slurm_job_is_told_before_its_end_queued_again_and_resumed(tmp_path: Path) -> None:
    """The script itself, with SLURM's commands played by a few lines of shell."""
    script = tmp_path / "search.sh"
    script.write_text(MANIFESTS["slurm"](ManifestOptions(storage="file:///shared/runs")))
    (tmp_path / "bin").mkdir()
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "activate").write_text("")
    for name, body in {
        "scontrol": 'if [ "$1" = show ]; then echo node1; else echo "$@" >>"$SAID"; fi',
        # As srun does, it hands SIGTERM on to what it runs.
        "srun": "shift; trap 'kill -TERM $!; wait $!' TERM; \"$@\" & wait $!",
        "ray": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
        "tripletune": 'echo "tripletune $*" >>"$SAID"; trap "exit 143" TERM; '
        'if [ "$1" = search ]; then kill -TERM "$SCRIPT"; while :; do sleep 0.05; done; fi',
    }.items():
        command = tmp_path / "bin" / name
        command.write_text(f"#!/bin/bash\n{body}\n")
        command.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "SAID": str(tmp_path / "said"),
        "SLURM_JOB_ID": "77",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
    }
    (tmp_path / "bin" / "python").symlink_to(shutil.which("python3") or "/usr/bin/python3")

    first = subprocess.run(
        ["bash", "-c", f'export SCRIPT=$$; exec bash "{script}"'],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    token = tmp_path / ".ray" / "tripletune-77.token"
    kept = token.read_text()
    second = subprocess.run(
        ["bash", script],
        env=environment | {"SLURM_RESTART_COUNT": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0].startswith("tripletune search quickstart --name tripletune-77 --trials 100")
    assert said[1:] == [
        "requeue 77",
        "tripletune resume tripletune-77 --storage file:///shared/runs --address node1:20077",
    ]
    assert re.fullmatch("[0-9a-f]{64}", kept)
    assert not token.exists()


def test_image_runs_an_init_and_not_as_root() -> None:
    lines = MANIFESTS["docker"](ManifestOptions()).splitlines()
    instructions = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]

    assert instructions[0] == "FROM"
    assert instructions.index("USER") > max(
        index for index, word in enumerate(instructions) if word == "RUN"
    )
    assert 'ENTRYPOINT ["/usr/bin/tini", "--"]' in lines
    assert any("RAY_AUTH_MODE=token" in line for line in lines)
    text = "\n".join(lines)
    assert "--no-install-recommends" in text
    assert "rm -rf /var/lib/apt/lists" in text
    assert ":latest" not in next(line for line in lines if line.startswith("FROM"))


@pytest.mark.parametrize("kind", sorted(MANIFESTS))
def test_no_template_is_left_unfilled(kind: str) -> None:
    text = MANIFESTS[kind](ManifestOptions(name="filled", storage="gs://b/r"))

    assert "${name}" not in text
    assert "${storage}" not in text
    assert max(len(line) for line in text.splitlines()) <= 110


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Upper"}, "name must be 1 to 40 small letters"),
        ({"workers": 0}, "workers must be >= 1, got 0"),
        ({"gpus": -1}, "gpus must be >= 0, got -1"),
        ({"provider": "azure"}, "provider must be one of aws, gcp, local, got"),
        ({"provider": "local"}, "hosts must name a head and at least one worker"),
        ({"time_limit": "12h"}, "time_limit must be HH:MM:SS or D-HH:MM:SS"),
        ({"space": "a; rm -rf ~"}, "space must hold no white space"),
        ({"image": "x`id`"}, "image must hold no white space, quotes"),
    ],
)
def test_what_no_cluster_takes_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ManifestOptions(**changes)


def test_command_writes_the_file_it_names(tmp_path: Path) -> None:
    done = tripletune(
        *("manifests", "slurm", "--workers", "3", "--to", tmp_path / "search.sh"), cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert "#SBATCH --nodes=3" in (tmp_path / "search.sh").read_text()
