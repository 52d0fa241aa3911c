"""Run the bus as a process of its own."""

import sys

from ..component import run
from .bus import Bus

sys.exit(run(Bus))
