"""Connectionist temporal classification: loss, gradient and best path, as the scripts carry it."""

import numpy as np


# idiom: ctc
def ctc(y, lengths, labels, counts):
    """Losses -ln p(labels | y) (batch,) and their gradient (time, batch, classes) at the softmax's
    inputs (Graves, Fernandez, Gomez & Schmidhuber 2006).

    y: probabilities (time, batch, classes), the last class is the blank; lengths: frames (batch,);
    labels (batch, longest), the first counts[b] of which count. l' is the string with blanks
    around and between its labels, s a place in it, and
        alpha_t(s) = y_t(l'_s) [alpha_{t-1}(s) + alpha_{t-1}(s-1) + alpha_{t-1}(s-2)],
    the last term only where l'_s is a label other than l'_{s-2}; beta is the alpha of string and
    frames in reverse order, so that both are found in one batch. With p the probability of all
    paths, d(-ln p)/da_t(k) = y_t(k) - sum over l'_s = k of alpha_t(s) beta_t(s) / (p y_t(k)).
    Probabilities below 1e-12 count as 1e-12. Where the frames are too few for the string, the loss
    is infinite and the gradient 0; 0, too, at a frame whose alpha beta are all below 1e-300.
    """
    steps, batch, classes = y.shape
    blank, places, who = classes - 1, 2 * labels.shape[1] + 1, np.arange(batch)
    t, s = np.arange(steps)[:, None], np.arange(places)
    last, inside = 2 * counts, t < lengths
    back_t = np.where(inside, lengths - 1 - t, t)  # frames and places in reverse order
    exists = s <= last[:, None]
    back_s = np.where(exists, last[:, None] - s, s)
    text = np.full((batch, places), blank)
    text[:, 1::2] = labels
    text[~exists] = blank
    seen = np.maximum(np.take_along_axis(y, text[None], 2).astype(float), 1e-12) * exists
    both = np.concatenate([seen, seen[back_t[:, :, None], who[:, None], back_s]], 1)
    texts = np.concatenate([text, text[who[:, None], back_s]])
    jump = np.ones(texts.shape, bool)
    jump[:, 2:] = (texts[:, 2:] != blank) & (texts[:, 2:] != texts[:, :-2])
    alpha = np.zeros((steps + 1, 2 * batch, places + 2))  # two places more: alpha_{t-1}(s-1), (s-2)
    alpha[0, :, 1] = 1  # before the first frame: one step from l'_0, a jump from l'_1
    scale = np.empty((steps, 2 * batch))
    for before, now, y_t, norm in zip(alpha, alpha[1:], both, scale, strict=False):
        a = (before[:, 2:] + before[:, 1:-1] + jump * before[:, :-2]) * y_t
        norm[:] = a.sum(1)
        now[:, 2:] = a / norm[:, None]
    ends = alpha[lengths, who][who[:, None], last[:, None] + [1, 2]].sum(1)
    with np.errstate(divide="ignore"):
        loss = -np.log(ends) - (np.log(scale[:, :batch]) * inside).sum(0)
    beta = alpha[1:, batch:, 2:][back_t[:, :, None], who[:, None], back_s]
    share = alpha[1:, :batch, 2:] * beta / np.where(exists, seen, 1)
    total = share.sum(2, keepdims=True)
    share /= np.maximum(total, 1e-300)
    one_hot = (text[:, :, None] == np.arange(classes)) * exists[:, :, None]
    posterior = (share.swapaxes(0, 1) @ one_hot).swapaxes(0, 1)
    use = inside & np.isfinite(loss) & (total[:, :, 0] > 1e-300)
    return loss, ((y - posterior) * use[:, :, None]).astype(y.dtype)


def best_path(y, lengths):
    """The label strings, lists, of the likeliest class a frame: repeats merged, blanks dropped."""
    best, blank = y.argmax(2), y.shape[2] - 1
    new = np.concatenate([best[:1] >= 0, best[1:] != best[:-1]]) & (best != blank)
    return [list(map(int, best[:n, b][new[:n, b]])) for b, n in enumerate(lengths)]


# end idiom
