"""Run the supervisor in the foreground."""

import sys

from ..component import run
from .supervisor import Supervisor

sys.exit(run(Supervisor))
