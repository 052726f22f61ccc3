"""copick's tables of picks as pandas data frames and arrays (``copick.util.formats``); Å, order x, y, z."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.particles.data_frames import pandas
from tomoportal.copick.particles.index_maps import read_bytes
from tomoportal.errors import FormatError

__all__ = [
    "copick_csv_df_to_arrays",
    "csv_to_copick_arrays",
    "read_copick_csv",
    "read_copick_csv_grouped",
    "read_picks_csv",
]

Array = NDArray[Any]

_PLACE: Final = ["x", "y", "z"]


def read_picks_csv(path: str) -> Any:
    """The table as a data frame; names of runs are text, also where they look like numbers.

    Raises :class:`FormatError` for a file that is no such table.
    """
    import io

    package = pandas()
    try:
        found = package.read_csv(io.BytesIO(read_bytes(Path(path))), dtype={"run_name": str})
    except (ValueError, UnicodeDecodeError) as error:  # those of pandas are ValueErrors
        raise FormatError(f"this is no table of comma-separated values: {error}", where=path) from error
    missing = [name for name in _PLACE if name not in found.columns]
    if missing:
        raise FormatError(f"the table has no column {', '.join(missing)}", where=path, fix="name the columns")
    return found


def copick_csv_df_to_arrays(df: Any) -> tuple[Array, Array, Array | None, Array, Array | None]:
    """Positions ``(n, 3)``, transformations ``(n, 4, 4)``, scores, names of runs, instance ids, each ``(n,)``.

    Scores and ids are None without such a column; numbers of the transformation that have none are the identity's.
    """
    count = len(df)
    transforms = np.tile(np.eye(4), (count, 1, 1))
    for row in range(4):
        for column in range(4):
            name = f"transform_{row}{column}"
            if name in df.columns:
                transforms[:, row, column] = df[name].to_numpy(dtype=float)
    scores = df["score"].to_numpy(dtype=float) if "score" in df.columns else None
    runs = df["run_name"].to_numpy() if "run_name" in df.columns else np.full(count, "")
    ids = df["instance_id"].fillna(0).to_numpy().astype(np.int64) if "instance_id" in df.columns else None
    return df[_PLACE].to_numpy(dtype=float), transforms, scores, runs, ids


def csv_to_copick_arrays(df: Any, include_instance_ids: bool = False) -> dict[str, tuple[Array, ...]]:
    """Run → positions, transformations, scores, and instance ids if asked for; what has no column is 1 or 0."""
    found = {}
    for run, rows in df.groupby("run_name"):
        positions, transforms, scores, _, ids = copick_csv_df_to_arrays(rows)
        known: tuple[Array, ...] = (positions, transforms, np.ones(len(rows)) if scores is None else scores)
        if include_instance_ids:
            known = (*known, np.zeros(len(rows), np.int64) if ids is None else ids)
        found[str(run)] = known
    return found


def read_copick_csv(path: str) -> tuple[Array, Array, Array | None, Array]:
    """The first four of :func:`copick_csv_df_to_arrays`, of a file."""
    return copick_csv_df_to_arrays(read_picks_csv(path))[:4]


def read_copick_csv_grouped(path: str) -> dict[str, tuple[Array, ...]]:
    """Run → positions, transformations, scores, of a file."""
    return csv_to_copick_arrays(read_picks_csv(path))
