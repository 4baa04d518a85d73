"""A cluster of three hosts with disks of their own, and a fourth with nothing but HTTP."""

from collections.abc import Iterator

import pytest
from command_line import ROOT
from hosts import OWN, missing
from ray_hosts import RayHosts, ray_hosts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayHosts]:
    """Head and two workers, started once."""
    with ray_hosts() as made:
        made.start_head()
        made.start_workers("one", "two")
        yield made


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({}, 0, ""),
        ({"RAY_AUTH_TOKEN": "0" * 64}, 1, "refused the token; set RAY_AUTH_MODE=token and"),
        (
            {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""},
            1,
            "asks for a token, and none was sent; set RAY_AUTH_MODE=token and",
        ),
    ],
    ids=["right", "wrong", "missing"],
)
def test_token(changes: dict[str, str], status: int, message: str, cluster: RayHosts) -> None:
    listed = cluster.tripletune("jobs", **changes)

    assert listed.returncode == status
    assert message in listed.stderr
    assert len(listed.stderr.splitlines()) == (status != 0)


def test_disks_that_are_not_shared_are_refused_before_the_first_trial(cluster: RayHosts) -> None:
    one = cluster.hosts["one"]
    refused = one.run(
        *("tripletune", "search", "quickstart", "--address", f"{cluster.hosts['head'].ip}:6379"),
        *("--trials", "1", "--no-wandb", "--runs", f"{OWN}/runs"),
        environment=cluster.node_environment(one) | {"PYTHONPATH": str(ROOT / ".pkg")},
    )

    assert refused.returncode == 1
    assert "must be readable and writable from every node" in refused.stderr
    assert "the disk is its own" in refused.stderr
    assert "s3://" in refused.stderr
