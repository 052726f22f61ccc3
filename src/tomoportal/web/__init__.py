"""Pages: what a person sees. One module per page, rendered on the server, working without JavaScript.

``routes(portal)`` gives the routes that the server mounts at ``/``. Pages read the catalog through
``tomoportal.catalog.browse`` and never through GraphQL; labels and units of fields come from the model.
"""

from tomoportal.web.portal import Portal
from tomoportal.web.routes import error_page, routes

__all__ = ["Portal", "error_page", "routes"]
