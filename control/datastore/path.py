"""Paths, where a bad one is a fault of the configuration like any other."""

from ..message import path
from ..message.path import ROOT as ROOT
from ..message.path import Path as Path
from ..message.path import Step as Step
from ..message.path import format_path as format_path
from ..message.path import is_quotable as is_quotable
from ..message.path import qualified_names as qualified_names
from .fault import Fault, NoSuchNode


def parse_path(text: str) -> Path:
    """Read a path, or raise NoSuchNode."""
    try:
        return path.parse_path(text)
    except path.BadPath as error:
        raise NoSuchNode(Fault(text, "path", str(error))) from None
