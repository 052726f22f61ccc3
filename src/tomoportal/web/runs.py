"""Runs: the page of one, and the viewer with its bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tomoportal.catalog import browse
from tomoportal.web.addressing import entity_id
from tomoportal.web.plots import scatter
from tomoportal.web.templating import Pages

__all__ = ["page", "viewer"]

_CLIENT = "/viewer/v/portal/"

_SNIPPET = """\
from pathlib import Path

from cryoet_data_portal import Client, Run

client = Client("{origin}/graphql")
run = Run.get_by_id(client, {id})
for tomogram in run.tomograms:
    folder = Path(run.name, f"TM-{{tomogram.id}}")  # all tomograms of a run have the same file name
    folder.mkdir(parents=True, exist_ok=True)
    tomogram.download_mrcfile(str(folder))"""


def page(pages: Pages) -> Callable[[Request], Response]:
    """``/runs/{id}``"""

    def answer(request: Request) -> Response:
        found = _run(pages, request)
        if isinstance(found, Response):
            return found
        for row in found["tiltseries"]:
            row["plot"] = scatter(
                row["exposures"],
                x_label="Order of acquisition",
                y_label="Tilt angle (°)",
                title=f"Tilt angle against order of acquisition, {len(row['exposures'])} exposures",
            )
        snippet = _SNIPPET.format(origin=pages.portal.origin(request), id=found["run"]["id"])
        default = _default_tomogram(found["tomograms"])
        return pages.render(request, "run.html", section="datasets", snippet=snippet, default=default, **found)

    return answer


def viewer(pages: Pages) -> Callable[[Request], Response]:
    """``/view/runs/{id}?tomogram=``: the bar around the Neuroglancer frame."""

    def answer(request: Request) -> Response:
        found = _run(pages, request)
        if isinstance(found, Response):
            return found
        tomograms = [row for row in found["tomograms"] if row["s3_omezarr_dir"]]
        wanted = request.query_params.get("tomogram")
        selected = next((row for row in tomograms if str(row["id"]) == wanted), None)
        if wanted and selected is None:
            raise HTTPException(
                404, f"Run {found['run']['name']} has no tomogram {wanted[:20]} with an OME-Zarr volume."
            )
        selected = selected or _default_tomogram(tomograms)
        state = f"{pages.portal.origin(request)}/viewer/runs/{found['run']['id']}/state.json"
        return pages.render(
            request,
            "viewer.html",
            run=found["run"],
            dataset=found["dataset"],
            tomograms=tomograms,
            selected=selected,
            client=_CLIENT,
            state_url=f"{state}?tomogram={selected['id']}" if selected else None,
        )

    return answer


def _run(pages: Pages, request: Request) -> dict[str, Any] | Response:
    number = entity_id(request, "Run")
    if isinstance(number, Response):
        return number
    found = browse.run(pages.portal.catalog, pages.portal.viewer(request), number)
    if found is None:
        raise HTTPException(404, f"There is no run {number} in this portal.")
    return found


def _default_tomogram(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The tomogram that its depositor wants to be seen first, else the first of the list."""
    return next((row for row in rows if row["is_visualization_default"]), rows[0] if rows else None)
