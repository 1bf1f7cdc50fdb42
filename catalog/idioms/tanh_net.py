"""The recurrent net of tanh units with its full gradient, the control of the LSTM scripts."""

import numpy as np


# idiom: tanh_net
class TanhNet:
    """Nets side by side, each a layer of tanh units: y(t) = tanh(W [x(t), 1, y(t-1)]), y(0) = 0.

    W is (nets, units, inputs + 1 + units). Buffers for at most `steps` are made once.
    """

    def __init__(self, nets, inputs, units, batch, steps, dtype=np.float32):
        self.inputs, self.units, self.n = inputs, units, 0
        self.U = np.zeros((steps + 1, nets, inputs + 1 + units, batch), dtype)
        self.U[:, :, inputs] = 1
        self.Y = self.U[1:, :, inputs + 1 :]
        self.delta = np.empty((steps, nets, units, batch), dtype)

    def forward(self, W, x):
        """Run over x (time, nets or 1, inputs, batch); returns y (time, nets, units, batch)."""
        self.n, self.W = len(x), W
        self.U[: self.n, :, : self.inputs] = x
        for u, y in zip(self.U[: self.n], self.Y, strict=False):
            np.tanh(W @ u, out=y)
        return self.Y[: self.n]

    def backward(self, e):
        """Full gradient of W; e: error at y, (nets, units, batch) of the last step or of every one.

        With R the recurrent part of W: delta(t) = (1 - y(t)^2) (e(t) + R^T delta(t+1)),
        dW = sum over t of delta(t) u(t)^T.
        """
        n, delta = self.n, self.delta[: self.n]
        delta[:] = 0
        delta[n - len(e.reshape(-1, *delta.shape[1:])) :] = e
        slope = 1 - self.Y[:n] ** 2
        back = np.ascontiguousarray(self.W[:, :, self.inputs + 1 :].swapaxes(1, 2))
        delta[-1] *= slope[-1]
        for t in range(n - 2, -1, -1):
            delta[t] += back @ delta[t + 1]
            delta[t] *= slope[t]
        nets, units = delta.shape[1:3]
        U = self.U[:n].transpose(1, 0, 3, 2).reshape(nets, -1, self.U.shape[2])
        return delta.transpose(1, 2, 0, 3).reshape(nets, units, -1) @ U


# end idiom
