"""The Gaussian-process posterior at the prompt, conditioned on one candidate after the other.

Owns the rank-one arithmetic of SIFT and what can never be known. It does not know who chooses, or why. Pure numpy.
"""

import numpy as np

from vicinal_daemon.select.kernel import Kernel, Matrix

_CONDITION = 1e8
"""Of K, at most, for the short way: no direction is left out then, and rounding stays below 1e-7."""

_ROOM = 16
"""Observations that there is room for at first; it doubles as needed."""


class Posterior:
    """sigma_n^2(x*) = k(x*,x*) - k_n(x*)^T (K_n + lambda' I)^-1 k_n(x*), kept up to date by rank-one steps.

    Hübotter et al., "Efficiently Learning at Test-Time: Active Fine-Tuning of LLMs", eq. 4. With c = k_n(., x*),
    V = k_n(., .) over the K candidates and d = V_jj + lambda', observing candidate j does
    sigma^2 -= c_j^2 / d;  c -= V[:, j] c_j / d;  V -= V[:, j] V[:, j]^T / d.
    Of V only the diagonal and the chosen column are read, so V is kept as K - L L^T, a column V[:, j] / sqrt(d) of
    L for each observation: O(K n) for the n-th and not O(K^2). The same candidate may be observed many times. Of
    several prompts the mean variance counts.

    Args:
        kernel: K candidates and m prompts.
        noise: lambda' > 0, the regulariser over the kernel's scale. Large: repeat the nearest neighbour.
    """

    def __init__(self, kernel: Kernel, noise: float) -> None:
        if not noise > 0:
            raise ValueError(f"noise (lambda') must be positive, not {noise}")
        self._noise = noise
        self._among = kernel.among
        self._factor = np.empty((len(kernel), _ROOM), order="F")
        self._count = 0
        self._own = np.diagonal(kernel.among).copy()
        self._to_prompts = kernel.to_prompts.copy()
        self._variances = kernel.prompts.copy()

    @property
    def variance(self) -> float:
        """sigma_n^2, the mean over the prompts."""
        return float(self._variances.mean())

    @property
    def candidate_variances(self) -> Matrix:
        """(K,): sigma_n^2(x_i) of each candidate itself."""
        return self._own.copy()

    def gains(self) -> Matrix:
        """(K,): by how much one more observation of each candidate would reduce the variance."""
        gains: Matrix = np.square(self._to_prompts).mean(axis=1) / (self._own + self._noise)
        return gains

    def observe(self, candidate: int) -> float:
        """Condition on `candidate`; returns the new variance sigma_n^2 >= 0."""
        known = self._factor[:, : self._count]
        column = self._among[:, candidate] - known @ known[candidate]
        column /= np.sqrt(self._own[candidate] + self._noise)
        share = self._to_prompts[candidate] / np.sqrt(self._own[candidate] + self._noise)
        # Rounding may take what is exactly explained a hair below zero.
        self._variances = np.maximum(0.0, self._variances - np.square(share))
        self._to_prompts -= np.outer(column, share)
        self._own = np.maximum(0.0, self._own - np.square(column))
        if self._count == self._factor.shape[1]:
            self._factor = np.asfortranarray(np.hstack([self._factor, np.empty_like(self._factor)]))
        self._factor[:, self._count] = column
        self._count += 1
        return self.variance


def irreducible_variance(kernel: Kernel) -> float:
    """sigma_inf^2: what stays unknown when every candidate has been observed without end; the mean over the prompts.

    The prompt's squared distance to the span of the candidates, k(x*,x*) - k^T K^+ k. Directions of K with
    an eigenvalue below 1e-9 of the largest are noise of the arithmetic and are left out.
    """
    if len(kernel) == 0:
        return float(kernel.prompts.mean())
    return float(np.maximum(0.0, left_over(kernel)).mean())


def left_over(kernel: Kernel) -> Matrix:
    """(m,): k(x*,x*) - k^T K^+ k of each prompt, K > 0. Negative if no phi has these products: then it is no kernel."""
    halves = _whitened(kernel)
    if halves is None:
        halves = _whitened_in_span(kernel)
    rest: Matrix = kernel.prompts - np.square(halves).sum(axis=0)
    return rest


def _whitened(kernel: Kernel) -> Matrix | None:
    """L^-1 k with L L^T = K: five times as fast as by eigenvalues. None if K is not, or hardly, of full rank."""
    try:
        inverse = np.linalg.inv(np.linalg.cholesky(kernel.among))
    except np.linalg.LinAlgError:
        return None
    # The smallest eigenvalue is at least 1 / |L^-1|_F^2, the largest at most the trace.
    if np.square(inverse).sum() * np.trace(kernel.among) > _CONDITION:
        return None
    whitened: Matrix = inverse @ kernel.to_prompts
    return whitened


def _whitened_in_span(kernel: Kernel) -> Matrix:
    values, vectors = np.linalg.eigh(kernel.among)
    kept = values > max(values[-1], 0.0) * 1e-9
    whitened: Matrix = vectors[:, kept].T @ kernel.to_prompts / np.sqrt(values[kept, None])
    return whitened
