"""Depositions: the list, and the page of one."""

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


def listing(pages: Pages) -> Callable[[Request], Response]:
    """``/browse-data/depositions?page=``"""

    def answer(request: Request) -> Response:
        viewer = pages.portal.viewer(request)
        found = browse.depositions(pages.portal.catalog, viewer, page=page_number(request))
        return pages.render(request, "depositions.html", section="depositions", listing=found)

    return answer


def page(pages: Pages) -> Callable[[Request], Response]:
    """``/depositions/{id}``"""

    def answer(request: Request) -> Response:
        number = entity_id(request, "Deposition")
        if isinstance(number, Response):
            return number
        found = browse.deposition(pages.portal.catalog, pages.portal.viewer(request), number)
        if found is None:
            raise HTTPException(404, f"There is no deposition {number} in this portal.")
        ids = [dataset["id"] for dataset in found["datasets"]]
        origin, name = pages.portal.origin(request), f"copick-deposition-{number}"
        project = copick_project(origin, ids, name=name, deposition_id=number) if ids else None
        return pages.render(request, "deposition.html", section="depositions", project=project, **found)

    return answer
