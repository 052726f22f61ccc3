"""The routes of all pages, the resolver of ids, static files and error pages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from tomoportal.catalog import browse
from tomoportal.model.ids import parse_id
from tomoportal.web import datasets, depositions, home, runs
from tomoportal.web.portal import Portal
from tomoportal.web.templating import Pages, static_digest

__all__ = ["error_page", "routes"]

_STATIC = ("style.css", "logo.svg", "site.js", "viewer.js")


def routes(portal: Portal) -> list[Route]:
    """Everything below ``/`` that a person looks at."""
    pages = Pages(portal)
    return [
        Route("/", home.page(pages)),
        Route("/browse-data", lambda request: RedirectResponse("/browse-data/datasets")),
        Route("/browse-data/datasets", datasets.listing(pages)),
        Route("/browse-data/depositions", depositions.listing(pages)),
        Route("/datasets/{id}", datasets.page(pages)),
        Route("/depositions/{id}", depositions.page(pages)),
        Route("/runs/{id}", runs.page(pages)),
        Route("/view/runs/{id}", runs.viewer(pages)),
        Route("/static/{digest}/{name}", static),
        Route("/{prefixed}", _resolver(portal)),
    ]


def static(request: Request) -> Response:
    """A file of the site's own; its address carries its digest, so it never changes."""
    name = request.path_params["name"]
    if name not in _STATIC or request.path_params["digest"] != static_digest(name):
        raise HTTPException(404)
    with as_file(files("tomoportal.web").joinpath("static", name)) as path:
        return FileResponse(path, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def _resolver(portal: Portal) -> Callable[[Request], Response]:
    """``/DS-1``, ``/RN-2``, ``/TM-3`` … lead to the page that shows the object."""

    def resolve(request: Request) -> Response:
        text = request.path_params["prefixed"]
        try:
            kind, number = parse_id(text)
        except ValueError:
            raise HTTPException(404) from None
        if kind in {"Dataset", "Run", "Deposition"}:
            return RedirectResponse(f"/{kind.lower()}s/{number}")
        run = kind and browse.run_of(portal.catalog, portal.viewer(request), kind, number)
        if not run:
            raise HTTPException(404)
        return RedirectResponse(f"/runs/{run}#{text.upper()}")

    return resolve


def error_page(portal: Portal, request: Request, status: int, text: str) -> Response:
    """A page for an address that leads nowhere, or for a failure."""
    titles = {400: "That address is not understood", 404: "There is nothing here", 500: "Something went wrong"}
    return Pages(portal).render(request, "error.html", status=status, title=titles.get(status, "Error"), text=text)
