"""Templates: the Jinja2 environment and the words that pages use.

Labels and units of fields come from the model, so a page never holds a second list of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from tomoportal import __version__
from tomoportal.model.entities import ENTITIES
from tomoportal.model.ids import format_id
from tomoportal.web import links
from tomoportal.web.portal import Portal

__all__ = ["PAGE_HEADERS", "Pages", "static_digest"]

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@cache
def static_digest(name: str) -> str:
    """Short digest of a static file: part of its address, so that browsers may keep it for ever."""
    return hashlib.sha256(files("tomoportal.web").joinpath("static", name).read_bytes()).hexdigest()[:12]


class Pages:
    """Renders templates for one portal."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self._environment = Environment(
            loader=PackageLoader("tomoportal.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["day"] = date_text
        self._environment.globals |= {
            "portal": portal,
            "version": __version__,
            "section": None,
            "search": None,
            "static": lambda name: f"/static/{static_digest(name)}/{name}",
            "file_url": file_url,
            "format_id": format_id,
            "label": label,
            "shown": shown,
            "percent": lambda value: "n/a" if value is None else f"{value:g} %",
            "bytes_text": bytes_text,
            "words": words,
            "reported": lambda text: (text or "--").replace("not_reported", "not reported"),
            "author_link": links.author_link,
            "entries": links.entries,
            "empiar": lambda text: [link for link in links.entries(text) if link.text.startswith("EMPIAR-")][:1],
            "term": links.term,
            "taxonomy": links.taxonomy,
        }

    def render(self, request: Request, template: str, /, *, status: int = 200, **values: Any) -> Response:
        """A page as an answer, with ``url`` and ``page_url`` that keep the query of this request."""
        bases = self.portal.bases(request)
        values |= {
            "url": lambda **changes: query_url(request, changes),
            "page_url": lambda number: query_url(request, {"page": None if number == 1 else number}),
            "public_url": lambda key: key if "://" in key else f"{bases.https}/{quote(key)}",
        }
        html = self._environment.get_template(template).render(values)
        return Response(html, status, PAGE_HEADERS, media_type="text/html")


def query_url(request: Request, changes: Mapping[str, Any]) -> str:
    """The address of this page with some parameters changed; None removes one."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    query += [(name, str(value)) for name, value in changes.items() if value is not None]
    return f"{request.url.path}?{urlencode(query)}" if query else request.url.path


def file_url(key: str) -> str:
    """Where this origin serves an archive key; an address elsewhere stays as it is."""
    return key if "://" in key else f"/files/{quote(key)}"


def label(entity: str, name: str) -> str:
    """Label of a field with its unit, from the model."""
    field = ENTITIES[entity].field(name)
    return f"{field.label} ({field.unit})" if field.unit else field.label


def shown(entity: str, name: str, value: Any) -> str:
    """A value as a reader wants it: ``--`` for nothing, words for true and false, no noise digits."""
    if value is None or value == "":
        return "--"
    match ENTITIES[entity].field(name).type:
        case "Boolean":
            return "Yes" if value else "No"
        case "Float":
            return f"{value:.6g}"
        case "Enum":
            return words(str(value))
        case "DateTime":
            return date_text(value)
        case _:
            return str(value)


def date_text(value: Any) -> str:
    """The day of a time stamp, as ISO date."""
    if value is None:
        return "--"
    return value.date().isoformat() if isinstance(value, datetime) else str(value)[:10]


def words(name: str) -> str:
    """An enum's value as words: ``OrientedPoint`` → ``oriented point``, ``in_silico`` → ``in silico``."""
    spaced = "".join(f" {c.lower()}" if c.isupper() and i and not name.isupper() else c for i, c in enumerate(name))
    return (spaced[:1].lower() + spaced[1:] if not name.isupper() else spaced).replace("_", " ")


def bytes_text(size: float) -> str:
    """A size with a decimal unit: ``292 MB``."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    number, unit = float(size), 0
    while number >= 999.5 and unit < len(units) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.3g} {units[unit]}" if unit else f"{int(size)} B"
