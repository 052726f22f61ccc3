"""What the metadata of one Zarr array say, version 2 or 3, with everything checked that memory or geometry hangs on.

Specification: https://zarr-specs.readthedocs.io (versions 2 and 3, and the sharding codec 1.0).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.omezarr.decoding import ChunkDecoder, compressor_names

__all__ = ["ArrayDescription", "Sharding", "describe_array", "load_document"]

LONGEST_DOCUMENT = 16 * 1024 * 1024
_LARGEST_ARRAY = 2**44  # bytes; the largest tomograms have 2^40
_LONGEST_AXIS = 2**31 - 1  # what an MRC header can hold
_LARGEST_CHUNK = 2**29  # bytes
_MOST_INNER_CHUNKS = 2**20
_MOST_AXES = 8
_V2_DTYPE = re.compile(r"[<>|](b1|[iu][1248]|f[248])")
_V3_DTYPES = (
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
)
_NOT_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Sharding:
    """Several chunks in one object, found through an index of ``(offset, length)`` pairs, little-endian unless told."""

    shape: tuple[int, ...]
    """Of a shard, in voxels."""
    index_first: bool
    index_checksum: bool
    index_dtype: np.dtype[Any]


@dataclass(frozen=True)
class ArrayDescription:
    """One array: shapes in voxels, axes in the array's order. ``decoder.shape`` is the shape of its (inner) chunks."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    decoder: ChunkDecoder
    sharding: Sharding | None
    key_prefix: str
    separator: str

    def object_key(self, index: tuple[int, ...]) -> str:
        """The name of the object that holds a chunk, or a shard, below the array."""
        names = [*([self.key_prefix] if self.key_prefix else []), *map(str, index)]
        return self.separator.join(names) if names else "0"


def load_document(data: bytes, where: str) -> dict[str, Any]:
    """A JSON object. Raises :class:`FormatError`."""
    try:
        if len(data) > LONGEST_DOCUMENT:
            raise ValueError(f"it is longer than {LONGEST_DOCUMENT} bytes")
        document = json.loads(data)
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the metadata cannot be read: {error}", where=where, fix="copy the file again") from error
    return document


def describe_array(document: Mapping[str, Any], where: str) -> ArrayDescription:
    """Check the metadata of an array: ``.zarray`` or ``zarr.json``. Raises :class:`FormatError`."""
    try:
        version = document.get("zarr_format")
        if version == 2:
            found = _version_2(document)
        elif version == 3:
            found = _version_3(document)
        else:
            raise _Refused("zarr_format", f"is {version!r}; known are 2 and 3")
    except _Refused as refused:
        raise FormatError(
            f"{refused.field} {refused.what}",
            where=where,
            fix="write the array again with a current Zarr library and one of the usual codecs",
        ) from None
    return found


class _Refused(Exception):
    def __init__(self, field: str, what: str) -> None:
        super().__init__(field, what)
        self.field, self.what = field, what


def _version_2(document: Mapping[str, Any]) -> ArrayDescription:
    text = document.get("dtype")
    if not isinstance(text, str) or not _V2_DTYPE.fullmatch(text):
        raise _Refused("dtype", f"is {_short(text)}; volumes hold whole or floating-point numbers")
    dtype = np.dtype(text)
    shape, chunks = _geometry(document.get("shape"), document.get("chunks"), "chunks", dtype)
    if document.get("filters"):
        raise _Refused("filters", f"are {_short(document['filters'])}; arrays with filters are not supported")
    order = document.get("order", "C")
    if order not in ("C", "F"):
        raise _Refused("order", f"is {_short(order)}; it is C or F")
    axes = tuple(range(len(shape)))
    compressor = document.get("compressor")
    if compressor is not None:
        compressor = _member(compressor, "id", "compressor")
        if compressor not in compressor_names():
            raise _Refused("compressor", f"is {_short(compressor)}; known are {', '.join(compressor_names())}")
    separator = document.get("dimension_separator", ".")
    if separator not in (".", "/"):
        raise _Refused("dimension_separator", f"is {_short(separator)}; it is . or /")
    return ArrayDescription(
        shape=shape,
        dtype=dtype.newbyteorder("="),
        fill=_fill(document.get("fill_value"), dtype),
        decoder=ChunkDecoder(chunks, dtype, axes if order == "C" else axes[::-1], compressor),
        sharding=None,
        key_prefix="",
        separator=separator,
    )


def _version_3(document: Mapping[str, Any]) -> ArrayDescription:
    if document.get("node_type") != "array":
        raise _Refused("node_type", f"is {_short(document.get('node_type'))}, not array")
    name = document.get("data_type")
    if name not in _V3_DTYPES:
        raise _Refused("data_type", f"is {_short(name)}; volumes hold whole or floating-point numbers")
    dtype = np.dtype(name)
    grid = document.get("chunk_grid")
    if _member(grid, "name", "chunk_grid") != "regular":
        raise _Refused("chunk_grid", "is not regular")
    shape, chunks = _geometry(document.get("shape"), _configuration(grid).get("chunk_shape"), "chunk_shape", None)
    if document.get("storage_transformers"):
        raise _Refused("storage_transformers", "are not supported")
    prefix, separator = _key_encoding(document.get("chunk_key_encoding"))
    codecs = _codecs(document.get("codecs"))
    sharding = None
    if len(codecs) == 1 and codecs[0][0] == "sharding_indexed":
        sharding, chunks, codecs = _sharding(codecs[0][1], chunks)
    decoder = _decoder(codecs, chunks, dtype)
    _check_sizes(shape, chunks, dtype)
    return ArrayDescription(
        shape, dtype, _fill(document.get("fill_value"), dtype), decoder, sharding, prefix, separator
    )


def _geometry(
    shape: Any, chunks: Any, field: str, dtype: np.dtype[Any] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sizes = _counts(shape, "shape")
    edges = _counts(chunks, field)
    if len(sizes) != len(edges):
        raise _Refused(field, f"has {len(edges)} axes, shape has {len(sizes)}")
    if dtype is not None:
        _check_sizes(sizes, edges, dtype)
    return sizes, edges


def _check_sizes(shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if max(shape) > _LONGEST_AXIS or math.prod(shape) * dtype.itemsize > _LARGEST_ARRAY:
        raise _Refused("shape", f"claims {' × '.join(map(str, shape))} voxels; no volume is that large")
    if math.prod(chunks) * dtype.itemsize > _LARGEST_CHUNK:
        raise _Refused(
            "chunk shape", f"is {' × '.join(map(str, chunks))}; chunks above {_LARGEST_CHUNK >> 20} MB are not read"
        )


def _counts(value: Any, field: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_AXES:
        raise _Refused(field, f"is {_short(value)}; it is a list of 1 to {_MOST_AXES} numbers")
    if any(type(each) is not int or each < 1 for each in value):
        raise _Refused(field, f"is {_short(value)}; every axis has at least one voxel")
    return tuple(value)


def _key_encoding(value: Any) -> tuple[str, str]:
    if value is None:
        return "c", "/"
    name = _member(value, "name", "chunk_key_encoding")
    if name not in ("default", "v2"):
        raise _Refused("chunk_key_encoding", f"is {_short(name)}; known are default and v2")
    separator = _configuration(value).get("separator", "/" if name == "default" else ".")
    if separator not in (".", "/"):
        raise _Refused("chunk_key_encoding", f"has the separator {_short(separator)}; it is . or /")
    return ("c" if name == "default" else ""), separator


def _codecs(value: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_AXES:
        raise _Refused("codecs", f"is {_short(value)}; it is a list of codecs")
    return [(_member(codec, "name", "codecs"), _configuration(codec)) for codec in value]


def _sharding(
    settings: Mapping[str, Any], shard: tuple[int, ...]
) -> tuple[Sharding, tuple[int, ...], list[tuple[str, Mapping[str, Any]]]]:
    inner = _counts(settings.get("chunk_shape"), "chunk_shape of the shards")
    if len(inner) != len(shard) or any(whole % part for whole, part in zip(shard, inner, strict=True)):
        raise _Refused("chunk_shape of the shards", f"is {list(inner)}, which does not divide {list(shard)}")
    if max(shard) > _LONGEST_AXIS or math.prod(shard) // math.prod(inner) > _MOST_INNER_CHUNKS:
        raise _Refused("codecs", f"put more than {_MOST_INNER_CHUNKS} chunks into one shard")
    location = settings.get("index_location", "end")
    if location not in ("start", "end"):
        raise _Refused("index_location", f"is {_short(location)}; it is start or end")
    index = _decoder(_codecs(settings.get("index_codecs")), (1,), np.dtype("u8"))
    if index.compressor is not None or index.outer_checksum:
        raise _Refused("index_codecs", "compress the index; its length must be known beforehand")
    found = Sharding(shard, location == "start", index.inner_checksum, index.dtype)
    return found, inner, _codecs(settings.get("codecs"))


def _decoder(codecs: list[tuple[str, Mapping[str, Any]]], shape: tuple[int, ...], dtype: np.dtype[Any]) -> ChunkDecoder:
    """The chain ``transpose? bytes (crc32c | shuffle)? compressor? crc32c?``."""
    order = tuple(range(len(shape)))
    compressor: str | None = None
    checksums = [False, False]
    has_bytes = False
    shuffled = 0
    for name, settings in codecs:
        if name == "transpose" and not has_bytes:
            order = _permuted(order, settings.get("order"))
        elif name == "bytes" and not has_bytes:
            endian = settings.get("endian", "little")
            if endian not in ("little", "big"):
                raise _Refused("codecs", f"have the byte order {_short(endian)}; it is little or big")
            dtype = dtype.newbyteorder("<" if endian == "little" else ">")
            has_bytes = True
        elif name == "numcodecs.shuffle" and has_bytes and compressor is None and not shuffled and not any(checksums):
            shuffled = settings.get("elementsize", 4)
            if type(shuffled) is not int or shuffled < 1 or dtype.itemsize % shuffled:
                raise _Refused("codecs", f"shuffle elements of {_short(shuffled)} bytes, which voxels are not made of")
        elif name == "crc32c" and has_bytes and not shuffled and not checksums[compressor is not None]:
            checksums[compressor is not None] = True
        elif name in compressor_names() and has_bytes and compressor is None and not checksums[1]:
            compressor = name
        else:
            raise _Refused("codecs", f"hold {_short(name)}, which is unknown, or not supported in this place")
    if not has_bytes:
        raise _Refused("codecs", "have no bytes codec")
    return ChunkDecoder(shape, dtype, order, compressor, checksums[0], checksums[1], shuffled)


def _permuted(order: tuple[int, ...], step: Any) -> tuple[int, ...]:
    if not isinstance(step, list) or any(type(axis) is not int for axis in step) or sorted(step) != sorted(order):
        raise _Refused("codecs", f"transpose by {_short(step)}, which is no order of {len(order)} axes")
    return tuple(order[axis] for axis in step)


def _fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """The value of voxels in chunks that are not there."""
    if value is None:
        return dtype.type(0)
    if dtype.kind == "f":
        number = _NOT_NUMBERS.get(value) if isinstance(value, str) else value
        if isinstance(value, str) and re.fullmatch(r"0x[0-9a-fA-F]{4,16}", value):
            octets = bytes.fromhex(value[2:]) if len(value) % 2 == 0 else b""
            if len(octets) == dtype.itemsize:
                number = struct.unpack(">" + {2: "e", 4: "f", 8: "d"}[len(octets)], octets)[0]
        if isinstance(number, (int, float)):
            try:
                with np.errstate(over="ignore"):
                    return dtype.type(number)
            except OverflowError:
                pass
    elif dtype.kind == "b":
        if value in (0, 1):
            return dtype.type(value)
    elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        limits = np.iinfo(dtype)
        if limits.min <= value <= limits.max:
            return dtype.type(int(value))
    raise _Refused("fill_value", f"is {_short(value)}, which is no {dtype.name}")


def _member(value: Any, key: str, field: str) -> str:
    # Version 3 allows a bare name where there is nothing to configure.
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get(key), str):
        raise _Refused(field, f"is {_short(value)}; it names no {key}")
    name: str = value[key]
    return name


def _configuration(value: Any) -> Mapping[str, Any]:
    settings = value.get("configuration") if isinstance(value, Mapping) else None
    return settings if isinstance(settings, Mapping) else {}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
