"""The Adam optimiser, as the scripts of the catalog carry it."""

import numpy as np


# idiom: adam
class Adam:
    """Adam (Kingma & Ba 2015) over a dict of arrays, which step() updates in place.

    limit: largest norm of the gradient, taken over all arrays; a longer gradient is scaled to it.
    stacked: the first axis of every array counts replicas, each limited by itself; rate may then
    be an array (replicas,).
    """

    def __init__(self, weights, rate, beta1=0.9, beta2=0.999, eps=1e-8, limit=None, stacked=False):
        self.rate, self.beta1, self.beta2, self.eps, self.t = rate, beta1, beta2, eps, 0
        self.limit, self.stacked = limit, stacked
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move each array of weights that has an entry in grads (same shape) one step downhill."""
        self.t += 1
        rate = self.rate * float(np.sqrt(1 - self.beta2**self.t)) / (1 - self.beta1**self.t)
        if self.limit is not None:
            grads = self.limited(grads)
        for name, g in grads.items():
            mean, square = self.mean[name], self.square[name]
            mean += (1 - self.beta1) * (g - mean)
            square += (1 - self.beta2) * (g * g - square)
            weights[name] -= self.fitted(rate, mean) * mean / (np.sqrt(square) + self.eps)

    def limited(self, grads):
        """The gradients, a longer one scaled to the limit."""
        rows = [g.reshape(len(g) if self.stacked else 1, -1) for g in grads.values()]
        norm = np.sqrt(sum((row * row).sum(1) for row in rows))
        scale = self.limit / np.maximum(norm, self.limit)
        scale = scale if self.stacked else float(scale[0])
        return {name: g * self.fitted(scale, g) for name, g in grads.items()}

    def fitted(self, factor, array):
        """A number as it is; (replicas,) as (replicas, 1, ...), in the precision of array."""
        if np.ndim(factor) == 0:
            return factor
        return factor.reshape(-1, *[1] * (array.ndim - 1)).astype(array.dtype)


# end idiom
