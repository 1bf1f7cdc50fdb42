"""Hidden Markov models with mixtures of diagonal Gaussians, as the scripts carry them."""

import numpy as np


# idiom: gaussian_hmm
def fit_mixtures(frames, state, states, gaussians, rounds=4):
    """A mixture of diagonal Gaussians for each state: log weights (states, gaussians), means and
    variances (states, gaussians, features).

    frames (n, features) and state (n,), the state that each belongs to. gaussians is a power of
    two: from one Gaussian on, all are split in two, a fifth of a standard deviation to either
    side, and `rounds` rounds of expectation and maximisation follow. Variances stay above a
    hundredth of those of all frames; a state without frames gets the Gaussian of all.
    """
    floor, fitted = 0.01 * frames.var(0) + 1e-8, []
    order = np.argsort(state, kind="stable")
    bounds = np.searchsorted(state[order], np.arange(states + 1))
    for first, end in zip(bounds, bounds[1:], strict=False):
        x = frames[order[first:end]] if end > first else frames
        mixture = (np.zeros(1), x.mean(0)[None], np.maximum(x.var(0), floor)[None])
        while len(mixture[0]) < gaussians:
            log_w, mean, var = (np.concatenate([part, part]) for part in mixture)
            side = 0.2 * np.sqrt(var) * np.repeat([1, -1], len(var) // 2)[:, None]
            mixture = (log_w - np.log(2), mean + side, var)
            for _ in range(rounds):
                part = log_parts(mixture, x)
                part = np.exp(part - part.max(1, keepdims=True))
                part /= part.sum(1, keepdims=True)
                n = part.sum(0)[:, None] + 1e-6
                mean = (part.T @ x + 1e-6 * x.mean(0)) / n
                var = np.maximum(part.T @ (x * x) / n - mean * mean, floor)
                mixture = (np.log(n[:, 0] / n.sum()), mean, var)
        fitted.append(mixture)
    return tuple(np.stack(part) for part in zip(*fitted, strict=True))


def log_parts(mixture, x):
    """Log weight plus log density of x (n, features) under each Gaussian: (n, gaussians)."""
    log_w, mean, var = mixture
    constant = log_w - 0.5 * (mean * mean / var + np.log(2 * np.pi * var)).sum(1)
    return x @ (mean / var).T - (x * x) @ (0.5 / var).T + constant


def log_densities(mixtures, frames):
    """Log density of each frame (n, features) under each state's mixture: (n, states)."""
    columns = []
    for mixture in zip(*mixtures, strict=True):
        part = log_parts(mixture, frames)
        top = part.max(1)
        columns.append(top + np.log(np.exp(part - top[:, None]).sum(1)))
    return np.stack(columns, 1)


def viterbi(score, lengths, start, step, end):
    """The best paths (time, batch) and their scores (batch,), the states behind an end being -1.

    score (time, batch, states): log density of a frame in a state; start, end (states,) and step
    (states, states), from and to: log probabilities, -inf where there is no way.
    """
    steps, batch, states = score.shape
    came, best, into = np.empty(score.shape, np.int16), score[0] + start, step.T
    final = np.where(lengths[:, None] == 1, best + end, -np.inf)
    for t in range(1, steps):
        ways = best[:, None] + into  # (batch, to, from)
        came[t] = ways.argmax(2)
        best = np.take_along_axis(ways, came[t][:, :, None].astype(int), 2)[:, :, 0] + score[t]
        final = np.where(lengths[:, None] == t + 1, best + end, final)
    path, who, here = np.full((steps, batch), -1), np.arange(batch), final.argmax(1)
    for t in range(steps - 1, -1, -1):
        inside = t < lengths
        path[t] = np.where(inside, here, -1)
        if t:
            here = np.where(inside, came[t, who, here], here)
    return path, final.max(1)


def align(score, lengths, places):
    """The best chain (time, batch) through score (time, batch, longest), -1 behind an end: from
    place 0 to place places[b] - 1 in lengths[b] frames, each frame staying or going on by one.

    The alignment of frames with a known string of states; it needs lengths >= places.
    """
    steps, batch, longest = score.shape
    best = np.full((batch, longest + 1), -np.inf)
    best[:, 1] = score[0, :, 0]
    went = np.zeros(score.shape, bool)
    for t in range(1, steps):
        went[t] = best[:, :-1] > best[:, 1:]
        best[:, 1:] = np.maximum(best[:, :-1], best[:, 1:]) + score[t]
    path, who, here = np.full((steps, batch), -1), np.arange(batch), places - 1
    for t in range(steps - 1, -1, -1):
        inside = t < lengths
        path[t] = np.where(inside, here, -1)
        here = here - (inside & went[t, who, here])
    return path


# end idiom
