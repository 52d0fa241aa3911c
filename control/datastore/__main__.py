"""Run the datastore as a process of its own."""

import sys

from ..component import run
from .service import Datastore

sys.exit(run(Datastore))
