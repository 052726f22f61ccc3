"""Finders: what a source entry of the config stands for, under the variables of one item.

A finder returns `Found` items, sorted, each with a name and the files that it is made of. Everything that upstream
would pass over in silence is reported: a name rule that does not match, two files with one name, a path that leaves
the source folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tomoportal.errors import FormatError, StorageError
from tomoportal.ingest.scope import Scope, TemplateError
from tomoportal.ingest.sources import LINKS_FIX, ROOT_OPTION, SourceRoot
from tomoportal.ingest.trees import OutsideError, Tree

__all__ = ["FINDERS", "FindError", "Found", "Search", "compile_rule", "find", "passes_filters", "without_excluded"]

FINDERS = ("source_glob", "source_multi_glob", "literal", "destination_glob", "destination_filter", "tomogram_header")
_FILTERED = {
    "tiltseries": "{run_output_path}/TiltSeries/*/tiltseries_metadata.json",
    "tomograms": "{voxel_spacing_output_path}/Tomograms/*/tomogram_metadata.json",
}
_OUTPUT_FIELDS = ("{run_output_path}", "{dataset_output_path}", "{output_path}", "{voxel_spacing_output_path}")


_NAMING = ("depositions", "datasets", "runs", "voxel_spacings")
"""Sections whose files only give names; none is copied."""


class FindError(ValueError):
    """A finder that cannot answer; ``field`` is the key of the source entry that is to blame."""

    def __init__(self, what: str, field_name: str = "", fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.field = field_name
        self.fix = fix


@dataclass(frozen=True)
class Found:
    """One item that a finder yielded: its name and, if it came from files, their keys."""

    name: str
    key: str | None = None
    reference: bool = False
    """Found in the archive itself: a parent or a reference, never written."""


@dataclass(frozen=True)
class Search:
    """The result of one source entry: its items and the expanded patterns that matched nothing."""

    found: tuple[Found, ...] = ()
    unmatched: tuple[str, ...] = field(default=())
    filtered: tuple[str, ...] = field(default=())
    """Files that the pattern found and ``match_regex`` left out, if that left nothing."""
    excluded: tuple[str, ...] = field(default=())
    """Files (or names) that were found and ``exclude`` left out, if that left nothing."""


def find(entry: Mapping[str, Any], scope: Scope, source: SourceRoot, archive: Tree, section: str = "") -> Search:
    """Run the finder of one source entry of a section; raises `FindError`.

    Names are not checked for duplicates here: for runs and spacings several files may stand for one item.
    """
    kinds = [kind for kind in FINDERS if entry.get(kind) is not None]
    if not kinds:
        return Search()
    kind, arguments = kinds[0], entry[kinds[0]]
    if kind == "literal":
        search = _literal(arguments["value"], scope)
    elif kind == "source_glob":
        search = _one_glob(arguments, kind, scope, source.glob)
    elif kind == "source_multi_glob":
        search = _many_globs(arguments["list_globs"], scope, source)
    elif kind == "destination_glob":
        template = arguments["list_glob"]
        if not template.startswith(_OUTPUT_FIELDS):
            raise FindError(
                f"{template!r} is not in the archive",
                f"{kind}.list_glob",
                f"start it with one of {', '.join(_OUTPUT_FIELDS)}",
            )
        search = _one_glob(arguments, kind, scope, archive.glob)
        search = replace(search, found=tuple(Found(item.name, item.key, reference=True) for item in search.found))
    elif kind == "tomogram_header":
        search = _headers(arguments, scope, source)
    else:
        search = _filtered(arguments, section, scope, archive)
    search = without_excluded(search, entry)
    for item in search.found:
        if item.key is not None and not item.reference and section not in _NAMING:
            try:
                source.check_inside(item.key)
            except OutsideError as error:
                raise FindError(str(error), kind, LINKS_FIX) from error
    return search


def without_excluded(search: Search, entry: Mapping[str, Any]) -> Search:
    """The search without the names that ``exclude`` of a source entry matches."""
    rules = [compile_rule(rule) for rule in entry.get("exclude") or ()]
    kept = tuple(item for item in search.found if not any(rule.match(item.name) for rule in rules))
    if kept or not search.found:
        return replace(search, found=kept)
    left_out = tuple(item.key or item.name for item in search.found)
    return replace(search, found=(), unmatched=search.unmatched or left_out, excluded=left_out)


def passes_filters(filters: Mapping[str, Any] | None, names: Mapping[str, str]) -> bool:
    """Whether the ancestors pass ``parent_filters``: exclude wins, include needs one match per named parent."""
    if not filters:
        return True
    for parent, rules in (filters.get("exclude") or {}).items():
        if parent in names and any(compile_rule(rule).search(names[parent]) for rule in rules or ()):
            return False
    for parent, rules in (filters.get("include") or {}).items():
        if rules and not any(compile_rule(rule).search(names.get(parent, "")) for rule in rules):
            return False
    return True


def _literal(values: Sequence[Any], scope: Scope) -> Search:
    found: list[Found] = []
    for value in values:
        try:
            expanded = scope.expand_value(value) if isinstance(value, str) else value
        except TemplateError as error:
            raise FindError(error.what, "literal.value", error.fix) from error
        found.append(Found(str(expanded)))
    return Search(tuple(found))


def _one_glob(arguments: Mapping[str, Any], kind: str, scope: Scope, glob: Any) -> Search:
    pattern = _expand(arguments["list_glob"], scope, f"{kind}.list_glob")
    match = compile_rule(arguments.get("match_regex") or ".*")
    name = compile_rule(arguments.get("name_regex") or "(.*)")
    found: list[Found] = []
    keys = _glob(glob, pattern, f"{kind}.list_glob")
    for key in keys:
        if not match.search("/" + key):
            continue
        base = key.rpartition("/")[2]
        hit = name.match(base)
        if hit is None or not hit.re.groups or hit.group(1) is None:
            fix = "make the rule match every file that list_glob and match_regex keep, or narrow those"
            raise FindError(f"name_regex `{name.pattern}` does not match {base!r} ({key})", f"{kind}.name_regex", fix)
        found.append(Found(hit.group(1), key))
    return Search(tuple(found), () if found else (pattern,), () if found else tuple(keys))


def _headers(arguments: Mapping[str, Any], scope: Scope, source: SourceRoot) -> Search:
    """Voxel spacings (Å, three decimals) from the headers of volumes."""
    from tomoportal.formats.opening import open_volume
    from tomoportal.formats.volumes import header_spacing

    matched = _one_glob({**arguments, "name_regex": "(.*)"}, "tomogram_header", scope, source.glob)
    found: dict[str, Found] = {}
    for item in matched.found:
        assert item.key is not None
        try:
            volume = open_volume(source.store, item.key)
            try:
                name = f"{header_spacing(volume):.3f}"
            finally:
                volume.close()
        except (FormatError, StorageError) as error:
            what = error.what if item.key in error.what else f"{item.key}: {error.what}"
            raise FindError(what, "tomogram_header.list_glob", error.fix) from error
        found.setdefault(name, Found(name, item.key))
    return replace(matched, found=tuple(found.values()))


def _filtered(arguments: Mapping[str, Any], section: str, scope: Scope, archive: Tree) -> Search:
    """Objects of the archive whose documents match every filter; only referred to, by their OME-Zarr."""
    template = _FILTERED.get(section)
    if template is None:
        raise FindError(
            f"{section} cannot be found by their documents",
            "destination_filter",
            f"use it in {' and '.join(_FILTERED)}, elsewhere a destination_glob",
        )
    pattern = _expand(template, scope, "destination_filter")
    found: list[Found] = []
    for key in _glob(archive.glob, pattern, "destination_filter"):
        try:
            document = json.loads(archive.store.get(key))
        except (ValueError, RecursionError) as error:
            raise FindError(f"{key} is no JSON document: {error}", "destination_filter") from error
        if not isinstance(document, dict) or not isinstance(document.get("omezarr_dir"), str):
            continue
        if all(_holds(document, list(rule["key"]), rule["value"]) for rule in arguments.get("filters") or ()):
            found.append(Found(key.split("/")[-2], document["omezarr_dir"], reference=True))
    return Search(tuple(found), () if found else (pattern,))


def _holds(value: Any, path: list[Any], wanted: Any) -> bool:
    """Whether following ``path`` leads to ``wanted``; of a list, any element may."""
    if isinstance(value, list):
        return any(_holds(element, path, wanted) for element in value)
    if not path:
        return bool(value == wanted or str(value) == str(wanted))
    return isinstance(value, Mapping) and path[0] in value and _holds(value[path[0]], path[1:], wanted)


def _many_globs(templates: Sequence[str], scope: Scope, source: SourceRoot) -> Search:
    keys: set[str] = set()
    unmatched: list[str] = []
    for index, template in enumerate(templates):
        place = f"source_multi_glob.list_globs[{index}]"
        pattern = _expand(template, scope, place)
        matched = _glob(source.glob, pattern, place)
        if not matched:
            unmatched.append(pattern)
        keys.update(matched)
    return Search(tuple(Found(key, key) for key in sorted(keys)), tuple(unmatched))


def _expand(template: str, scope: Scope, place: str) -> str:
    try:
        return scope.expand(template)
    except TemplateError as error:
        raise FindError(error.what, place, error.fix) from error


def _glob(glob: Any, pattern: str, place: str) -> list[str]:
    try:
        matched: list[str] = glob(pattern)
    except OutsideError as error:
        raise FindError(
            str(error), place, f"keep sources below source_prefix, or give another {ROOT_OPTION}"
        ) from error
    return matched


def compile_rule(rule: str) -> re.Pattern[str]:
    """A regular expression of the config; `load_config` has checked that it compiles."""
    return re.compile(rule)
