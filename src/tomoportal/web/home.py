"""Home: what the portal holds, and the latest of it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from tomoportal.catalog import browse
from tomoportal.web.templating import Pages

__all__ = ["page"]

_LATEST = 6


def page(pages: Pages) -> Callable[[Request], Response]:
    """``/``"""

    def answer(request: Request) -> Response:
        catalog, viewer = pages.portal.catalog, pages.portal.viewer(request)
        counts = browse.landing_counts(catalog, viewer)
        numbers = [
            (counts.datasets, "dataset", "datasets"),
            (counts.species, "species", "species"),
            (counts.tomograms, "tomogram", "tomograms"),
            (counts.annotations, "annotation", "annotations"),
        ]
        latest = browse.datasets(catalog, viewer, per_page=_LATEST).rows
        return pages.render(request, "home.html", numbers=numbers, latest=latest)

    return answer
