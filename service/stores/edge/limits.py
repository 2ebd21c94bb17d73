"""How long the service waits for its gallery's process, by what is asked."""

from __future__ import annotations

REQUEST_LIMIT_S = 4.5
"""After this long without an answer a request fails, within the 5 seconds that a probe of readiness takes at most."""

FIGURES_LIMIT_S = 60.0
"""Counting the remarks of 100,000 faces takes some seconds."""

MANY_FACES_LIMIT_S = 900.0
"""Removing a gallery takes about 0.1 s for 1,000 faces."""

BIND_LIMIT_S = 4 * 3600.0
"""Bringing a gallery of an older version up to date takes a while for each face that it has."""

INSPECTED_AT_ONCE = 200
"""Faces whose pictures are decoded between two answers."""

OPTIMIZE_LIMIT_S = 24 * 3600.0
"""Building the index took 105 s for 100,000 faces on two cores, and grows a little faster than their number."""
