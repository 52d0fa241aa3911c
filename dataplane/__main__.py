"""The dataplane as a process: python -m raicho.dataplane."""

import sys

from ..control.component import run
from .service import DataplaneComponent

sys.exit(run(DataplaneComponent))
