"""OpenFlow 1.0 for old controllers: its messages as those of 1.3, and back.

Without I/O.  A session whose controller speaks 1.0 has a Translator before it;
behind that everything is 1.3.  Flows go to table 0, deletes and questions
concern all tables.  What 1.0 has no words for is left out of what it is told.
"""

from .translator import Translator

__all__ = ["Translator"]
