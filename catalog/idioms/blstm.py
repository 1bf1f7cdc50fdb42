"""A layer of LSTM cells that reads sequences in both directions, as the scripts carry it."""

import numpy as np


# idiom: blstm
def turned(x, lengths):
    """x (time, batch, ...) with the first lengths[b] steps of each sequence in reverse order."""
    t = np.arange(len(x))[:, None]
    return x[np.where(t < lengths, lengths - 1 - t, t), np.arange(x.shape[1])]


def blstm_weights(rng, inputs, cells, directions=2, size=0.1, forget=1.0, dtype=np.float32):
    """Normal weights W (directions, 4 cells, inputs + 1 + cells); forget: bias of forget gates."""
    W = size * rng.normal(size=(directions, 4 * cells, inputs + 1 + cells))
    W[:, cells : 2 * cells, inputs] = forget
    return W.astype(dtype)


def blstm_forward(W, x, lengths):
    """Cell outputs (time, batch, directions * cells) of x (time, batch, inputs), and the memory
    that blstm_backward() needs.

    Rows of W[d]: input gates i, forget gates f, candidates g, output gates o. Direction d sees
    u(t) = [x(t), 1, h(t-1)]; with net = W[d] u(t) and f the logistic function,
        c(t) = f(net_f) c(t-1) + f(net_i) tanh(net_g),  h(t) = f(net_o) tanh(c(t)),
    c and h being 0 before the first step (Graves & Schmidhuber 2005, without peepholes). The
    second direction reads each sequence backwards, from its own last step, so that padding is
    never seen before it. W with one direction is the one-way net.
    """
    steps, batch, inputs = x.shape
    directions, rows, width = W.shape
    cells = rows // 4
    U = np.empty((steps + 1, directions, width, batch), W.dtype)
    U[0, :, inputs + 1 :], U[:, :, inputs] = 0, 1
    for d in range(directions):
        U[:steps, d, :inputs] = (turned(x, lengths) if d else x).swapaxes(1, 2)
    gates = np.empty((steps, directions, rows, batch), W.dtype)
    c = np.zeros((steps + 1, directions, cells, batch), W.dtype)
    tanh_c = np.empty((steps, directions, cells, batch), W.dtype)
    half = np.full((rows, 1), 0.5, W.dtype)  # f(x) = (1 + tanh(x / 2)) / 2: one tanh for all
    half[2 * cells : 3 * cells] = 1
    half_W, shift = W * half, 1 - half
    i, f, g, o = (gates[:, :, k * cells : (k + 1) * cells] for k in range(4))
    h, step = U[1:, :, inputs + 1 :], np.empty_like(c[0])
    for t in range(steps):
        np.matmul(half_W, U[t], out=gates[t])
        np.tanh(gates[t], out=gates[t])
        gates[t] *= half
        gates[t] += shift
        np.multiply(f[t], c[t], out=c[t + 1])
        np.multiply(i[t], g[t], out=step)
        c[t + 1] += step
        np.tanh(c[t + 1], out=tanh_c[t])
        np.multiply(o[t], tanh_c[t], out=h[t])
    y = np.ascontiguousarray(h.transpose(0, 3, 1, 2))
    y[:, :, 1:] = turned(y[:, :, 1:], lengths)
    return y.reshape(steps, batch, -1), (U, gates, c, tanh_c, lengths)


def blstm_backward(W, memory, e):
    """Full gradient of W; e: error at the cell outputs, 0 behind the end of a sequence.

    e_h(t) = e(t) + R^T delta(t+1), R the part of W that sees h
    e_c(t) = e_h(t) o (1 - tanh(c)^2) + e_c(t+1) f(t+1)
    delta  = [e_c g i (1 - i), e_c c(t-1) f (1 - f), e_c i (1 - g^2), e_h tanh(c) o (1 - o)]
    dW     = sum over t of delta(t) u(t)^T
    """
    U, gates, c, tanh_c, lengths = memory
    steps, directions, rows, batch = gates.shape
    cells = rows // 4
    e = e.reshape(steps, batch, directions, cells).copy()
    e[:, :, 1:] = turned(e[:, :, 1:], lengths)
    e = np.ascontiguousarray(e.transpose(0, 2, 3, 1))
    parts = gates.reshape(steps, directions, 4, cells, batch)
    i, f, g, o = parts.transpose(2, 0, 1, 3, 4)
    delta = np.empty_like(parts)  # first the factors of e_c and e_h, for all steps at once
    delta[:, :, 0] = g * i * (1 - i)
    delta[:, :, 1] = c[:-1] * f * (1 - f)
    delta[:, :, 2] = i * (1 - g * g)
    delta[:, :, 3] = tanh_c * o * (1 - o)
    slope = o * (1 - tanh_c * tanh_c)
    back = np.ascontiguousarray(W[:, :, -cells:].swapaxes(1, 2))
    flat, e_c = delta.reshape(gates.shape), np.zeros_like(c[0])
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            e[t] += back @ flat[t + 1]
            e_c *= f[t + 1]
        e_c += e[t] * slope[t]
        delta[t, :, :3] *= e_c[:, None]
        delta[t, :, 3] *= e[t]
    flat = flat.transpose(1, 2, 0, 3).reshape(directions, rows, -1)
    return flat @ U[:steps].transpose(1, 0, 3, 2).reshape(directions, -1, W.shape[2])


# end idiom
