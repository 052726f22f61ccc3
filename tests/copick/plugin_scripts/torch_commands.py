"""The commands of copick-torch on a project; prints what became of each.

Run by ``test_torch.py`` with the folder of a project, on our package and on the PyPI one. Its pools are made for GPUs
only, so a machine without one is given a GPU that is the CPU, and what cannot be fetched here, the trained weights, are
random numbers.
"""

import contextlib
import io
import json
import os
import random
import shlex
import sys
import traceback
from pathlib import Path

import numpy as np
import torch
from copick.cli.cli import cli

import copick

folder = sys.argv[1]
commands = json.loads(sys.argv[2])
os.environ["COPICK_CONFIG"] = folder + "/copick_config.json"
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # programs of nnU-Net
os.chdir(folder)  # one of them leaves a picture where it stands
cpu = torch.device("cpu")
torch.set_num_threads(2)


def let_the_cpu_be_a_gpu():
    from copick_torch.filters import bandpass, downsample
    from copick_torch.inference import membrain_seg

    torch.cuda.device_count = lambda: 1
    torch.cuda.set_device = torch.cuda.empty_cache = lambda *_: None
    torch.cuda.memory_allocated = lambda *_: 0
    downsample.downsample_init = lambda _, old, new: downsample.FourierRescale3D(old, new)
    bandpass.init_filter3d = lambda _, *given: bandpass.Filter3D(*given, device=cpu)
    membrain_seg.membrane_seg_init = lambda _: random_network(1).requires_grad_(False)


def random_network(channels):
    torch.manual_seed(0)
    network = torch.nn.Conv3d(channels, 1, 3, padding=1)
    network.device = cpu
    return network


def write_weights(plans, dataset, path):
    """A checkpoint of the network that nnU-Net planned, with random weights."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    torch.manual_seed(0)
    manager = PlansManager(json.loads(Path(plans).read_text()))
    planned = manager.get_configuration("3d_fullres")
    labels = manager.get_label_manager(json.loads(Path(dataset).read_text()))
    network = nnUNetTrainer.build_network_architecture(manager, planned, 1, labels.num_segmentation_heads)
    weights = {"trainer_name": "nnUNetTrainer", "init_args": {"configuration": "3d_fullres"}}
    torch.save({**weights, "inference_allowed_mirroring_axes": None, "network_weights": network.state_dict()}, path)


let_the_cpu_be_a_gpu()
told = {}
for name, arguments in commands.items():
    np.random.seed(0)
    random.seed(0)
    torch.manual_seed(0)
    said = io.StringIO()
    try:
        given = [*name.split(), *shlex.split(arguments.replace("FOLDER", folder))]
        if name == "inference nnunet":
            preprocessed = f"{folder}/preprocessed/Dataset001_all"
            write_weights(f"{preprocessed}/nnUNetPlans.json", f"{preprocessed}/dataset.json", f"{folder}/weights.pth")
        with contextlib.redirect_stdout(said):
            cli.main(given, prog_name="copick", standalone_mode=False)
        told[name] = "failed" if "❌" in said.getvalue() else None
    except SystemExit as error:
        told[name] = f"exit {error.code}"
    except Exception as error:  # noqa: BLE001 whatever a command raises is told
        told[name] = "".join(traceback.format_exception(error))[-1500:]
    if told[name] == "failed":
        told[name] = said.getvalue()[-1500:]
print(json.dumps([copick.from_file.__module__, told]))
