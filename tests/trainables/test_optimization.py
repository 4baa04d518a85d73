"""Learning rate, parameter groups and the average of the weights."""

import pytest
import torch
from toy import recipe, trial_data

from tripletune.spaces import (
    HeadConfig,
    MinerConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ResNet12,
    SigmoidPair,
)
from tripletune.trainables import Trial, build_encoder, prepare
from tripletune.trainables.optimization import (
    WeightAverage,
    build_optimizer,
    learning_rate_at,
    set_learning_rate,
)

CONFIG = OptimizerConfig(learning_rate=0.1, warmup=0.2)


def test_the_rate_warms_up_to_its_peak_and_falls_to_zero() -> None:
    rates = [learning_rate_at(CONFIG, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1 / 20)
    assert rates[19] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(0.1)
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[60] == pytest.approx(0.05)
    assert 0 < rates[99] < 0.001


def test_a_constant_schedule_stays_at_its_peak() -> None:
    constant = CONFIG.model_copy(update={"schedule": "constant"})
    assert learning_rate_at(constant, 99, 100) == 0.1


@pytest.mark.parametrize("total", [1, 2, 7])
def test_the_shortest_budgets_have_a_rate(total: int) -> None:
    assert all(0 < learning_rate_at(CONFIG, step, total) <= 0.1 for step in range(total))


def test_weight_decay_goes_to_kernels_only_and_the_loss_is_trained_too() -> None:
    prepared = prepare(trial_data(), recipe().evaluation, torch.device("cpu"))
    objective = ObjectiveConfig(loss=SigmoidPair(), miner=MinerConfig(name="none"))
    trial = Trial(recipe(objective=objective), prepared)
    optimizer = build_optimizer(CONFIG, trial.training_encoder, trial._objective)
    decayed, plain, learned = optimizer.param_groups
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim <= 1 for p in plain["params"])
    assert plain["weight_decay"] == learned["weight_decay"] == 0.0
    parameters = list(trial._objective.parameters())
    assert len(parameters) == 2
    assert all(p is q for p, q in zip(learned["params"], parameters, strict=True))


def test_what_the_loss_learns_has_a_rate_of_its_own() -> None:
    config = CONFIG.model_copy(update={"objective_rate": 100.0})
    optimizer = build_optimizer(config, torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    set_learning_rate(optimizer, 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01, 1.0]


def test_the_backbone_has_a_rate_of_its_own_against_the_head() -> None:
    config = CONFIG.model_copy(update={"backbone_rate": 0.1})
    encoder = build_encoder(
        ResNet12(width=4, head=HeadConfig(pool="gem")),
        channels=1,
        image_size=16,
        mean=torch.zeros(1),
        std=torch.ones(1),
        seed=0,
    )
    optimizer = build_optimizer(config, encoder, torch.nn.Linear(2, 2))
    set_learning_rate(optimizer, 0.01)
    rate = {
        parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]
    }
    for name, parameter in encoder.named_parameters():
        is_backbone = name.startswith("backbone.")
        assert rate[parameter] == pytest.approx(0.001 if is_backbone else 0.01), name
    kernels = [group for group in optimizer.param_groups if group["weight_decay"] > 0]
    assert all(parameter.ndim > 1 for group in kernels for parameter in group["params"])
    assert len(rate) == len(list(encoder.parameters())) + 2


def test_the_average_leaves_out_what_is_frozen() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
    network[0].requires_grad_(False)
    follow = WeightAverage(network, decay=0.9)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        for value in network.state_dict().values():
            value.fill_(5)
    follow.update(network, step=1000)
    for name, value in follow.network.state_dict().items():
        is_frozen = name.startswith("0.")
        expected = before[name] if is_frozen else 0.9 * before[name] + 0.5
        torch.testing.assert_close(value, expected)


def test_the_average_follows_the_weights_as_its_formula_says() -> None:
    network = torch.nn.BatchNorm1d(1)
    follow = WeightAverage(network, decay=0.9)
    average = follow.network
    with torch.no_grad():
        network.weight.fill_(5.0)
        network.running_mean.fill_(3.0)  # type: ignore[union-attr]  # it tracks statistics
    follow.update(network, step=0)  # decay (1 + 0) / (10 + 0)
    assert average.weight.item() == pytest.approx(1.0 + 0.9 * 4.0)
    assert average.running_mean.item() == pytest.approx(0.9 * 3.0)  # type: ignore[union-attr]
    follow.update(network, step=1000)  # decay 0.9
    assert average.weight.item() == pytest.approx(4.6 + 0.1 * 0.4)
