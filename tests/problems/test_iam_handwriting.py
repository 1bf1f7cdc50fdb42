"""What only iam-handwriting has to keep."""

import itertools

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("iam-handwriting")
offline = load_script("iam-handwriting", "iam_handwriting_offline")
SPACE, BLANK = problem.SPACE, problem.SPACE + 1


def test_fonts_and_words_are_whole():
    letters = problem.read_letters()
    assert [len(letters[style]) for style in problem.STYLES] == [26, 26]
    points = [p for style in letters.values() for *_, strokes in style for p, _ in strokes]
    assert all(len(p) > 1 and np.abs(p).max() < 25 for p in points)
    late = {style: [any(x for _, x in s) for *_, s in letters[style]] for style in letters}
    for style in late:
        assert "".join(chr(97 + k) for k in np.flatnonzero(late[style])) == "ijtx"
    words = (problem.Path(problem.__file__).parent / "words.txt").read_text().split()
    assert len(words) == len(set(words)) == 1000
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


def test_points_lie_at_equal_distances():
    corner = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]])
    p = problem.resampled(corner)
    np.testing.assert_allclose(p, [[0, 0], [4.5, 0], [9, 0], [9, 4.5], [9, 9]])


def plain_line(pens, writer, string):
    """Points and starts of strokes of a line without jitter, letter by letter."""
    points, ups, edge, word, delayed = [], [], 0.0, [], []
    for k, character in enumerate([*string, SPACE]):
        if character == SPACE:
            for p, new in word + delayed:
                points.append(p)
                ups.append(new)
            word, delayed, edge = [], [], edge + problem.AIR
            continue
        unit = writer * 26 + character
        for j, i in enumerate(range(pens.bounds[unit], pens.bounds[unit + 1])):
            begins = k == 0 or string[k - 1] == SPACE
            after_late = bool(word) and word[-1][1] == "late"
            joined = j == 0 and pens.joins[writer] and not begins and not after_late
            new = pens.new[i] and not joined
            late = pens.late[i]
            entry = pens.points[i] + [edge, 0], bool(new)
            if late and pens.delays[writer]:
                delayed.append(entry)
            else:
                word.append(entry)
        edge += pens.width[writer, character]
    return np.array(points), np.array(ups)


def test_a_line_is_written_letter_by_letter():
    rng = np.random.default_rng(0)
    pens = problem.Pens(rng, 6, 0.85)
    pens.wave[:] = 0
    pens.joins[:], pens.delays[:] = [False, False, True, True, False, True], [0, 1, 1, 1, 0, 1]
    text = "tin exit jab", "it", "mixed joint", "x", "a ti", "title"
    strings = [[ord(c) - 97 if c != " " else SPACE for c in line] for line in text]
    x, y, up, lengths = problem.write(rng, pens, range(6), strings)
    for b, string in enumerate(strings):
        points, ups = plain_line(pens, b, string)
        n = lengths[b]
        assert n == len(points) and not x[n:, b].any()
        np.testing.assert_allclose(np.stack([x[:n, b], y[:n, b]], 1), points, atol=0.7)
        assert (up[:n, b] == ups).all()


def test_joined_letters_and_late_dots():
    pens = problem.Pens(np.random.default_rng(0), 1, 0.0)
    one = [8, 13]  # "in"
    for joins, delays, starts in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, -1)):
        pens.joins[:], pens.delays[:] = joins, delays
        x, _, up, _ = problem.write(np.random.default_rng(1), pens, [0], [one])
        strokes = int(pens.new[pens.bounds[8] : pens.bounds[9]].sum())
        strokes += int(pens.new[pens.bounds[13] : pens.bounds[14]].sum())
        assert up.sum() == strokes + starts  # a dot between the letters parts them
        assert (x[-1, 0] < pens.width[0, 8]) == delays  # the dot of the i comes last


def test_features_of_a_line_do_not_depend_on_its_neighbours():
    rng = np.random.default_rng(0)
    pens = problem.Pens(rng, 3, 0.85)
    *track, lengths = problem.write(rng, pens, [0, 1, 2], [[0, 1], [5, 6, 7, SPACE, 8], [20]])
    f = problem.pen_features(*track, lengths)
    assert f.shape[2] == problem.FEATURES and np.isfinite(f).all()
    for b, n in enumerate(lengths):
        alone = problem.pen_features(*(part[:n, b : b + 1] for part in track), lengths[b : b + 1])
        np.testing.assert_allclose(f[:n, b], alone[:, 0], atol=1e-6)
        assert not f[n:, b].any()


def test_features_of_a_straight_stroke():
    t = np.arange(9.0)[:, None]
    f = problem.pen_features(3 * t, 4 * t, t == 0, np.array([9]))[4, 0]
    np.testing.assert_allclose(f[[0, 1]], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(f[[6, 7, 8, 9]], [0.6, 0.8, 1, 0], atol=1e-6)
    np.testing.assert_allclose(f[[11, 12, 14]], [0.6, 0.8, 0], atol=1e-6)
    turn = problem.pen_features(
        np.array([[0.0], [1], [1]]), np.array([[0.0], [0], [1]]), t[:3] == 0, np.array([3])
    )
    np.testing.assert_allclose(turn[1, 0, [8, 9]], [0, 1], atol=1e-6)  # a quarter to the right


def test_columns_by_hand():
    picture = np.zeros((1, 28, 4), np.uint8)
    picture[0, 10:13, 1], picture[0, 20, 1] = 255, 255
    f = offline.column_features(picture, np.array([3]))
    rows = np.array([10, 11, 12, 20])
    expected = [4 / 4 - 1, (rows.mean() - 14) / 5, rows.var() / 20 - 1, 0, (20 - 18) / 5]
    np.testing.assert_allclose(f[1, 0, :5], expected, atol=1e-5)
    np.testing.assert_allclose(f[1, 0, 7:], [4 / 2 - 1, 4 / 11 * 2 - 1], atol=1e-5)
    assert not f[3].any()


def test_digits_keep_their_order():
    images = np.zeros((3, 28, 28), np.uint8)
    for k in range(3):
        images[k, 5:20, 8 : 14 + k] = 100 + k
    rng = np.random.default_rng(0)
    pictures, widths, strings = offline.draw_digits(rng, images, np.arange(3), 20, 4, 8)
    for picture, width, string in zip(pictures, widths, strings, strict=True):
        top = picture.max(0)[:width]
        assert not picture[:, width:].any()
        seen = [int(k) for k, _ in itertools.groupby(top[top > 0])]
        true = [100 + int(k) for k, _ in itertools.groupby(string)]
        assert len(string) in range(4, 9) and set(seen) <= set(true)
        assert seen[0] == true[0] or true[0] < true[1]  # a wider neighbour covers at most three


def small_language():
    rng = np.random.default_rng(3)
    words = [np.array([0, 1]), np.array([1]), np.array([0]), np.array([1, 0, 0])]
    step = np.log(rng.dirichlet(np.ones(4), 4))
    return words, np.log(rng.dirichlet(np.ones(4))), step


def best_by_enumeration(score, words, start, step, scale, collapse):
    """The best score over all paths, and its words: every path that spells words counts."""
    used = [0, 1, SPACE, BLANK] if collapse == "ctc" else [0, 1, SPACE]
    spelt = {}
    for n in (1, 2, 3):
        for line in itertools.product(range(len(words)), repeat=n):
            text = [c for k in line for c in (SPACE, *words[k])][1:]
            model = start[line[0]] + sum(step[a, b] for a, b in itertools.pairwise(line))
            spelt[tuple(text)] = list(line), scale * model
    best = -np.inf, None
    for path in itertools.product(used, repeat=len(score)):
        text = tuple(c for c, _ in itertools.groupby(path) if c != BLANK)
        if text in spelt:
            total = score[np.arange(len(path)), list(path)].sum() + spelt[text][1]
            best = max(best, (total, spelt[text][0]))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_token_passing_is_the_best_of_all_paths(seed):
    words, start, step = small_language()
    rng = np.random.default_rng(seed)
    score = np.log(rng.dirichlet(0.4 * np.ones(BLANK + 1), 7) + 1e-9)
    found, total = problem.token_passing(score, problem.ctc_lexicon(words), start, step, 0.7)
    truth = best_by_enumeration(score, words, start, step, 0.7, "ctc")
    assert total == pytest.approx(truth[0], abs=1e-4) and found == truth[1]


@pytest.mark.parametrize("seed", range(4))
def test_token_passing_through_markov_states(seed):
    words, start, step = small_language()
    words = words[:3]  # with one state a letter, repeats could not be told apart
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(7, SPACE + 1))
    lexicon = problem.hmm_lexicon(words, 1)
    found, total = problem.token_passing(score, lexicon, start[:3], step[:3, :3], 2)
    truth = best_by_enumeration(score, words, start, step, 2, "hmm")
    assert total == pytest.approx(truth[0], abs=1e-4) and found == truth[1]


def test_where_the_track_says_nothing_the_model_decides():
    words, *_ = small_language()
    score = np.full((9, BLANK + 1), -3.0)
    first, step = np.array([-5.0, -5, -1, -5]), np.full((4, 4), -1.0)
    found, total = problem.token_passing(score, problem.ctc_lexicon(words), first, step, 2)
    assert found == [2] and total == pytest.approx(9 * -3 - 2)


def test_states_of_a_string():
    assert problem.hmm_states([2, SPACE, 0], 4).tolist() == [8, 9, 10, 11, 104, 0, 1, 2, 3]


def test_a_markov_model_finds_separated_states():
    rng = np.random.default_rng(0)
    strings = [np.array([0, 1]), np.array([1, 0]), np.array([1])] * 4
    lengths = np.array([20, 17, 9] * 4)
    x = np.zeros((20, 12, 2), np.float32)
    for b, string in enumerate(strings):
        states = problem.hmm_states(string, 2)
        state = states[np.arange(lengths[b]) * len(states) // lengths[b]]
        x[: lengths[b], b] = np.stack([5.0 * state, -3.0 * state], 1)
    x += rng.normal(0, 0.1, x.shape).astype(np.float32)
    _, mean, _ = problem.fit_hmm(x, lengths, strings, 2, 4)
    np.testing.assert_allclose(mean[:, :, 0].mean(1), [0, 5, 10, 15], atol=0.3)


def test_digits_come_back_from_clean_scores():
    truth, states = [3, 3, 7, 0], offline.STATES
    path = np.repeat([k * states + s for k in truth for s in range(states)], 2)
    score = np.full((len(path) + 3, 1, 10 * states), -20.0)
    score[np.arange(len(path)), 0, path] = 0
    assert offline.hmm_digits(score, np.array([len(path)]), -5.0) == [truth]


def test_the_one_way_net_has_no_fewer_weights():
    rng = np.random.default_rng(0)
    sizes = [
        sum(w.size for w in problem.make_net(rng, 15, 28, 48, directions).values())
        for directions in (2, 1)
    ]
    assert sizes[0] <= sizes[1] < 1.03 * sizes[0]


def test_words_of_the_test_are_new():
    online = problem.Online(problem.Config(warp=0), np.random.default_rng(0))
    assert len(online.known) == 700 and not set(online.known) & set(online.new)
    np.testing.assert_allclose(np.exp(online.step).sum(1), 1, atol=1e-9)
    known = {tuple(online.words[k]) for k in online.known}
    strings = online.known_lines(np.random.default_rng(1), [3] * 20)
    for string in strings:
        cuts = np.flatnonzero(string == SPACE)
        assert all(tuple(p[p != SPACE]) in known for p in np.split(string, cuts)) and len(cuts) == 2


def test_the_small_instances_are_solved():
    assert problem.run(problem.Config(**problem.QUICK)).metrics["blstm_new"] < 30
