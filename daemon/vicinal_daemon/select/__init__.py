"""Which code to learn from: SIFT and its rivals over a kernel matrix.

Owns the choice of a multiset of candidates and the posterior variance that follows from it.
Pure: it knows neither files, nor models, nor where a kernel came from.
"""

from vicinal_daemon.select.check import checked
from vicinal_daemon.select.counts import TermCounts, counted, term_counts
from vicinal_daemon.select.kernel import Kernel, blend, dense_kernel, lexical_kernel, mixed_kernel, weighted
from vicinal_daemon.select.posterior import Posterior, irreducible_variance
from vicinal_daemon.select.strategies import Selection, Strategy, select

__all__ = [
    "Kernel",
    "Posterior",
    "Selection",
    "Strategy",
    "TermCounts",
    "blend",
    "checked",
    "counted",
    "dense_kernel",
    "irreducible_variance",
    "lexical_kernel",
    "mixed_kernel",
    "select",
    "term_counts",
    "weighted",
]
