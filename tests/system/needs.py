"""What a test needs of the host, and the reason it gives when that is missing."""

import os
import shutil
import subprocess

import pytest

SBIN = "/usr/sbin:/sbin:/usr/lib/frr"


def find(tool: str) -> str | None:
    """Find a program, where administrators' programs are too."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def missing(*tools: str) -> str | None:
    """Say what keeps network namespaces or one of the tools from working; None is all well."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in ("ip", "nsenter", *tools) if find(tool) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    probe = subprocess.run(
        ["unshare", "--net", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return f"needs network namespaces: {probe.stderr.strip()}" if probe.returncode else None


def needs(*tools: str) -> pytest.MarkDecorator:
    """Mark a test that runs in network namespaces and with these tools."""
    reason = missing(*tools)
    return pytest.mark.skipif(reason is not None, reason=reason or "")
