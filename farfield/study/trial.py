"""What a trial is: one point of a grid and a seed, all plain data, under a key that says exactly what was run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from farfield import __version__


@dataclass(frozen=True)
class Trial:
    """One point of a study's grid with one seed.

    **Fields:**
    - ``study``: the study's name.
    - ``point``: plain JSON data, what is run.
    - ``seed``: a whole number.
    - ``sources``: hashes of whatever the point only names: the user's modules and data. Data that changed is another trial.

    >>> a = Trial("compare", {"method": "erm"}, seed=0)
    >>> a.key == Trial("compare", {"method": "erm"}, seed=0).key, a.key == Trial("compare", {"method": "erm"}, seed=1).key
    (True, False)
    """

    study: str
    point: Mapping[str, Any]
    seed: int
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of study, library version, point, seed and sources, as 32 hexadecimal digits."""
        identity = [self.study, __version__, self.point, self.seed, self.sources]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
