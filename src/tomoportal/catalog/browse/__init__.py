"""What pages read from the catalog: a constant number of statements per page, whatever it shows.

Every function takes the catalog and who asks, and returns plain dictionaries whose keys are the fields' names
(``title``, ``s3_mrc_file``); a path field holds the archive key, or a whole address if the file lies elsewhere.
"""

from tomoportal.catalog.browse.datasets import Counts, dataset, datasets, landing_counts
from tomoportal.catalog.browse.depositions import deposition, depositions
from tomoportal.catalog.browse.reading import Listing
from tomoportal.catalog.browse.runs import run, run_of

__all__ = [
    "Counts",
    "Listing",
    "dataset",
    "datasets",
    "deposition",
    "depositions",
    "landing_counts",
    "run",
    "run_of",
]
