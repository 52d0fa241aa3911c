"""Run the OpenFlow agent as a process of its own."""

import sys

from ..component import run
from .agent import Agent

sys.exit(run(Agent))
