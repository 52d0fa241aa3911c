"""Run state sync as a process of its own."""

import sys

from ..component import run
from .statesync import StateSync

sys.exit(run(StateSync))
