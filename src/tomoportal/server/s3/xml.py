"""The XML of S3's answers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from urllib.parse import quote
from xml.sax.saxutils import escape

from tomoportal.server.file_sources import entity_tag
from tomoportal.server.s3.listing import Listing, Page
from tomoportal.server.served_keys import UNSPEAKABLE
from tomoportal.storage import Stat

__all__ = ["REGION", "buckets", "error", "listing", "location", "versioning"]

REGION = "us-east-1"
"""What every client takes for the region if it is told none; it names no place here."""

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_STAYS = re.compile(r"[A-Za-z0-9/_.~-]*")  # most keys: a look costs less than to encode
_REPLACEMENT = "\ufffd"
_QUOTE = {'"': "&quot;"}
_OWNER = "<Owner><ID>tomoportal</ID><DisplayName>tomoportal</DisplayName></Owner>"


def error(code: str, text: str, resource: str, details: Mapping[str, str]) -> bytes:
    """The body of a refusal."""
    rest = "".join(_tag(name, value) for name, value in {**details, "Resource": resource}.items())
    return _document(f"<Error>{_tag('Code', code)}{_tag('Message', text)}{rest}</Error>")


def buckets(name: str) -> bytes:
    """The list of buckets: one."""
    born = _time(0)  # nobody knows; clients want a time
    row = f"<Bucket>{_tag('Name', name)}<CreationDate>{born}</CreationDate></Bucket>"
    return _document(_root("ListAllMyBucketsResult", f"{_OWNER}<Buckets>{row}</Buckets>"))


def location() -> bytes:
    """Where the bucket is; the empty text stands for the first region."""
    return _document(_root("LocationConstraint", ""))


def versioning() -> bytes:
    """That there are no versions."""
    return _document(_root("VersioningConfiguration", ""))


def listing(bucket: str, asked: Listing, page: Page) -> bytes:
    """A page of the bucket's list, of ListObjects or ListObjectsV2."""

    def written(text: str) -> str:
        return quote(text, safe="/~") if asked.url_encoded and not _STAYS.fullmatch(text) else text

    parts = [_tag("Name", bucket), _tag("Prefix", written(asked.prefix)), _tag("MaxKeys", str(asked.limit))]
    if asked.delimiter:
        parts.append(_tag("Delimiter", written(asked.delimiter)))
    if asked.url_encoded:
        parts.append("<EncodingType>url</EncodingType>")
    parts.append(_tag("IsTruncated", "true" if page.truncated else "false"))
    if asked.version == 1:
        parts.append(_tag("Marker", written(asked.start_after)))
        if page.truncated:
            parts.append(_tag("NextMarker", written(page.last)))
    else:
        parts.append(_tag("KeyCount", str(len(page.objects) + len(page.folders))))
        if asked.token is not None:
            parts.append(_tag("ContinuationToken", asked.token))
        if page.next_token:
            parts.append(_tag("NextContinuationToken", page.next_token))
        if asked.start_after:
            parts.append(_tag("StartAfter", written(asked.start_after)))
    owner = _OWNER if asked.with_owner else ""
    parts += (_row(found, written(found.key), owner) for found in page.objects)
    parts += (f"<CommonPrefixes>{_tag('Prefix', written(folder))}</CommonPrefixes>" for folder in page.folders)
    return _document(_root("ListBucketResult", "".join(parts)))


def _row(found: Stat, key: str, owner: str) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{_time(found.modified)}</LastModified>"
        f"<ETag>{escape(entity_tag(found.etag), _QUOTE)}</ETag><Size>{found.size}</Size>{owner}"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _time(timestamp: float) -> str:
    """Whole seconds, as the header ``Last-Modified`` has them."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(int(timestamp)))


def _tag(name: str, value: str) -> str:
    # Texts of the request are repeated in answers, and may hold what XML cannot.
    return f"<{name}>{escape(UNSPEAKABLE.sub(_REPLACEMENT, value))}</{name}>"


def _root(name: str, content: str) -> str:
    return f'<{name} xmlns="{_NAMESPACE}">{content}</{name}>'


def _document(content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{content}'.encode()
