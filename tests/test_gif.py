"""The idiom gif: true colours in every frame, small files, little memory, frames evenly spaced."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from catalog import ROOT
from catalog.idioms import gif


class Painted:
    """A figure that shows the pictures of a list: what write_gif needs of matplotlib's."""

    def __init__(self, pictures):
        self.pictures, self.canvas, self.now = pictures, self, None

    def show(self, i):
        self.now = self.pictures[i]

    def draw(self):
        pass

    def buffer_rgba(self):
        return np.dstack([self.now, np.full(self.now.shape[:2], 255, np.uint8)])


def written(path, pictures, **options):
    """Write pictures (height, width, 3) as a GIF; its frames as arrays, and their durations."""
    figure = Painted(pictures)
    gif.write_gif(path, figure, figure.show, range(len(pictures)), **options)
    frames, durations = [], []
    with Image.open(path) as image:
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return frames, durations


def antialiased(count=30, height=60, width=80):
    """White pictures on which a grey ramp of 120 shades moves, as the edges of curves do."""
    pictures = np.full((count, height, width, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        picture[2 + i : 4 + i, :60] = np.arange(15, 255, 2).reshape(2, 60, 1)
    return pictures


@pytest.mark.parametrize("frame", range(0, 30, 13))
@pytest.mark.parametrize("colour", [(213, 94, 0), (0, 114, 178), (0, 255, 0)])
def test_a_colour_of_one_frame_alone_comes_out_right(tmp_path, frame, colour):
    pictures = antialiased()
    pictures[frame, 50:54, 70:74] = colour
    frames, _ = written(tmp_path / "a.gif", pictures)
    assert (frames[frame][50:54, 70:74] == colour).all()


def test_every_colour_comes_out_nearly_right(tmp_path):
    pictures = antialiased()
    for i, picture in enumerate(pictures):
        picture[40:50, i : i + 10] = np.random.default_rng(i).integers(0, 256, 3)
    frames, _ = written(tmp_path / "a.gif", pictures)
    off = np.abs(np.array(frames).astype(int) - pictures).max((1, 2, 3))
    assert off.max() <= 16


def test_few_colours_are_exact(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 4, (5, 20, 30, 3)).astype(np.uint8) * 80
    frames, _ = written(tmp_path / "a.gif", pictures)
    assert (np.array(frames) == pictures).all()
    plain, _ = written(tmp_path / "b.gif", pictures, colours=2)
    assert len(np.unique(np.reshape(plain, (-1, 3)), axis=0)) == 2


def test_durations_and_the_held_poster(tmp_path):
    frames, durations = written(tmp_path / "a.gif", antialiased(4), seconds=0.1, hold=2.0)
    assert durations == [100] * 3 + [2000]
    _, single = written(tmp_path / "b.gif", antialiased(1), hold=2.0)
    assert len(single) == 1


def test_the_same_pictures_give_the_same_bytes(tmp_path):
    pictures = antialiased()
    written(tmp_path / "a.gif", pictures)
    written(tmp_path / "b.gif", pictures)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_a_frame_stores_only_what_changed(tmp_path):
    pictures = np.random.default_rng(1).integers(0, 3, (1, 200, 300, 3)).repeat(20, 0) * 90
    pictures[np.arange(20), 5, np.arange(20)] = (1, 2, 250)
    written(tmp_path / "many.gif", pictures.astype(np.uint8))
    written(tmp_path / "one.gif", pictures[:1].astype(np.uint8))
    size = {name: (tmp_path / f"{name}.gif").stat().st_size for name in ("many", "one")}
    assert size["many"] < size["one"] + 20 * 300


def test_a_real_figure(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.2))

    def draw(i):
        axes.clear()
        axes.plot(range(i + 1))

    gif.write_gif(tmp_path / "a.gif", figure, draw, range(1, 25), seconds=0.1, hold=2.0)
    plt.close(figure)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 24 and image.size == (640, 320)
    assert (tmp_path / "a.gif").stat().st_size < 200_000


MEMORY = """
import resource
import numpy as np
from catalog.idioms import gif

class Figure:
    def draw(self):
        pass
    def buffer_rgba(self):
        return self.now

def draw(i):
    figure.now = np.full((360, 640, 4), 255, np.uint8)
    shade = np.arange(360)[:, None, None] % 200 + np.arange(3) * i % 50
    figure.now[:, : 10 * i + 10, :3] = shade
    figure.now[300:, :, 0] = np.arange(640) % 256

figure = Figure()
figure.canvas = figure
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
gif.write_gif("warm.gif", figure, draw, range(2))
before = peak()
gif.write_gif("a.gif", figure, draw, range(60))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs")
def test_sixty_frames_need_little_memory(tmp_path):
    command = [sys.executable, "-c", MEMORY]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert float(done.stdout) < 120, done.stderr


# --- spaced ------------------------------------------------------------------------------------


def curve(kind, n=1000):
    t = np.arange(n)
    curves = {
        "flat": np.ones(n),
        "early": np.exp(-t / 30),
        "late": 1 / (1 + np.exp((t - 600) / 10)),
        "jump": (t < 500) * 1.0,
        "noisy": np.exp(-t / 30) + 0.02 * np.random.default_rng(0).normal(size=n),
        "up and down": np.sin(t / 50),
    }
    return curves[kind]


@pytest.mark.parametrize("kind", ["flat", "early", "late", "jump", "noisy", "up and down"])
@pytest.mark.parametrize("count", [2, 3, 40])
def test_spaced_keeps_first_and_last_and_the_number(kind, count):
    places = gif.spaced(curve(kind), count)
    assert places[0] == 0 and places[-1] == 999 and len(places) <= count
    assert (np.diff(places) > 0).all() and all(type(place) is int for place in places)
    assert len(places) >= 0.9 * count


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_spaced_shows_all_where_there_are_few(n):
    assert gif.spaced(np.arange(n), 5) == list(range(n))


def test_spaced_shows_what_is_learnt_late():
    inside = [540 < place < 660 for place in gif.spaced(curve("late"), 40)]
    assert sum(inside) >= 18, "nearly half of the frames, though it is an eighth of the training"


def test_spaced_goes_evenly_through_an_even_change():
    """The change of the values between two frames never exceeds what one frame stands for."""
    values = curve("early")
    assert np.abs(np.diff(values[gif.spaced(values, 40)])).max() < 2 / 39 + 0.04


def test_spaced_follows_the_logarithm_where_nothing_changes():
    places = np.array(gif.spaced(curve("flat"), 10))
    ratios = (places[4:] + 1) / (places[3:-1] + 1)
    assert ratios.max() / ratios.min() < 1.3


def test_spaced_knows_no_direction():
    assert gif.spaced(curve("late"), 30) == gif.spaced(1 - curve("late"), 30)
