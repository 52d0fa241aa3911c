"""YANG modules of others: those of IETF and IANA, which pyang brings, and OpenConfig's."""

import re
import sys
from pathlib import Path

from system.packages import contents_of

IETF = Path(sys.prefix) / "share/yang/modules"
_IMPORT = re.compile(r"^\s*(?:import|include)\s+\"?([\w.-]+)", re.MULTILINE)


def ietf(*names: str) -> list[str]:
    """Return the texts of modules, with those that they import."""
    return _texts(IETF, names)


def openconfig(*names: str) -> list[str]:
    """Return the texts of modules, with those of OpenConfig that they import; skip if it cannot."""
    return _texts(contents_of("openconfig") / "ntc_rosetta/yang/openconfig", names)


def _texts(folder: Path, names: tuple[str, ...]) -> list[str]:
    files = {path.stem: path for path in folder.rglob("*.yang")}
    texts: dict[str, str] = {}
    wanted = list(names)
    for name in wanted:  # grows on the way
        if name in files and name not in texts:
            texts[name] = files[name].read_text("utf-8")
            wanted += _IMPORT.findall(texts[name])
    return list(texts.values())
