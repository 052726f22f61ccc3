"""What a page reads from its address: ids with or without prefix, page numbers."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tomoportal.model.ids import parse_id

__all__ = ["entity_id", "page_number"]


def entity_id(request: Request, kind: str) -> int | Response:
    """The number in ``/…/{id}``; a redirect if it was written with its prefix (``DS-10000``).

    Raises a 400 for a text that is no id of this kind.
    """
    text = request.path_params["id"]
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        _, number = parse_id(text, kind)
    except ValueError:
        raise HTTPException(400, f"“{text[:40]}” is not an id of a {kind.lower()}; ids are numbers.") from None
    bare = request.url.path.rsplit("/", 1)[0] + f"/{number}"
    return RedirectResponse(bare + (f"?{request.url.query}" if request.url.query else ""))


def page_number(request: Request) -> int:
    """``?page=``, 1 if absent or not a number."""
    text = request.query_params.get("page", "1")
    return max(int(text), 1) if text.isdecimal() and len(text) < 9 else 1
