"""What the configuration files of Lagopus say, as edits and flows of raicho."""

from .script import understand as understand
from .things import Bad as Bad
from .things import Flow as Flow
from .things import Script as Script
