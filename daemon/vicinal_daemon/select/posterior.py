"""The Gaussian-process posterior at the prompt, conditioned on one candidate after the other.

Owns the rank-one arithmetic of SIFT. Pure numpy.
"""

import numpy as np

from vicinal_daemon.select.kernel import Kernel, Matrix


class Posterior:
    """sigma_n^2(x*) = k(x*,x*) - k_n(x*)^T (K_n + lambda' I)^-1 k_n(x*), kept up to date by rank-one steps.

    Hübotter et al., "Efficiently Learning at Test-Time: Active Fine-Tuning of LLMs", eq. 4. With
    c = k_n(., x*), V = k_n(., .) over the K candidates and d = V_jj + lambda', observing candidate j does
    sigma^2 -= c_j^2 / d;  c -= V[:, j] c_j / d;  V -= V[:, j] V[:, j]^T / d.
    Each step costs O(K^2); the same candidate may be observed many times.

    Args:
        kernel: K candidates and one prompt.
        noise: lambda' > 0, the regulariser over the kernel's scale. Large: repeat the nearest neighbour.
    """

    def __init__(self, kernel: Kernel, noise: float) -> None:
        if not noise > 0:
            raise ValueError(f"noise (lambda') must be positive, not {noise}")
        self._noise = noise
        self._covariance = kernel.among.copy()
        self._to_prompt = kernel.to_prompt.copy()
        self.variance = kernel.prompt

    def gains(self) -> Matrix:
        """(K,): by how much one more observation of each candidate would reduce the variance at the prompt."""
        gains: Matrix = np.square(self._to_prompt) / (np.diagonal(self._covariance) + self._noise)
        return gains

    def observe(self, candidate: int) -> float:
        """Condition on `candidate`; returns the new variance sigma_n^2 >= 0 at the prompt."""
        column = self._covariance[:, candidate].copy()
        denominator = column[candidate] + self._noise
        share = self._to_prompt[candidate] / denominator
        # Rounding may take an exactly explained prompt a hair below zero.
        self.variance = max(0.0, self.variance - self._to_prompt[candidate] * share)
        self._to_prompt -= column * share
        self._covariance -= np.outer(column, column / denominator)
        return self.variance


def irreducible_variance(kernel: Kernel) -> float:
    """sigma_inf^2: what stays unknown when every candidate has been observed without end.

    The prompt's squared distance to the span of the candidates, k(x*,x*) - k^T K^+ k. Directions of K with
    an eigenvalue below 1e-9 of the largest are noise of the arithmetic and are left out.
    """
    if len(kernel) == 0:
        return kernel.prompt
    values, vectors = np.linalg.eigh(kernel.among)
    kept = values > max(values[-1], 0.0) * 1e-9
    if not kept.any():
        return kernel.prompt
    projected = vectors[:, kept].T @ kernel.to_prompt
    return float(max(0.0, kernel.prompt - np.sum(np.square(projected) / values[kept])))
