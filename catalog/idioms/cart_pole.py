"""The cart with one pole, as the pole-balancing scripts of the catalog carry it."""

import numpy as np

# idiom: cart_pole
CART, POLE, HALF = 1.0, 0.1, 0.5  # mass of the cart, mass of the pole [kg]; half its length [m]
GRAVITY, TICK = 9.8, 0.02  # [m/s2]; time of one step [s]
TRACK, FALL = 2.4, np.pi * 12 / 180  # failure: farther from the middle [m], more tilted [rad]


def cart_pole_rates(state, force, cart_friction=5e-4, hinge_friction=2e-6):
    """Rates of change (x', x'', theta', theta'') of states (..., 4) = (x, x', theta, theta').

    Units: m and rad, a second; theta is measured from the upright, positive to the right.
    force: (...) [N], on the cart. Barto, Sutton & Anderson (1983), appendix.
    """
    speed, angle, spin = state[..., 1], state[..., 2], state[..., 3]
    sin, cos, mass = np.sin(angle), np.cos(angle), CART + POLE
    push = force + POLE * HALF * spin**2 * sin - cart_friction * np.sign(speed)
    turn = GRAVITY * sin - cos * push / mass - hinge_friction * spin / (POLE * HALF)
    turn = turn / (HALF * (4 / 3 - POLE * cos**2 / mass))
    return np.stack([speed, (push - POLE * HALF * turn * cos) / mass, spin, turn], -1)


def cart_pole_step(state, force):
    """The states (..., 4) one TICK later, by Euler's rule: positions move with the old speeds."""
    return state + TICK * cart_pole_rates(state, force)


def cart_pole_failed(state):
    """Whether states (..., 4) are off the track or fallen: (...)."""
    return (np.abs(state[..., 0]) > TRACK) | (np.abs(state[..., 2]) > FALL)


# end idiom
