"""Datasets: the list with search and paging, and the page of one."""

from __future__ import annotations

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tomoportal.catalog import browse
from tomoportal.web.addressing import entity_id, page_number
from tomoportal.web.copick_projects import copick_project
from tomoportal.web.templating import Pages

__all__ = ["listing", "page"]

_SORTS = {"asc": "asc", "desc": "desc"}

_SNIPPET = """\
from pathlib import Path

from cryoet_data_portal import Client, Dataset, Run

client = Client("{origin}/graphql")
dataset = Dataset.get_by_id(client, {id})
for run in Run.find(client, [Run.dataset_id == dataset.id]):
    for tomogram in run.tomograms:
        folder = Path(run.name, f"TM-{{tomogram.id}}")  # all tomograms of a run have the same file name
        folder.mkdir(parents=True, exist_ok=True)
        tomogram.download_mrcfile(str(folder))"""


def listing(pages: Pages) -> Callable[[Request], Response]:
    """``/browse-data/datasets?search=&page=&sort=``"""

    def answer(request: Request) -> Response:
        search = request.query_params.get("search", "").strip()
        sort = _SORTS.get(request.query_params.get("sort", ""))
        found = browse.datasets(
            pages.portal.catalog,
            pages.portal.viewer(request),
            search=search or None,
            page=page_number(request),
            title_order=sort,
        )
        return pages.render(
            request, "datasets.html", section="datasets", listing=found, search=search or None, sort=sort
        )

    return answer


def page(pages: Pages) -> Callable[[Request], Response]:
    """``/datasets/{id}``"""

    def answer(request: Request) -> Response:
        number = entity_id(request, "Dataset")
        if isinstance(number, Response):
            return number
        found = browse.dataset(pages.portal.catalog, pages.portal.viewer(request), number, page=page_number(request))
        if found is None:
            raise HTTPException(404, f"There is no dataset {number} in this portal.")
        origin = pages.portal.origin(request)
        snippet = _SNIPPET.format(origin=origin, id=number)
        project = copick_project(origin, [number], name=f"copick-{number}")
        return pages.render(request, "dataset.html", section="datasets", snippet=snippet, project=project, **found)

    return answer
