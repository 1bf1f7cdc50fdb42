"""LSTM odyssey: nine nets against the plain step, gradients, chorales, the analysis of variance."""

import gzip

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("lstm-search-space-odyssey")


def random_weights(hidden=3, inputs=4, outputs=2):
    w = problem.init(np.random.default_rng(1), problem.KINDS, hidden, inputs, outputs, float)
    return {name: 8 * array for name, array in w.items()}


def test_the_stack_is_the_plain_step_for_all_nine_kinds():
    w, x = random_weights(), np.random.default_rng(2).normal(size=(5, 4, 2))
    stack = problem.Stack(problem.KINDS, 3)
    sums = stack.forward(w, x)
    for k, kind in enumerate(problem.KINDS):
        one = {
            "W": w["W"][k].tolist(),
            "P": w["P"][k, :, 0].tolist(),
            "G": w["G"][k].tolist(),
        }
        for b in range(2):
            h, c, gates = [0.0] * 3, [0.0] * 3, [0.0] * 9
            for t in range(5):
                h, c, gates = problem.plain_step(kind, one, x[t, :, b], h, c, gates)
                np.testing.assert_allclose(stack.C[t + 1, k, :, b], c, atol=1e-12)
                wanted = w["V"][k, :, :-1] @ h + w["V"][k, :, -1]
                np.testing.assert_allclose(sums[t, k, :, b], wanted, atol=1e-12)


def test_gradients_of_all_nine_kinds():
    assert problem.gradient_check() < 1e-5


def test_nine_kinds_are_nine_different_nets():
    w, x = random_weights(), np.random.default_rng(3).normal(size=(6, 4, 2))
    w = {name: np.repeat(array[:1], 9, 0) for name, array in w.items()}
    w["P"][problem.KINDS.index("NP")] = 0
    w["G"][problem.KINDS.index("FGR")] = 0.5
    last = problem.Stack(problem.KINDS, 3).forward(w, x)[-1].reshape(9, -1)
    for k in range(9):
        for other in range(k):
            assert np.abs(last[k] - last[other]).max() > 1e-4


def test_smaller_nets_of_a_stack_are_nets_of_their_own():
    rng = np.random.default_rng(4)
    w, x = problem.init(rng, ["V", "V"], 5, dtype=float), rng.random((4, 46, 3))
    w = {name: 5 * array for name, array in w.items()}
    live = np.ones((2, 5, 1))
    live[1, 3:] = 0
    sums = problem.Stack(["V", "V"], 5, live).forward(w, x)
    rows = np.concatenate([np.arange(3) + 5 * k for k in range(4)])
    keep = np.concatenate([np.arange(47), 47 + np.arange(3)])
    small = {"W": w["W"][1:, rows][:, :, keep], "G": np.zeros((1, 9, 9))}
    small |= {"P": w["P"][1:, rows[:9]], "V": w["V"][1:, :, [0, 1, 2, 5]]}
    np.testing.assert_allclose(problem.Stack(["V"], 3).forward(small, x)[:, 0], sums[:, 1])


def test_replicas_of_all_kinds_start_alike():
    w = problem.init(np.random.default_rng(5), ["V", "V", "NOG", "NOG"], 6)
    for array in (w["W"], w["V"], w["P"]):
        assert (array[0] == array[2]).all() and (array[1] == array[3]).all()
    assert (w["W"][0] != w["W"][1]).any()


def test_nll_by_its_definition_and_without_padding():
    rng = np.random.default_rng(6)
    pieces = [rng.integers(0, 2, (n, 46)).astype(np.float32) for n in (5, 3)]
    x, target, mask = problem.padded(pieces)
    assert (x[0] == 0).all() and (x[1:, :, 0] == pieces[0][:-1].T.reshape(46, -1).T).all()
    sums = rng.normal(size=(5, 1, 46, 2))
    nll, e = problem.nll_of(sums, target, mask)
    p, by_hand = 1 / (1 + np.exp(-sums[:, 0])), 0.0
    for k, piece in enumerate(pieces):
        for t, step in enumerate(piece):
            by_hand -= np.log(np.where(step == 1, p[t, :, k], 1 - p[t, :, k])).sum()
    assert nll[0] == pytest.approx(by_hand / 8)
    assert (e[3:, :, :, 1] == 0).all() and (e[:3, :, :, 1] != 0).all()


def test_chorales_are_four_voices():
    pieces = problem.read_chorales()
    assert len(pieces) == 362 and sum(map(len, pieces)) == 19721
    notes = np.concatenate([piece.sum(1) for piece in pieces])
    assert notes.max() == 4 and notes.mean() > 3.5
    parts = problem.split(np.random.default_rng(7), pieces, problem.Config())
    assert [len(part) for part in parts] == [229, 66, 67]
    again = problem.split(np.random.default_rng(8), pieces, problem.Config())
    assert all((a == b).all() for a, b in zip(parts[2], again[2], strict=True))


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"one 60,64 62,65\n", "2"),
        (b"one 60,64,x,70\n", "line 1"),
        (b"one 60,64 62,999\n", "line 1"),
        (b"one\n", "line 1"),
        (gzip.compress(b"one 60,64 62,65\n", mtime=0)[:-9], "cannot be read"),
    ],
)
def test_a_wrong_collection_is_refused_in_one_line(tmp_path, monkeypatch, content, complaint):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    monkeypatch.setenv("CHORALES_FILE", str(path))
    with pytest.raises(OSError, match=complaint) as error:
        problem.read_chorales()
    assert "\n" not in str(error.value)


def test_another_collection_is_read(tmp_path, monkeypatch):
    path = tmp_path / "mine.txt"
    path.write_text("name 60,64,0,0 62,65,69,0\n" * 300)
    monkeypatch.setenv("CHORALES_FILE", str(path))
    pieces = problem.read_chorales()
    assert len(pieces) == 300 and pieces[0].sum(1).tolist() == [2, 3]
    assert pieces[0][0, 60 - 36] == pieces[0][0, 64 - 36] == 1


def test_a_share_of_variance_is_one_for_the_cause_and_nil_for_the_rest():
    rng = np.random.default_rng(9)
    cause = rng.random(48)
    rank = np.argsort(np.argsort(cause))
    nll = (rank * problem.BINS // 48).astype(float) ** 2
    assert problem.share_explained(cause, nll) == pytest.approx(1)
    others = [problem.share_explained(rng.random(48), nll) for _ in range(300)]
    assert np.mean(others) == pytest.approx(0, abs=0.03)


def test_the_marked_values_are_added():
    x, target = problem.add_batch(np.random.default_rng(10), 100)
    assert (x[:, 1].sum(0) == 2).all() and (x[:25, 1].sum(0) == 1).all()
    np.testing.assert_allclose((x[:, 0] * x[:, 1]).sum(0), target, rtol=1e-6)


def test_the_small_instance_knows_more_than_frequencies():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["V_of_frequencies"] < 0.98 and metrics["NOAF_worse"] > 0
