"""Run routing as a process of its own."""

import sys

from ..component import run
from .routing import RoutingComponent

sys.exit(run(RoutingComponent))
