"""Run the command line as `python -m raicho.control.cli`."""

from .main import main

main()
