"""An S3 server for tests: moto's, which honours conditional writes."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["s3_server"]

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# It takes a port that is free and says which: no other program can be faster.
_SERVER = """
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
print(server.port, flush=True)
server.serve_forever()
"""


@contextmanager
def s3_server(bucket: str = "bucket") -> Iterator[str]:
    """Run moto's server on a free port of 127.0.0.1; yield the URL of an empty bucket for ``open_store``.

    Sets dummy ``AWS_…`` credentials in the environment for as long.
    """
    former = {name: os.environ.get(name) for name in _CREDENTIALS}
    os.environ.update(_CREDENTIALS)
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        request = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request")
        with urllib.request.urlopen(request, timeout=120):
            pass
        yield f"s3://{bucket}?endpoint={endpoint}"
    finally:
        server.terminate()
        server.communicate()
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
