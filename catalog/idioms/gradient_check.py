"""The comparison of a hand-derived gradient with central differences."""

import numpy as np


# idiom: gradient_check
def worst_relative_error(loss, weights, grads, most=60, eps=1e-5):
    """Largest relative difference between grads and the central differences of loss().

    loss() reads the float64 arrays of the dict weights; grads holds its gradient, array by array.
    At most `most` entries of each array are tried, evenly spread. Entries far below an array's
    largest are judged against that one.
    """
    worst = 0.0
    for name, grad in grads.items():
        w, floor = weights[name].reshape(-1), 1e-3 * np.abs(grad).max() + 1e-5
        for i in np.unique(np.linspace(0, w.size - 1, most).astype(int)):
            kept, analytic = w[i], grad.reshape(-1)[i]
            w[i] = kept + eps
            above = loss()
            w[i] = kept - eps
            numeric = (above - loss()) / (2 * eps)
            w[i] = kept
            worst = max(worst, abs(numeric - analytic) / max(abs(numeric) + abs(analytic), floor))
    return float(worst)


# end idiom
