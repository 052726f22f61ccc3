"""``/s3/<bucket>/<key>``: the archive as a read-only S3 bucket.

``endpoint.py`` understands requests, ``listing.py`` cuts the archive into pages, ``xml.py`` writes the answers.
"""

from __future__ import annotations

from tomoportal.server.s3.endpoint import S3

__all__ = ["S3"]
