"""Fast weights as variables: streams, gradients, rules set by hand, and the sum of pairs."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("fast-weights-key-value")


def test_the_car_is_where_it_was_parked_last():
    x, asked, slots = problem.car_stream(np.random.default_rng(1), 10, 3000)
    detectors = x[:, :, :3]
    assert (detectors.sum(2) <= 1).all()
    for net in range(10):
        where = -1
        for t in range(3000):
            if asked[t, net]:
                assert slots[t, net] == where
            if detectors[t, net].any():
                where = int(detectors[t, net].argmax())
    parks = detectors.any(2)
    assert not asked[parks].any()  # never asked while driving, nor in the step of parking
    assert parks.mean() == pytest.approx(1 / 8, rel=0.1)  # 4 steps of driving, 4 of business
    assert asked.mean() == pytest.approx(1 / 4, rel=0.1)


def test_all_gradients():
    rng = np.random.default_rng(2)
    assert problem.check_car(rng) < 1e-4
    assert problem.check_binding(rng) < 1e-5
    assert problem.check_pairs(rng) < 1e-5


def test_weights_set_by_hand_always_know_the_car():
    nets = problem.CarNets(np.random.default_rng(3), problem.Config(replicas=2))
    nets.S[:] = 0
    nets.S[0, :, :3] = np.eye(3) * 2.2 - 1.0
    nets.S[1, :, :3] = np.eye(3)  # puts up the new slot, but does not put down the old one
    recall = problem.car_recall(nets, np.random.default_rng(4))
    assert recall[0] == 1 and recall[1] < 0.9


def test_questions_are_for_what_was_bound_last():
    names = problem.Names(np.random.default_rng(5), 2, 3)
    x, asked, wanted, answer = names.draw(400)
    for net, stream in np.ndindex(2, 3):
        bound, last, lately = {}, None, []
        for t in range(400):
            if asked[t, net, stream]:
                name = wanted[t, net, stream]
                assert bound[name] == answer[t, net, stream]
                lately.append(name == last)
            name = np.flatnonzero(x[t, net, stream, :8])
            if len(name):
                bound[int(name[0])] = int(np.flatnonzero(x[t, net, stream, 8:16])[0])
                last = int(name[0])
        assert 0.4 < np.mean(lately) < 0.75  # every other one, and by chance some more


def binding_by_hand():
    weights = {name: np.zeros((1, problem.SEEN, 8)) for name in ("from", "to")}
    weights["from"][0, :8] = np.eye(8)
    weights["to"][0, 8:16] = 2.2 * np.eye(8) - 1.1
    return weights


def test_a_from_to_write_set_by_hand_rebinds_and_a_sum_does_not():
    weights = binding_by_hand()
    rng = np.random.default_rng(6)
    assert problem.recalled(weights, rng, False, 300)[0] > 0.99
    assert problem.recalled(weights, rng, True, 300)[0] < 0.9


def test_orthogonal_keys_are_read_without_error():
    keys = np.concatenate([np.eye(8)[:5], np.eye(8)[2:3]])[None]
    values = np.random.default_rng(7).normal(size=(1, 5, 8))
    answer = problem.read({"V": np.eye(8)}, keys, values, True)[0]
    assert answer[0] == pytest.approx(values[0, 2])


def test_phi_has_length_one_and_parts_keys_better_than_a_linear_map():
    rng = np.random.default_rng(8)
    mean = np.ones(8) / np.sqrt(8)
    keys, values, which = problem.episodes(rng, 500, mean)
    weights = {"V": rng.normal(0, 4 / np.sqrt(8), (8, 128)), "c": np.zeros(128)}
    phi = problem.read(weights, keys, values, False)[3]
    assert np.linalg.norm(phi, axis=2) == pytest.approx(1)
    assert (keys[:, 5] == keys[np.arange(500), which]).all()
    raw = problem.cosine({"V": np.eye(8)}, rng, True, mean, 1000)
    assert problem.cosine(weights, rng, False, mean, 1000) > raw + 0.1
