from tripletune.search.labels import SHORT_NAMES, short
from tripletune.spaces import LOSSES, MINERS


def test_names_fit_the_columns_of_the_tables_and_stay_apart() -> None:
    losses, miners = [short(name) for name in LOSSES], [short(name) for name in MINERS]
    assert max(map(len, losses)) <= 12
    assert max(map(len, miners)) <= 10
    assert len(set(losses)) == len(LOSSES)
    assert len(set(miners)) == len(MINERS)


def test_only_names_that_exist_are_shortened() -> None:
    assert set(SHORT_NAMES) <= {*LOSSES, *MINERS}
