"""Whether similarities are those of any representation at all.

Owns the check for kernels that come from elsewhere, such as a table of similarities or a learned kernel. Those that
`kernel` makes of words and vectors pass it by construction, and tests hold them to it. Pure.
"""

import numpy as np

from vicinal_daemon.errors import InvalidKernel
from vicinal_daemon.select.kernel import Kernel

JITTER = 1e-7
"""What rounding may do to an eigenvalue, relative to the largest k(x, x)."""

_HINT = (
    "use inner products of vectors; sums, products and w_i w_j k(x_i, x_j) of kernels are kernels, clamped ones are not"
)


def checked(kernel: Kernel) -> Kernel:
    """The kernel itself, if there are phi with k(x, x') = phi(x) . phi(x') for each prompt and all candidates.

    Without them sigma^2 means nothing: it may fall below zero, and gains may be of any size. K + jitter must have a
    Cholesky factor L, and of no prompt may the candidates tell more than there is, |L^-1 k(x*)|^2 <= k(x*, x*). That is
    the Schur complement of the joint matrix; prompts are never compared with each other. O(K^3), some 2 ms for K = 200.

    Raises:
        InvalidKernel: not symmetric, or not positive semi-definite.
    """
    if not len(kernel):
        return kernel
    among = kernel.among
    scale = float(max(np.abs(np.diagonal(among)).max(), np.abs(kernel.prompts).max(), np.finfo(float).tiny))
    if not np.allclose(among, among.T, rtol=0.0, atol=JITTER * scale):
        raise InvalidKernel("a kernel is symmetric, this one is not", hint=_HINT)
    try:
        factor = np.linalg.cholesky(among + JITTER * scale * np.eye(len(among)))
    except np.linalg.LinAlgError:
        lowest = float(np.linalg.eigvalsh(among)[0])
        raise InvalidKernel(f"the candidates' kernel has the eigenvalue {lowest:.3g}, below zero", hint=_HINT) from None
    told = np.square(np.linalg.solve(factor, kernel.to_prompts)).sum(axis=0)
    rest = float((kernel.prompts - told).min())
    if rest < -JITTER * scale:
        raise InvalidKernel(f"a prompt's variance would fall to {rest:.3g}, below zero", hint=_HINT)
    return kernel
