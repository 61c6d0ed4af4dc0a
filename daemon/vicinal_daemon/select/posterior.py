"""The Gaussian-process posterior at the prompt, conditioned on one candidate after the other.

Owns the rank-one arithmetic of SIFT and what can never be known. It does not know who chooses, or why. Pure numpy.
"""

import math

import numpy as np

from vicinal_daemon.select.kernel import Kernel, Matrix

_NEXT_TO_NOTHING = 1e-12
"""Of the largest k(x, x): noise that changes nothing but what rounding would spoil."""

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
        self._noisy = np.diagonal(kernel.among) + noise  # V_jj + lambda'
        self._to_prompts = kernel.to_prompts.copy()
        self._variances = kernel.prompts.copy()

    @property
    def variance(self) -> float:
        """sigma_n^2, the mean over the prompts."""
        return float(self._variances.sum()) / len(self._variances)

    @property
    def candidate_variances(self) -> Matrix:
        """(K,): sigma_n^2(x_i) of each candidate itself."""
        return np.maximum(0.0, self._noisy - self._noise)

    def gains(self) -> Matrix:
        """(K,): by how much one more observation of each candidate would reduce the variance."""
        if len(self._variances) == 1:  # as most requests; the time goes into the number of calls
            alone: Matrix = self._to_prompts[:, 0] ** 2
            alone /= self._noisy
            return alone
        gains: Matrix = np.einsum("km,km->k", self._to_prompts, self._to_prompts)
        gains /= self._noisy
        gains /= len(self._variances)
        return gains

    def observe(self, candidate: int) -> float:
        """Condition on `candidate`; returns the new variance sigma_n^2 >= 0."""
        if self._count == self._factor.shape[1]:
            self._factor = np.asfortranarray(np.hstack([self._factor, np.empty_like(self._factor)]))
        scale = 1 / math.sqrt(self._noisy[candidate])
        # V[:, j] / sqrt(d), in its place: with 200 candidates the time goes into the number of calls.
        known, column = self._factor[:, : self._count], self._factor[:, self._count]
        np.subtract(self._among[candidate], known @ known[candidate], out=column)
        column *= scale
        share = self._to_prompts[candidate] * scale
        # Rounding may take an exactly explained prompt a hair below zero.
        np.maximum(0.0, self._variances - share * share, out=self._variances)
        self._noisy -= column * column
        self._to_prompts -= np.multiply.outer(column, share)
        self._count += 1
        return self.variance


def irreducible_variance(kernel: Kernel) -> float:
    """sigma_inf^2: what stays unknown when every candidate has been observed without end; the mean over the prompts.

    The squared distance of the prompt to the span of the candidates: k(x*,x*) - k^T (K + noise I)^-1 k as noise -> 0.
    It is taken at so little noise that only directions of next to no length count less: in a kernel the product of k
    with a direction of eigenvalue e is at most sqrt(e k(x*,x*)), so they hold next to nothing.
    """
    if len(kernel) == 0:
        return float(kernel.prompts.mean())
    noise = _NEXT_TO_NOTHING * max(float(np.diagonal(kernel.among).max()), _NEXT_TO_NOTHING)
    told = np.linalg.solve(kernel.among + noise * np.eye(len(kernel)), kernel.to_prompts)
    rest = kernel.prompts - np.einsum("km,km->m", kernel.to_prompts, told)
    return float(np.maximum(0.0, rest).mean())
