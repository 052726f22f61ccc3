"""copick projects: ours against the PyPI package copick 1.31.0, the same calls on the same files in one run.

    python benchmarks/copick.py [--repeat N] [--runs N] [--output FILE]

Makes a project of 500 runs, 5,000 picks files with 10⁶ points, 500 tomograms and 1,000 segmentations below
benchmarks/.cache; runs every operation in a process of its own, the packages in turns; writes a Markdown table. See
README.md beside it for how to read the numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np

import tomoportal.copick as copick
from tomoportal.copick.pick_documents import table_of
from tomoportal.copick.pick_output import write_picks

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
RUNS = HERE / "copick_runs.py"
ENVIRONMENT = HERE.parent / ".venv-copick"
REQUIREMENTS = HERE.parent / "requirements" / "copick.txt"
FILES_PER_RUN = 10
POINTS_PER_FILE = 200

# Operation, what it is, by how many times less CPU and memory the goal asks for.
OPERATIONS = (
    ("import", "import the package and its classes", None, None),
    ("list", "open, list runs, picks, tomograms, segmentations", 5, None),
    ("read picks", "read all picks to arrays (10⁶ points)", 18, 8),
    ("write points", "store 20,000 points with transformations", 8, None),
    ("add tomogram", "store a tomogram of 630×630×184 float32 (292 MB), 3 levels", 4, None),
    ("read tomogram", "read it whole", None, None),
    ("read slice", "read one z slice of it", 5, None),
)


def make_project(folder: Path, runs: int) -> None:
    """Files as both packages write them; volumes are copies of one."""
    objects = [{"name": f"object{n}", "is_particle": True, "label": n + 1} for n in range(FILES_PER_RUN)]
    objects += [
        {"name": "ribosome", "is_particle": True, "label": 50},
        {"name": "membrane", "is_particle": False, "label": 51},
    ]
    folder.mkdir(parents=True)
    root = copick.new_config(folder / "copick_config.json", str(folder / "overlay"), pickable_objects=objects)
    template = root.new_run("template")
    generator = np.random.default_rng(0)
    volume = generator.normal(size=(32, 32, 32)).astype(np.float32)
    template.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(volume)
    template.new_segmentation(10.0, "membrane", "0", user_id="tool").from_numpy(volume > 0)
    template.new_segmentation(10.0, "all", "0", True, user_id="tool").from_numpy(volume > 0)
    base = Path(template.overlay_path)
    for number in range(runs):
        run = base.with_name(f"TS_{number:04d}")
        shutil.copytree(base, run)
        (run / "Picks").mkdir()
        for name in range(FILES_PER_RUN):
            transforms = np.tile(np.eye(4), (POINTS_PER_FILE, 1, 1))
            transforms[:, :3, :3] = np.linalg.qr(generator.normal(size=(POINTS_PER_FILE, 3, 3)))[0]
            table = table_of(
                generator.uniform(0, 5000, (POINTS_PER_FILE, 3)),
                transforms,
                np.arange(POINTS_PER_FILE),
                generator.uniform(size=POINTS_PER_FILE),
            )
            names = {"pickable_object_name": f"object{name}", "user_id": "tool", "session_id": "0"}
            rest = {"run_name": run.name, "voxel_spacing": None, "unit": "angstrom", "trust_orientation": True}
            (run / "Picks" / f"tool_0_object{name}.json").write_bytes(write_picks(table, {**names, **rest}))
    shutil.rmtree(base)
    tomogram = np.empty((184, 630, 630), np.float32)
    for z in range(len(tomogram)):
        plane = generator.standard_normal((630, 630), np.float32)
        tomogram[z] = (np.roll(plane, 1, 0) + 2 * plane + np.roll(plane, -1, 1)) / 4
    np.save(folder / "volume.npy", tomogram)
    (folder / "ready").touch()


def upstream() -> str:
    named = os.environ.get("TOMOPORTAL_COPICK_PYTHON")
    if named:
        return named
    python = ENVIRONMENT / "bin" / "python"
    ready = ENVIRONMENT / "ready"
    if not (ready.exists() and ready.read_text() == REQUIREMENTS.read_text()):
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
        ready.write_text(REQUIREMENTS.read_text())
    return str(python)


def run(package: str, operation: str, folder: Path) -> dict[str, float]:
    python = sys.executable if package == "ours" else upstream()
    command = [python, "-P", "-W", "ignore", str(RUNS), package, operation, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{package} {operation} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine() -> str:
    with open("/proc/cpuinfo") as cpus:
        model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Machine: {model}, {os.cpu_count()} cores, {memory:.0f} GB; Linux {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, NumPy {np.__version__}."
        f" Load average before the first run: {os.getloadavg()[0]:.1f}."
    )


def row(
    title: str, ours: dict[str, float], theirs: dict[str, float], cpu_goal: int | None, memory_goal: int | None
) -> str:
    goals = [f"{goal}×" if goal else "" for goal in (cpu_goal, memory_goal)]
    cells = [
        title,
        f"{ours['cpu']:.3f}",
        f"{theirs['cpu']:.3f}",
        f"{theirs['cpu'] / ours['cpu']:.1f}×",
        goals[0],
        f"{ours['wall']:.3f}",
        f"{theirs['wall']:.3f}",
        f"{ours['peak']:.0f}",
        f"{theirs['peak']:.0f}",
        f"{theirs['peak'] / ours['peak']:.1f}×",
        goals[1],
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each operation; the best one counts")
    parser.add_argument("--runs", type=int, default=500, help="runs of the project")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "copick.md")
    arguments = parser.parse_args()
    folder = CACHE / f"copick-{arguments.runs}"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make_project(folder, arguments.runs)
    files = arguments.runs * FILES_PER_RUN
    lines = [
        "# copick projects: ours against copick 1.31.0",
        "",
        f"Written by `benchmarks/copick.py`: {arguments.runs} runs, {files} picks files with"
        f" {files * POINTS_PER_FILE} points, {2 * arguments.runs} segmentations; best of {arguments.repeat} runs in"
        " turns, each in a process of its own; local disk, warm page cache. Memory is the process's peak, imports"
        " included (for the tomogram, pages of the mapped input too).",
        "",
        machine(),
        "",
        "| operation | ours CPU s | upstream CPU s | ratio | goal | ours wall s | upstream wall s"
        " | ours MB | upstream MB | ratio | goal |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for operation, title, cpu_goal, memory_goal in OPERATIONS:
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "upstream": []}
        for _ in range(arguments.repeat):
            for package, found in runs.items():
                found.append(run(package, operation, folder))
                print(operation, package, found[-1], flush=True)
        counts = {each["count"] for found in runs.values() for each in found}
        if len(counts) != 1:
            raise SystemExit(f"{operation}: the packages do not find the same: {counts}")
        best = {
            package: {key: min(each[key] for each in found) for key in ("cpu", "wall", "peak")}
            for package, found in runs.items()
        }
        lines.append(row(title, best["ours"], best["upstream"], cpu_goal, memory_goal))
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
