"""The application: every room that answers requests, put together on one port."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route

from tomoportal import web
from tomoportal.archive import Archive
from tomoportal.catalog import Catalog, GraphQL, default_url, index
from tomoportal.server.addresses import client_of
from tomoportal.server.context import Context
from tomoportal.server.files import Files
from tomoportal.server.hardening import Hardening
from tomoportal.server.health import Health
from tomoportal.server.metrics import Metrics, MetricsPage
from tomoportal.server.observation import Observation
from tomoportal.server.page_delivery import PageDelivery
from tomoportal.server.problems import exception_handlers
from tomoportal.server.s3 import S3
from tomoportal.server.settings import Settings
from tomoportal.server.transport import SCHEMA_HEADER, GraphQLTransport, explorer_asset
from tomoportal.server.viewer import AnnotationLayers, MeshLayers, ViewerClient, ViewerStates

__all__ = ["create_app", "prepare"]

_NEVER_INDEXED = "0"  # the data version of a catalog that was just made
_LOCALHOST = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?"


def prepare(settings: Settings, *, tell: Callable[[str], None] = lambda text: None) -> None:
    """See to it that there is a catalog: a portal without one is indexed now, once, before any worker starts."""
    archive = Archive.open(settings.archive, read_only=True)
    with Catalog.open(_database(settings, archive), create=True) as catalog:
        if catalog.version == _NEVER_INDEXED:
            tell("There is no catalog yet: indexing the archive.")
            index(archive, catalog)


def create_app(settings: Settings) -> Starlette:
    """The ASGI application of one portal; raises when its archive or its catalog cannot be opened."""
    archive = Archive.open(settings.archive, read_only=True)
    catalog = Catalog.open(_database(settings, archive))
    context = Context(
        settings=settings,
        archive=archive,
        catalog=catalog,
        graphql=GraphQL(catalog),
        threads=ThreadPoolExecutor(settings.threads, thread_name_prefix="questions"),
        file_threads=ThreadPoolExecutor(settings.threads, thread_name_prefix="files"),
    )
    metrics = Metrics()
    portal = web.Portal(
        catalog=catalog,
        bases=lambda request: context.bases(request.scope),
        viewer=lambda request: context.viewer(request.scope),
        origin=lambda request: context.addresses(request.scope).portal,
        name=settings.site_name,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        context.close()

    app = Starlette(
        routes=[*_routes(context, metrics), *web.routes(portal)],
        middleware=[
            Middleware(Observation, metrics=metrics, client_of=functools.partial(client_of, settings=settings)),
            Middleware(Hardening, files_url=settings.files_url),
            Middleware(PageDelivery),
        ],
        exception_handlers=exception_handlers(functools.partial(web.error_page, portal)),
        lifespan=lifespan,
    )
    app.state.settings, app.state.archive, app.state.catalog = settings, archive, catalog
    return app


def _routes(context: Context, metrics: Metrics) -> list[BaseRoute]:
    graphql = GraphQLTransport(context)
    cors = [_cors(context.settings)]
    layers, meshes = AnnotationLayers(context), MeshLayers(context)
    s3 = S3(context)
    states = ViewerStates(context)
    shown = [Route("/metrics", MetricsPage(context, metrics).respond, methods=["GET"])]
    return [
        *(shown if context.settings.metrics else ()),
        # "/graphql/" answers as "/graphql" does: a redirect would cost clients a second request.
        Route("/graphql", graphql, middleware=cors),
        Route("/graphql/", graphql, middleware=cors),
        Route("/graphql/{name}", explorer_asset, methods=["GET"]),
        Route("/files", lambda request: RedirectResponse("/files/"), methods=["GET"]),
        Route("/files/{key:path}", Files(context)),
        Route("/s3", s3),
        Route("/s3/{path:path}", s3),
        Route("/viewer/v/portal/{name:path}", ViewerClient(context)),
        Route("/viewer/runs/{run}/state.json", states.respond, methods=["GET", "OPTIONS"]),
        Route("/viewer/annotations/{file}/{name:path}", layers.respond, methods=["GET", "OPTIONS"]),
        Route("/viewer/meshes/{file}/{name:path}", meshes.respond, methods=["GET", "OPTIONS"]),
        Route("/healthz", Health(context).respond, methods=["GET"]),
    ]


def _cors(settings: Settings) -> Middleware:
    """Which pages of other origins may ask ``/graphql``: those of the settings, by default any port of localhost."""
    patterns = [_wildcard(origin) for origin in settings.cors_origins] or [_LOCALHOST]
    return Middleware(
        CORSMiddleware,
        allow_origin_regex="|".join(f"(?:{pattern})" for pattern in patterns),
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", SCHEMA_HEADER],
        expose_headers=["ETag"],
        max_age=600,
    )


def _wildcard(origin: str) -> str:
    """An allowed origin as a regular expression; ``*`` stands for a part of a host name, alone for everything."""
    return ".*" if origin == "*" else re.escape(origin).replace(r"\*", r"[A-Za-z0-9.-]+")


def _database(settings: Settings, archive: Archive) -> str:
    return settings.db or default_url(archive)
