"""What an S3 client may ask a read-only bucket, by path-style addresses.

Signatures are not checked: requests may be unsigned, signed, or carry a presigned address' parameters, and all see what
everybody sees. What would change the bucket is refused. Tools need the endpoint's address and the bucket's name:

    aws s3 sync --no-sign-request --endpoint-url http://host:8000/s3 s3://tomoportal/10001 10001
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tomoportal.catalog import Viewer, visibility
from tomoportal.errors import NotFoundError, TomoportalError
from tomoportal.server.context import Context
from tomoportal.server.file_replies import DATA_CORS, FileReply, file_reply, send_reply
from tomoportal.server.file_sources import open_source
from tomoportal.server.s3 import xml
from tomoportal.server.s3.listing import BadArgumentError, Levels, Listing, list_page
from tomoportal.server.served_keys import is_ours, is_plain

__all__ = ["S3"]

_STATUS = {
    "AccessDenied": 403,
    "InvalidArgument": 400,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchVersion": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "ServiceUnavailable": 503,
}
_ALLOWED = "GET, HEAD, OPTIONS"
_PREFLIGHT = {
    **DATA_CORS,
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": (
        "Authorization, Cache-Control, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, "
        "Range, amz-sdk-invocation-id, amz-sdk-request, x-amz-checksum-mode, x-amz-content-sha256, x-amz-date, "
        "x-amz-security-token, x-amz-user-agent"
    ),
    "Access-Control-Max-Age": "86400",
}
# Properties of buckets and objects that are asked for by a parameter's name, and that nothing here has.
_PROPERTIES = {
    *("accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory"),
    *("legal-hold", "lifecycle", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy"),
    *("policyStatus", "publicAccessBlock", "replication", "requestPayment", "retention", "tagging", "torrent"),
    *("uploadId", "uploads", "versions", "website"),
}
_CODES = {412: "PreconditionFailed", 416: "InvalidRange"}

_log = logging.getLogger("tomoportal.server")


class _RefusedError(Exception):
    """A request that is answered with an error of S3."""

    def __init__(self, code: str, text: str, **details: str) -> None:
        super().__init__(text)
        self.code, self.text, self.details = code, text, details


class S3:
    """The ASGI application below ``/s3``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bucket = context.settings.bucket
        self._levels = Levels()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send)
            return
        bucket, _, key = scope["path_params"].get("path", "").partition("/")
        reply = await self._context.run_file(self._reply, scope, bucket, key)
        await send_reply(self._context, reply, receive, send)

    def _reply(self, scope: Scope, bucket: str, key: str) -> FileReply:
        """The answer up to the first piece of a file, in a thread."""
        headers, method = Headers(scope=scope), scope["method"]
        try:
            return self._answered(scope, bucket, key, headers)
        except BadArgumentError as error:
            details = {"ArgumentName": error.name, "ArgumentValue": error.value}
            return _error("InvalidArgument", error.text, scope, details)
        except _RefusedError as error:
            extra = {"Allow": _ALLOWED} if method not in {"GET", "HEAD"} else {}
            return _error(error.code, error.text, scope, error.details, extra)
        except TomoportalError as error:
            _log.error("%s %s: %s", method, scope["path"], error)
            return _error("ServiceUnavailable", "The archive cannot be reached at the moment. Try again.", scope, {})

    def _answered(self, scope: Scope, bucket: str, key: str, headers: Mapping[str, str]) -> FileReply:
        method, viewer = scope["method"], self._context.viewer(scope)
        if method not in {"GET", "HEAD"}:
            raise _RefusedError("MethodNotAllowed", "This bucket is read-only.", Method=method, ResourceType="OBJECT")
        if not bucket:
            return _document(xml.buckets(self._bucket), method)
        if bucket != self._bucket:
            raise _RefusedError("NoSuchBucket", "The specified bucket does not exist", BucketName=bucket)
        parameters = _parameters(scope)
        if missing := sorted(_PROPERTIES & parameters.keys()):
            raise _RefusedError("NotImplemented", "This bucket has no such property.", Property=missing[0])
        if key:
            return self._object(scope, key, parameters, headers, viewer)
        if method == "HEAD":
            return FileReply(200, {**DATA_CORS, "x-amz-bucket-region": xml.REGION})
        if "location" in parameters:
            return _document(xml.location(), method)
        if "versioning" in parameters:
            return _document(xml.versioning(), method)
        asked = Listing.parse(parameters)
        page = list_page(self._context.archive.store, asked, _Hidden(self._context, viewer), self._levels)
        return _document(xml.listing(self._bucket, asked, page), method)

    def _object(
        self, scope: Scope, key: str, parameters: Mapping[str, str], headers: Mapping[str, str], viewer: Viewer
    ) -> FileReply:
        if parameters.get("versionId", "null") not in {"null", ""}:
            version = parameters["versionId"]
            raise _RefusedError("NoSuchVersion", "The specified version does not exist.", Key=key, VersionId=version)
        nothing = _RefusedError("NoSuchKey", "The specified key does not exist.", Key=key)
        if not is_plain(key) or is_ours(key) or not self._context.may_read(key, viewer):
            raise nothing
        try:
            source = open_source(self._context.archive.store, key, headers, scope["method"])
        except NotFoundError:
            raise nothing from None
        except PermissionError as error:
            _log.warning("%s is not served: %s", key, error)
            raise _RefusedError("AccessDenied", "Access Denied", Key=key) from error

        def refuse(status: int, text: str, common: Mapping[str, str]) -> FileReply:
            return _error(_CODES[status], text, scope, {"Key": key}, common)

        reply = None
        try:
            # Never compressed: clients compare the length with that of the list, and put parts together.
            reply = file_reply(source, key, headers, scope["method"], refuse, compressing=False)
            return reply
        finally:
            if reply is None or reply.source is None:
                source.close()


class _Hidden:
    """Which keys are left out of a listing; asks the rule of visibility once per owner."""

    def __init__(self, context: Context, viewer: Viewer) -> None:
        self._context, self._viewer = context, viewer
        self._seen: dict[visibility.Owner | None, bool] = {None: True}

    def __call__(self, key: str) -> str | None:
        if is_ours(key):
            return _first_folder(key, is_ours)
        if not is_plain(key):
            return key
        owner = visibility.owner_of(key)
        if owner not in self._seen:
            self._seen[owner] = self._context.may_read(key, self._viewer)
        return None if self._seen[owner] else _first_folder(key, lambda part: visibility.owner_of(part) == owner)


def _first_folder(key: str, matches: Callable[[str], bool]) -> str:
    """The shortest beginning of a key, in whole names, for which something holds that holds for the key."""
    end = key.find("/")
    while end >= 0 and not matches(key[:end]):
        end = key.find("/", end + 1)
    return key if end < 0 else key[:end]


def _parameters(scope: Scope) -> dict[str, str]:
    text = scope["query_string"].decode("latin-1")
    return dict(parse_qsl(text, keep_blank_values=True, errors="replace"))


def _document(body: bytes, method: str) -> FileReply:
    kind = {"Content-Type": "application/xml", "Content-Length": str(len(body)), "Cache-Control": "no-cache"}
    return FileReply(200, {**DATA_CORS, **kind}, b"" if method == "HEAD" else body)


def _error(
    code: str, text: str, scope: Scope, details: Mapping[str, str], headers: Mapping[str, str] = DATA_CORS
) -> FileReply:
    body = xml.error(code, text, scope["path"].removeprefix("/s3"), details)
    kind = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    return FileReply(_STATUS[code], {**DATA_CORS, **headers, **kind}, b"" if scope["method"] == "HEAD" else body)
