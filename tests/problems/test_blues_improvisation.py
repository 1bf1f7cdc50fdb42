"""Blues: the form, the bars, the plain step, gradients, a counter by hand, the melody's floor."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("blues-improvisation")


def test_a_chorus_is_the_twelve_bars():
    x = problem.chorus(8)
    assert x.shape == (96, 12)
    names = {tuple(problem.CHORDS[name]): name for name in problem.CHORDS}
    assert [names[tuple(np.flatnonzero(step))] for step in x[::8]] == problem.FORM
    assert (x.reshape(12, 8, 12) == x.reshape(12, 8, 12)[:, :1]).all()


def test_bars_fit_one_chord_only_and_a_held_note_is_seen():
    bars = [bar for pair in problem.BARS.values() for bar in pair]
    assert len(set(bars)) == 6
    assert all(len(set(bar)) == 4 and 0 <= min(bar) and max(bar) <= 12 for bar in bars)
    pieces = {tuple(problem.random_piece(np.random.default_rng(seed))) for seed in range(200)}
    assert len(pieces) > 180
    assert all(problem.legal_bars(np.array(piece)) == 1 for piece in pieces)


def test_a_wrong_bar_is_noticed():
    piece = problem.random_piece(np.random.default_rng(1))
    piece[8 * 4 : 8 * 5] = np.repeat(problem.BARS["C7"][0], 2)  # an F7 bar
    piece[3] += 1
    assert problem.legal_bars(piece) == pytest.approx(10 / 12)


@pytest.mark.parametrize("squash", [1.0, 6.0])
def test_blocks_are_the_plain_step(squash):
    rng = np.random.default_rng(2)
    w = {name: 2 * array for name, array in problem.init(rng, 12, 12, 4).items()}
    x = (rng.random((9, 12, 2)) < 0.3).astype(float)
    sums = problem.Blocks(4, squash).forward(w, x)
    for b in range(2):
        y, c = [0.0] * 8, [0.0] * 8
        for t in range(9):
            y, c, outputs = problem.plain_step(w, x[t, :, b].tolist(), y, c, squash)
            np.testing.assert_allclose(problem.logistic(sums[t, :, b]), outputs, atol=1e-12)


def test_gradients():
    assert problem.gradient_check() < 1e-5


def test_playing_is_reading_as_long_as_all_is_right():
    rng = np.random.default_rng(3)
    net, w = problem.Blocks(4, 6.0), problem.init(rng, 12, 12, 4)
    chords, cells = net.play(w, problem.chorus(8)[0], 30)
    x = np.concatenate([problem.chorus(8)[:1], chords[:-1]])[:, :, None]
    np.testing.assert_array_equal(net.forward(w, x)[:, :, 0] > 0, chords > 0)
    np.testing.assert_allclose(net.seen[:, :8, 0], cells)


def test_form_steps_counts_to_the_first_wrong_chord():
    class Parrot:
        """Plays the form, with one wrong chord."""

        def play(self, w, first, steps):
            chords = np.resize(np.roll(problem.chorus(8), -1, 0), (steps, 12)).copy()
            if w is not None:
                chords[w] = 1 - chords[w]
            return chords, None

    assert problem.form_steps(Parrot(), 130, 8, 3)[0] == 130
    assert problem.form_steps(Parrot(), None, 8, 3)[0] == 288


def test_both_nets_have_about_as_many_weights():
    rng = np.random.default_rng(4)
    ours = sum(w.size for w in problem.init(rng, 12, 12, 4).values())
    control = sum(w.size for w in problem.Tanh().init(rng).values())
    assert ours == 672 and control == 702


def test_melody_blocks_cannot_reach_the_chords():
    """The chord half has no column for a melody; its cells go one way."""
    rng = np.random.default_rng(5)
    chords, melody = problem.init(rng, 12, 12, 4), problem.init(rng, 13, 13, 8, 8)
    assert chords["W"].shape == (20, 12 + 1 + 8)
    assert melody["W"].shape == (40, 13 + 8 + 1 + 16)


def test_who_knows_form_and_bars_has_no_excess():
    class Knowing:
        """Says the next note of the pieces, and at the end of a bar both that may come."""

        def forward(self, w, x, extra):
            notes, sums = x.argmax(1), np.full((96, 13, x.shape[2]), -30.0)
            for t in range(95):
                if t % 8 == 7:
                    for bar in problem.BARS[problem.FORM[(t + 1) // 8]]:
                        sums[t, bar[0]] = 0.0
                else:
                    sums[t, notes[t + 1], np.arange(x.shape[2])] = 3.0
            return sums

    pieces = np.array([problem.random_piece(np.random.default_rng(seed)) for seed in range(400)])
    assert problem.excess(Knowing(), None, np.zeros((192, 8)), pieces) == pytest.approx(0, abs=1e-6)


def test_the_small_instance_is_solved():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["held"] and metrics["cycle"] and metrics["form_steps"] == 20 * 24
