"""The engine: trials run in processes, are kept in a store, and are never run twice."""

from farfield.study.arrays import StoredArray as StoredArray
from farfield.study.run import Outcome as Outcome
from farfield.study.run import run as run
from farfield.study.store import Record as Record
from farfield.study.store import Store as Store
from farfield.study.store import open_store as open_store
from farfield.study.trial import Trial as Trial
