"""Run applications of os-ken 1.4, the last that brought them, on an eventlet that has moved on.

Run by the Python of their own environment: osken_app.py ARGUMENTS-OF-OSKEN-MANAGER...
"""

import sys

import eventlet.wsgi

if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
    eventlet.wsgi.ALREADY_HANDLED = []  # the module of the applications wants to import the name

from os_ken.cmd.manager import main

if __name__ == "__main__":
    main(sys.argv[1:])
