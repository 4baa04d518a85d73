"""The quickstart search as it is written with stock Ray Tune, pytorch-metric-learning and Optuna.

A function trainable, `OptunaSearch`, `ASHAScheduler`, one data set a trial (decoded from the files
as its batches need it), nothing reused between trials. Encoder, budget, rungs, episodes and the
families of losses are those of `tripletune search quickstart`; where pytorch-metric-learning has
no counterpart (soft nearest neighbour, sigmoid pair), the choice is smaller.

    python benchmarks/stock_search.py FOLDER --minutes 30 [--image-size 32] [--log FILE]
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

STEPS, REPORT_EVERY = 300, 50
WAY, EPISODES = 20, 1000


def train(config: dict[str, Any]) -> None:
    """One trial."""
    import torch
    from PIL import Image
    from pytorch_metric_learning import losses, miners
    from pytorch_metric_learning.samplers import MPerClassSampler
    from ray import tune
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    from tripletune.spaces import Conv4
    from tripletune.trainables.encoders import ENCODERS

    size = config["image_size"]
    plain = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
    augmented = transforms.Compose(
        [
            transforms.Resize((size, size)),
            transforms.RandomAffine(10, translate=(0.1, 0.1), scale=(0.85, 1.15), shear=11),
            transforms.ToTensor(),
        ]
    )

    class Files(Dataset[Any]):
        def __init__(self, folder: Path, classes: list[str], transform: Any) -> None:
            self.items = [
                (path, label)
                for label, name in enumerate(classes)
                for path in sorted((folder / name).glob("*.png"))
            ]
            self.transform = transform

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            path, label = self.items[index]
            with Image.open(path) as image:
                return self.transform(image.convert("L")), label

    folder = Path(config["folder"])
    classes = sorted(str(p.relative_to(folder)) for p in folder.glob("*/*") if p.is_dir())
    num_validation = max(WAY, len(classes) // 5)
    training = Files(folder, classes[num_validation:], augmented)
    validation = Files(folder, classes[:num_validation], plain)
    labels = [label for _, label in training.items]
    batch = config["classes"] * config["samples"]
    sampler = MPerClassSampler(labels, config["samples"], batch, length_before_new_iter=10**6)
    batches = iter(DataLoader(training, batch, sampler=sampler))
    encoder = ENCODERS["conv4"](
        Conv4(width=16, growth=2, pool="first", embedding_dim=config["embedding_dim"]), 1, size
    )
    miner = None
    loss: Any
    match config["loss"]:
        case "supcon":
            loss = losses.SupConLoss(config["temperature"])
        case "nt_xent":
            loss = losses.NTXentLoss(config["temperature"])
        case "contrastive":
            loss = losses.ContrastiveLoss(neg_margin=config["margin"])
        case _:
            loss = losses.TripletMarginLoss(config["margin"])
            miner = miners.TripletMarginMiner(config["margin"], "semihard")
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"]
    )
    random = np.random.default_rng(0)
    for step in range(0, STEPS, REPORT_EVERY):
        begin = time.time()
        encoder.train()
        for _ in range(REPORT_EVERY):
            images, targets = next(batches)
            embeddings = encoder(images)
            chosen = miner(embeddings, targets) if miner else None
            value = loss(embeddings, targets, chosen)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        encoder.eval()
        with torch.no_grad():
            parts = [(encoder(images), targets) for images, targets in DataLoader(validation, 512)]
        embedded = torch.nn.functional.normalize(torch.cat([part for part, _ in parts]), dim=1)
        of_class = torch.cat([targets for _, targets in parts]).numpy()
        scores = []
        for _ in range(EPISODES):
            support, query = [], []
            for label in random.choice(num_validation, WAY, replace=False):
                one, other = random.choice(np.flatnonzero(of_class == label), 2, replace=False)
                support.append(one)
                query.append(other)
            nearest = (embedded[query] @ embedded[support].T).argmax(1)
            scores.append(float((nearest == torch.arange(WAY)).float().mean()))
        with Path(config["log"], f"{os.getpid()}.jsonl").open("a") as file:
            number = tune.get_context().get_trial_id()
            file.write(json.dumps([number, begin, time.time()]) + "\n")
        tune.report(
            {"one_shot_accuracy": float(np.mean(scores)), "training_step": step + REPORT_EVERY}
        )


def search(folder: Path, image_size: int, minutes: float, log: Path) -> int:
    """Run the search; gives how many trials ended, early-stopped ones included."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    space = {
        "folder": str(folder.resolve()),
        "log": str(log.resolve()),
        "image_size": image_size,
        "loss": tune.choice(["supcon", "contrastive", "triplet", "nt_xent"]),
        "temperature": tune.loguniform(0.02, 0.5),
        "margin": tune.uniform(0.05, 1.0),
        "embedding_dim": tune.choice([128, 64, 32]),
        "classes": tune.choice([32, 24, 16]),
        "samples": tune.choice([4, 2]),
        "learning_rate": tune.loguniform(1e-3, 3e-2),
        "weight_decay": tune.loguniform(1e-6, 1e-2),
    }
    with tempfile.TemporaryDirectory() as storage:
        results = tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="one_shot_accuracy",
                mode="max",
                num_samples=-1,
                search_alg=OptunaSearch(),
                scheduler=ASHAScheduler(
                    time_attr="training_step",
                    max_t=STEPS,
                    grace_period=REPORT_EVERY,
                    reduction_factor=3,
                ),
                time_budget_s=minutes * 60,
            ),
            run_config=tune.RunConfig(storage_path=storage, verbose=0),
        ).fit()
        curves = [result.metrics_dataframe for result in results]
    ray.shutdown()
    # ASHA's first trials reach a rung alone and go on; a trial cut off by the clock did not end.
    begun = [len(curve) for curve in curves if curve is not None and len(curve)]
    return len(begun) - min(len(begun), len(os.sched_getaffinity(0)))


def main() -> None:
    """Run the search and print how many trials ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="Of GROUP/CLASS/image.png.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--log", type=Path, help="Existing folder for the times of the steps.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        log = arguments.log or Path(spare)
        ended = search(arguments.folder, arguments.image_size, arguments.minutes, log)
    print(json.dumps({"trials_ended": ended}))


if __name__ == "__main__":
    main()
