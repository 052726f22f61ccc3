"""The files that a laboratory would hand over: MRC, mdoc, RELION star, csv, CTFFIND, as their programs write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.demo.microscope import Defocus, TiltScheme
from tomoportal.formats.mdoc import Mdoc, MdocEntry, MdocSection, format_mdoc
from tomoportal.formats.mrc import MrcHeader
from tomoportal.formats.rotations import to_relion_angles
from tomoportal.storage import FileRecord, Store

__all__ = ["ctffind_table", "mdoc_text", "points_csv", "relion3_star", "relion4_star", "write_mrc"]

_MODES = {"int8": 0, "int16": 1, "float32": 2}
_SIGNED_BYTES = b"IMOD" + (1).to_bytes(4, "little")  # IMOD's stamp and flag: mode 0 holds signed bytes


def write_mrc(
    store: Store, key: str, voxels: NDArray[Any], pixel: float, title: str, *, is_stack: bool = False
) -> FileRecord:
    """Write ``voxels`` ``(z, y, x)`` int8, int16 or float32 with ``pixel`` in Å; a stack of images is no volume."""
    nz, ny, nx = voxels.shape
    mz = 1 if is_stack else nz
    sums = [(float(s.sum(dtype=np.float64)), float(np.square(s, dtype=np.float64).sum())) for s in voxels]
    mean = sum(first for first, _ in sums) / voxels.size
    rms = max(sum(second for _, second in sums) / voxels.size - mean**2, 0.0) ** 0.5
    extra2 = bytes(40) + (_SIGNED_BYTES if voxels.dtype == np.int8 else bytes(8)) + bytes(36)
    header = MrcHeader(
        nx=nx,
        ny=ny,
        nz=nz,
        mode=_MODES[voxels.dtype.name],
        mx=nx,
        my=ny,
        mz=mz,
        cella=(pixel * nx, pixel * ny, pixel * mz),
        dmin=float(voxels.min()),
        dmax=float(voxels.max()),
        dmean=mean,
        rms=rms,
        ispg=0 if is_stack else 1,
        extra2=extra2,
        nlabl=1,
        label_bytes=title.encode("ascii").ljust(80)[:80].ljust(800, b"\0"),
    )
    with store.open_writer(key) as writer:
        writer.write(header.pack())
        for section in voxels.astype(voxels.dtype.newbyteorder("<"), copy=False):
            writer.write(np.ascontiguousarray(section).data)
    return writer.record


def mdoc_text(
    name: str,
    scheme: TiltScheme,
    stage_angles: NDArray[np.float64],
    defoci: Sequence[Defocus],
    *,
    tilt_axis: float,
    frame_pixel: float,
    detector: tuple[int, int],
    dose_rate: float,
    target_defocus: float,
    begin: datetime,
) -> bytes:
    """SerialEM's mdoc in the order of acquisition; ``stage_angles`` and ``defoci`` are in that order.

    Angles in degrees, ``frame_pixel`` in Å, ``detector`` width and height, ``dose_rate`` in e⁻/Å²/s, defocus in Å.
    """
    exposure = scheme.dose / dose_rate
    sections = []
    for index, (angle, prior) in enumerate(zip(stage_angles, scheme.accumulated, strict=True)):
        moment = begin + timedelta(seconds=round(index * (exposure + 21.0)))
        mean = (defoci[index].major + defoci[index].minor) / 2
        entries = {
            "TiltAngle": f"{angle:.2f}",
            "StagePosition": "12.4 -87.31",
            "StageZ": "41.08",
            "Magnification": "42000",
            "Intensity": "0.11",
            "ExposureDose": f"{scheme.dose:.4f}",
            "DoseRate": f"{dose_rate * frame_pixel**2:.4f}",
            "PixelSpacing": f"{frame_pixel:.4g}",
            "SpotSize": "6",
            "Defocus": f"{-mean / 1e4:.4f}",
            "ImageShift": "0 0",
            "RotationAngle": f"{tilt_axis + 90.0:.1f}",
            "ExposureTime": f"{exposure:.4f}",
            "Binning": "1",
            "CameraIndex": "0",
            "DividedBy2": "0",
            "MagIndex": "30",
            "CountsPerElectron": "1",
            "TargetDefocus": f"{-target_defocus / 1e4:.2f}",
            "PriorRecordDose": f"{prior:.4f}",
            "SubFramePath": f"D:\\frames\\{name}_{index + 1:03d}_{angle:.1f}.tif",
            "NumSubFrames": "8",
            "FrameDosesAndNumber": f"{scheme.dose / 8:.5f} 8",
            "DateTime": _serialem_date(moment),
            "FilterSlitAndLoss": "20 0",
        }
        sections.append(MdocSection(_entries(entries), kind="ZValue", index=index))
    header = {
        "PixelSpacing": f"{frame_pixel:.4g}",
        "Voltage": "300",
        "ImageFile": f"{name}.mrc",
        "ImageSize": f"{detector[0]} {detector[1]}",
        "DataMode": "1",
    }
    titles = (
        f"SerialEM: layout only; written by tomoportal demo    {_serialem_date(begin)}",
        f"    Tilt axis angle = {tilt_axis:.1f}, binning = 1  spot = 6  camera = 0",
    )
    return format_mdoc(Mdoc(_entries(header), titles=titles, sections=tuple(sections)))


def ctffind_table(defoci: Sequence[Defocus], resolutions: Sequence[float]) -> bytes:
    """CTFFIND's text output, one row per section of the stack (Å, degrees)."""
    lines = [
        "# Output of the tomoportal demo in the layout of CTFFIND: the true values, not an estimate",
        "# Columns: #1 - micrograph number; #2 - defocus 1 [Angstroms]; #3 - defocus 2; #4 - azimuth of astigmatism;"
        " #5 - additional phase shift [radians]; #6 - cross correlation; #7 - spacing (in Angstroms) up to which CTF"
        " rings were fit successfully",
    ]
    for index, (defocus, resolution) in enumerate(zip(defoci, resolutions, strict=True), start=1):
        numbers = (defocus.major, defocus.minor, defocus.azimuth, 0.0, 1.0, resolution)
        lines.append(f"{index:.6f} " + " ".join(f"{number:.6f}" for number in numbers))
    return ("\n".join(lines) + "\n").encode("ascii")


def relion4_star(tomogram: str, voxels: NDArray[np.float64], rotations: NDArray[np.float64], pixel: float) -> bytes:
    """Particles as RELION 4 writes them: whole coordinates of extraction, the rest as origin in Å, angles.

    ``voxels`` (n, 3) x, y, z; the position is coordinate − origin / pixel.
    """
    whole = np.rint(voxels)
    origins = (whole - voxels) * pixel
    angles = to_relion_angles(rotations)
    optics = _loop(
        "optics",
        {
            "rlnOpticsGroup": ["1"],
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnSphericalAberration": ["2.700000"],
            "rlnVoltage": ["300.000000"],
            "rlnImagePixelSize": [f"{pixel:.6f}"],
        },
    )
    count = len(voxels)
    particles = _loop(
        "particles",
        {
            "rlnTomoName": [tomogram] * count,
            "rlnTomoParticleId": [str(index + 1) for index in range(count)],
            **_columns("rlnCoordinate{}", "XYZ", whole),
            **_columns("rlnOrigin{}Angst", "XYZ", origins),
            **_columns("rlnAngle{}", ("Rot", "Tilt", "Psi"), angles),
            "rlnClassNumber": ["1"] * count,
            "rlnOpticsGroup": ["1"] * count,
        },
    )
    return ("\n# version 30001\n\n" + optics + "\n\n# version 30001\n\n" + particles + "\n").encode("ascii")


def relion3_star(tomogram: str, voxels: NDArray[np.float64], rotations: NDArray[np.float64]) -> bytes:
    """Particles as RELION 3.0 writes them: one table, positions in pixels without origins."""
    columns = {
        "rlnMicrographName": [tomogram] * len(voxels),
        **_columns("rlnCoordinate{}", "XYZ", voxels),
        **_columns("rlnAngle{}", ("Rot", "Tilt", "Psi"), to_relion_angles(rotations)),
    }
    return ("\n" + _loop("", columns) + "\n").encode("ascii")


def points_csv(voxels: NDArray[np.float64], scores: NDArray[np.float64]) -> bytes:
    """Picks as a table with a header: x, y, z in voxels and a score."""
    rows = [f"{x:.2f},{y:.2f},{z:.2f},{score:.4f}" for (x, y, z), score in zip(voxels, scores, strict=True)]
    return ("\n".join(["x,y,z,score", *rows]) + "\n").encode("ascii")


def _columns(pattern: str, names: Sequence[str], values: NDArray[np.float64]) -> dict[str, list[str]]:
    return {
        pattern.format(name): [f"{value + 0.0:.6f}" for value in values[:, index]] for index, name in enumerate(names)
    }


def _loop(block: str, columns: Mapping[str, Sequence[str]]) -> str:
    lines = [f"data_{block}", "", "loop_"]
    lines += [f"_{name} #{index}" for index, name in enumerate(columns, start=1)]
    lines += [" ".join(f"{cell:>12}" for cell in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _entries(pairs: Mapping[str, str]) -> tuple[MdocEntry, ...]:
    return tuple(MdocEntry(key, value) for key, value in pairs.items())


def _serialem_date(moment: datetime) -> str:
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.month - 1]
    return f"{moment.day:02d}-{month}-{moment.year % 100:02d}  {moment:%H:%M:%S}"
