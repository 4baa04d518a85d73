"""Fixtures that the tests of several rooms share."""

from collections.abc import Iterator

import pytest

from tripletune.cluster import RaySession, open_session


@pytest.fixture(scope="session")
def ray_session() -> Iterator[RaySession]:
    """One private Ray of two CPUs for the whole run: it takes seconds to start.

    A test that takes this fixture is marked `ray`.
    """
    with open_session(num_cpus=2, num_gpus=0) as session:
        yield session
