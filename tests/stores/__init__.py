"""Stores that tests run: servers from Debian's packages, and a file."""
