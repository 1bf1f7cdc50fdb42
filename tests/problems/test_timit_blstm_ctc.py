"""Phones: the synthetic corpus, what each kind of net sees, gradients, decoding."""

import itertools

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("timit-blstm-ctc")
SMALL = problem.Config(utterances=64, noise=2.0)


@pytest.fixture(scope="module")
def corpora():
    return problem.make_corpora(SMALL, np.random.default_rng(0))


def test_strings_are_the_labels_merged(corpora):
    for corpus in corpora:
        assert len(corpus.bounds) == len(corpus.strings) + 1 and corpus.bounds[-1] == len(corpus.x)
        for k, string in enumerate(corpus.strings):
            labels = corpus.labels[corpus.bounds[k] : corpus.bounds[k + 1]]
            assert [int(p) for p, _ in itertools.groupby(labels)] == string
            assert string[0] == string[-1] == problem.SILENCE and 9 <= len(string) <= 18


def test_features_are_normalised_by_the_training_set(corpora):
    train, _, test = corpora
    np.testing.assert_allclose(train.x.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(train.x.std(0), 1, atol=1e-3)
    assert np.abs(test.x.mean(0)).max() > 1e-3  # other speakers


def test_bigram_has_fourteen_successors():
    bigram = problem.draw_bigram(np.random.default_rng(1))
    assert ((bigram > 0).sum(1) == 14).all() and (np.diag(bigram) == 0).all()
    np.testing.assert_allclose(bigram.sum(1), 1)


def test_spectrum_of_one_frame_written_out():
    track = np.array([[np.log(500), np.log(1500), np.log(2500), 50, np.log2(1500), 9, 0]])
    level = problem.log_spectrum(track.astype(np.float32))[0]
    for k in (0, 7, 17):
        mel = 2595 * np.log10(1 + 4000 / 700) * (k + 1) / 19
        f = 700 * (10 ** (mel / 2595) - 1)
        power = 10**5 / (1 + (f / 500) ** 2)
        for formant in (500, 1500, 2500):
            width = 60 + 0.06 * formant
            power *= formant**4 / ((f**2 - formant**2) ** 2 + (width * f) ** 2)
        hiss = 10 ** (-((np.log2(f / 1500) / 9) ** 2))
        assert level[k] == pytest.approx(10 * np.log10(power + hiss + 100), abs=0.01)


def test_the_sound_comes_late():
    strings = problem.draw_easy_strings(np.random.default_rng(2), 5)
    early, late = (
        problem.synthesise(np.random.default_rng(0), strings, 1, 0, lag, False) for lag in (0, 2)
    )
    assert (early.labels == late.labels).all()
    np.testing.assert_allclose(late.x[20:-20], early.x[18:-22], atol=1e-4)


def test_slopes_are_those_of_a_line():
    spectrum = np.arange(30.0)[:, None] * np.linspace(0, 1, 18)
    x = problem.features(spectrum)
    np.testing.assert_allclose(x[5:25, 13:25], np.diff(x[:, :12], axis=0)[5:25], atol=1e-5)


def test_all_nets_have_about_as_many_weights():
    rng = np.random.default_rng(0)
    nets = [problem.make_net(kind, 48, rng) for kind in problem.KINDS]
    sizes = [w["W"].size + w["V"].size for w in nets]
    assert sizes[0] == problem.count_weights("blstm", 48)
    assert max(sizes) < 1.02 * min(sizes) and sizes[0] == min(sizes)


def test_gradients():
    assert problem.gradient_check() < 1e-5


def test_what_late_and_backward_nets_see(corpora):
    x, labels, lengths = corpora[0].batch(np.array([3, 8]))
    seen, target, longer = problem.for_kind("delayed", x, labels, lengths)
    assert (target[problem.DELAY :] == labels).all() and (target[: problem.DELAY] == -1).all()
    assert (seen[: len(x)] == x).all() and (longer == lengths + problem.DELAY).all()
    seen, target, _ = problem.for_kind("reverse", x, labels, lengths)
    n = lengths[0]
    assert (seen[:n, 0] == x[:n, 0][::-1]).all() and (target[:n, 0] == labels[:n, 0][::-1]).all()
    window = problem.windows(x)
    assert (window[:, :, 5 * 26 : 6 * 26] == x).all()
    assert (window[5:, :, :26] == x[:-5]).all() and (window[:5, :, :26] == 0).all()


@pytest.mark.parametrize("kind", ["blstm", "brnn", "lstm"])
def test_padding_does_not_matter(kind, corpora):
    w = problem.make_net(kind, 6, np.random.default_rng(1))
    x, labels, lengths = corpora[0].batch(np.array([0, 1, 2]))
    y, _ = problem.forward(kind, w, x, lengths)
    other = np.where((labels >= 0)[:, :, None], x, np.float32(9))
    z, _ = problem.forward(kind, w, other, lengths)
    np.testing.assert_allclose(y[labels >= 0], z[labels >= 0], atol=1e-6)


def string_probabilities(y):
    """Probability of every string, by all paths."""
    blank, found = y.shape[1] - 1, {}
    for path in itertools.product(range(blank + 1), repeat=len(y)):
        string = tuple(k for k, _ in itertools.groupby(path) if k != blank)
        found[string] = found.get(string, 0) + np.prod([y[t, k] for t, k in enumerate(path)])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_prefix_search_against_all_paths(seed, monkeypatch):
    y = np.random.default_rng(seed).dirichlet(np.ones(3), 6)
    monkeypatch.setattr(problem, "BEAM", 1000)
    found = string_probabilities(y)
    assert tuple(problem.prefix_search(y)) == max(found, key=found.get)


def test_prefix_search_beats_the_best_path():
    y = np.array([[0.4, 0.6], [0.4, 0.6]])  # the best path is empty, 0.36; the string 0 has 0.64
    assert problem.best_path(y[:, None], np.array([2])) == [[]]
    assert problem.prefix_search(y) == [0]


def test_states_are_thirds_of_segments():
    labels = np.array([4, 4, 4, 4, 4, 4, 7, 7, 9])
    corpus = problem.Corpus(np.zeros((9, 26)), labels, np.array([0, 9]), [[4, 7, 9]])
    states = problem.state_labels(corpus, 3)
    assert states.tolist() == [12, 12, 13, 13, 14, 14, 21, 23, 28]
    start, step, end = (np.exp(p) for p in problem.count_steps(corpus, 3))
    assert start[12] > 0.5 and end[28] > 0.5 and step[21, 23] > 0.5 and step[12, 13] > 0.3
    np.testing.assert_allclose(step.sum(1), 1)


@pytest.mark.parametrize("states", [1, 3])
def test_viterbi_finds_strings_that_are_plain_to_see(states, corpora):
    corpus = corpora[1]
    truth = problem.Corpus(corpus.x, problem.state_labels(corpus, states), corpus.bounds, [])
    _, state, lengths = truth.batch(np.arange(len(corpus.strings)))
    score = -50.0 * (state[:, :, None] != np.arange(problem.K * states))
    chain = problem.count_steps(corpus, states)
    assert problem.viterbi_strings(score, lengths, chain, states, 1, 0) == corpus.strings


def test_on_the_small_instance_two_directions_beat_one():
    config = problem.Config(**problem.QUICK)
    train, _, test = problem.make_corpora(config, np.random.default_rng(0))
    right = {}
    for kind in ("blstm", "lstm"):
        rng = np.random.default_rng(1)
        w = problem.train(config, kind, train, config.updates, rng, lambda *state: None)
        right[kind] = problem.frame_accuracy(kind, w, test)
    assert right["blstm"] > right["lstm"] + 1 and right["blstm"] > 30


def test_the_easy_corpus_is_solved():
    config = problem.Config(task="silences", utterances=200, cells=24, noise=1.0)
    train, _, test = problem.make_corpora(config, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    w = problem.train(config, "blstm", train, 120, rng, lambda *state: None, by_ctc=True)
    assert problem.best_path_error("blstm", w, test) < 5
