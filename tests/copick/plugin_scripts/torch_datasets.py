"""Everything that copick-torch makes of a project in memory; what comes out is kept in ``datasets.npz``.

Run by ``test_torch.py`` with the folder of a project, on our package and on the PyPI one.
"""

import contextlib
import io
import json
import logging
import random
import sys
from pathlib import Path

import numpy as np
import torch
from copick_torch.augmentations import FourierAugment3D, MixupTransform
from copick_torch.copick import CopickDataset
from copick_torch.dataset import SimpleCopickDataset, SplicedMixupDataset
from copick_torch.minimal_dataset import MinimalCopickDataset
from copick_torch.samplers import ClassBalancedSampler
from torch.utils.data import DataLoader

import copick

folder = Path(sys.argv[1])
config = str(folder / "copick_config.json")
found: dict[str, np.ndarray] = {}
logging.disable(logging.CRITICAL)
torch.set_num_threads(1)


def keep(name, *values):
    for number, value in enumerate(values):
        found[f"{name} {number}"] = np.asarray(value)


def label(item):
    return json.dumps(item[1], default=float, sort_keys=True)


def keep_dataset(name, dataset):
    items = [dataset[i] for i in range(len(dataset))]
    assert items, name
    keep(name, np.stack([np.asarray(item[0]) for item in items]), [label(item) for item in items], dataset.keys())
    keep(f"{name} weights", dataset.get_sample_weights(), json.dumps(dataset.get_class_distribution(), sort_keys=True))


def datasets():
    box = {"boxsize": (8, 8, 8), "voxel_spacing": 10.0}
    around = {"include_background": True, "background_ratio": 0.5, "min_background_distance": 2}
    for strategy in ("centered", "random", "jittered"):
        keep_dataset(f"patches {strategy}", CopickDataset(config, patch_strategy=strategy, **box, **around))
    kinds = ["brightness", "blur", "intensity", "flip", "rotate", "rotate_z", "mixup"]
    more = {"augment": True, "augmentation_prob": 0.9, "augmentations": kinds, "mixup_alpha": 0.3}
    keep_dataset("augmented", CopickDataset(config, **box, **more))
    keep_dataset("filaments", CopickDataset(config, include_filaments=True, **box))
    keep_dataset("one object", CopickDataset(config, object_names=["proteasome"], **box, **around))
    for name, kind in (("first", "parquet"), ("again", "parquet"), ("first", "pickle")):  # its pickles cannot be loaded
        # The folder and the config's path are joined: an absolute one would lead out of the folder.
        kept = CopickDataset("copick_config.json", cache_dir=str(folder / kind), cache_format=kind, **box, **around)
        keep_dataset(f"{kind} {name}", kept)
        if name == "again":
            keep("examples", *kept.examples())
        assert len(list((folder / kind).iterdir())) == (1 if kind == "pickle" else 2)
    keep_dataset("of a root", CopickDataset(copick_root=copick.from_file(config), **box, **around))
    dataset = CopickDataset(config, **box, **around)
    keep("grid", *map(np.stack, dataset.extract_grid_patches(16, tomo_type="raw")))
    keep("region", dataset.extract_from_region((2, 12), (4, 20), (0, 8), tomo_type="raw"))
    for name, part in zip(
        ("train", "validate", "test"), dataset.stratified_split(0.5, 0.25, 0.25, seed=3), strict=True
    ):
        keep(name, [label(dataset[i]) for i in part.indices], part.indices)
    keep("balanced", dataset.balance_classes().__len__())
    sampler = ClassBalancedSampler([label(dataset[i]) for i in range(len(dataset))], num_samples=12)
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=2, collate_fn=list)
    keep("loaded", *[np.asarray(item[0]) for batch in loader for item in batch])
    simple = SimpleCopickDataset(copick_root=copick.from_file(config), **box, **around)
    keep_dataset("simple", simple)
    for preload in (True, False):
        minimal = MinimalCopickDataset(copick.from_file(config), preload=preload, **box, **around)
        keep_dataset(f"minimal {preload}", minimal)
        minimal.save(str(folder / f"minimal-{preload}"))
        again = MinimalCopickDataset.load(str(folder / f"minimal-{preload}"), copick.from_file(config))
        keep(f"minimal {preload} again", np.stack([np.asarray(again[i][0]) for i in range(len(again))]))
    # Its two data sets are of the public portal; here both are this project.
    copick.from_czcdp_datasets = lambda ids, overlay_root: copick.from_file(config)
    spliced = SplicedMixupDataset(1, 2, "TS-002", max_samples=8, augment=False, **box)
    keep("spliced", np.stack([np.asarray(spliced[i][0]) for i in range(len(spliced))]))
    volume = torch.as_tensor(dataset[0][0][0])
    keep("fourier", FourierAugment3D(freq_mask_prob=1.0)(volume), FourierAugment3D()(volume[None]))
    keep("mixup", MixupTransform(prob=1.0)(torch.stack([volume, volume.flip(0), volume.flip(1)]))[0])


def train():
    """A small network learns for two epochs from batches of sub-volumes; its losses are kept."""
    dataset = MinimalCopickDataset(copick.from_file(config), boxsize=(8, 8, 8), voxel_spacing=10.0)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv3d(1, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool3d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
    )
    optimizer = torch.optim.Adam(network.parameters())
    losses = []
    for _ in range(2):
        for volumes, labels in DataLoader(dataset, batch_size=8):
            loss = torch.nn.functional.cross_entropy(network(volumes), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
    keep("losses", losses)


np.random.seed(0)
random.seed(0)
torch.manual_seed(0)
with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
    datasets()
    train()
np.savez(folder / "datasets.npz", **found)
print(json.dumps([copick.from_file.__module__, len(found)]))
