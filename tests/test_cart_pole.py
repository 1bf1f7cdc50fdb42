"""The cart with one pole: energy, equilibrium, symmetry, and the equations solved another way."""

import numpy as np

from catalog.idioms import cart_pole
from catalog.idioms.cart_pole import CART, GRAVITY, HALF, POLE, TICK


def random_states(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4))


def energy(state):
    """Kinetic and potential energy [J] of the cart and a uniform rod."""
    _, speed, angle, spin = np.moveaxis(state, -1, 0)
    across, up = speed + HALF * spin * np.cos(angle), -HALF * spin * np.sin(angle)
    rotation = POLE * (2 * HALF) ** 2 / 12 * spin**2  # a uniform rod about its centre
    kinetic = (CART * speed**2 + POLE * (across**2 + up**2) + rotation) / 2
    return kinetic + POLE * GRAVITY * HALF * np.cos(angle)


def test_energy_is_conserved_without_friction_and_force():
    state, h = random_states(20), 1e-3

    def rates(s):
        return cart_pole.cart_pole_rates(s, 0.0, 0.0, 0.0)

    before = energy(state)
    for _ in range(1000):  # one second by the classical Runge-Kutta method
        a = rates(state)
        b = rates(state + h / 2 * a)
        c = rates(state + h / 2 * b)
        state = state + h / 6 * (a + 2 * b + 2 * c + rates(state + h * c))
    assert np.abs(energy(state) - before).max() < 1e-8


def test_friction_takes_energy_and_a_force_gives_its_power():
    state, step = random_states(20, 1), 1e-6

    def power(force, *friction):
        rates = cart_pole.cart_pole_rates(state, force, *friction)
        return (energy(state + step * rates) - energy(state - step * rates)) / (2 * step)

    speed, spin = state[:, 1], state[:, 3]
    assert np.allclose(power(7.0, 0.0, 0.0), 7.0 * speed, atol=1e-6)
    assert np.allclose(power(0.0, 0.3, 0.0), -0.3 * np.abs(speed), atol=1e-6)
    assert np.allclose(power(0.0, 0.0, 0.2), -0.2 * spin**2, atol=1e-6)


def test_the_plant_is_symmetric_and_an_unforced_tilt_grows():
    state = random_states(20, 2)
    mirrored = cart_pole.cart_pole_rates(-state, -3.0)
    assert np.allclose(mirrored, -cart_pole.cart_pole_rates(state, 3.0))
    assert (cart_pole.cart_pole_rates(np.zeros(4), 0.0) == 0).all()
    assert cart_pole.cart_pole_rates(np.array([0, 0, 0.1, 0]), 0.0)[3] > 0


def test_a_step_moves_positions_with_the_old_speeds():
    state = random_states(5, 3)
    later = cart_pole.cart_pole_step(state, 10.0)
    assert (later[:, [0, 2]] == state[:, [0, 2]] + TICK * state[:, [1, 3]]).all()


def test_failure_is_the_end_of_the_track_or_twelve_degrees():
    states = np.array([[2.39, 9, 0, 0], [-2.41, 0, 0, 0], [0, 0, 0.209, 9], [0, 0, -0.21, 0]])
    assert cart_pole.cart_pole_failed(states).tolist() == [False, True, False, True]
