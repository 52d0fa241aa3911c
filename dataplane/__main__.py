"""The dataplane as a process: python -m raicho.dataplane."""

import sys

from .service import main

sys.exit(main())
