"""Reading a database from Python: frames of answers, scores and numbers.

:func:`lam3db.open` is the door. What must hold: nothing here writes; importing this package
imports no data-frame library.
"""

from lam3db.reading.database import Database, open_database
from lam3db.reading.frame import Column, Frame

__all__ = ["Column", "Database", "Frame", "open_database"]
