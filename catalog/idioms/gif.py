"""The writer of animated GIFs that every make_*_gif.py carries."""

import numpy as np
from PIL import Image


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames.

    The last frame stays `hold` seconds; it is also the poster. All frames share one palette, made
    from all of them, and each stores only the rectangle that changed, which keeps the file small.
    """
    pictures, seen, count = [], np.empty(0, np.uint32), np.empty(0)
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba()).view(np.uint32)[..., 0]
        found, which, times = np.unique(pixels, return_inverse=True, return_counts=True)
        which = which.reshape(pixels.shape).astype(np.min_scalar_type(len(found)))
        pictures.append((found, which))
        seen, place = np.unique(np.concatenate([seen, found]), return_inverse=True)
        count = np.bincount(place, np.concatenate([count, times]))
    palette, nearest = shared_palette(seen.view(np.uint8).reshape(-1, 4)[:, :3], count, colours)
    images = (Image.fromarray(nearest[np.searchsorted(seen, f)][which]) for f, which in pictures)
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * hold)]
    options = {"palette": palette.tobytes(), "loop": 0, "disposal": 1, "optimize": False}
    next(images).save(path, save_all=True, append_images=images, duration=durations, **options)


def shared_palette(seen, count, most):
    """A palette out of the colours seen, (at most most, 3), and which entry is nearest to each.

    The commonest colour comes first, then always the one that lies farthest from all entries so
    far; a commoner colour counts as a little farther, but a rare one that is like no other gets in.
    """
    rgb, weight = seen.astype(np.int32), count**0.25
    chosen, nearest, gap = [], np.zeros(len(rgb), np.uint8), np.full(len(rgb), np.inf)
    while len(chosen) < most and gap.any():
        chosen.append(np.argmax(gap * weight if chosen else count))
        away = ((rgb - rgb[chosen[-1]]) ** 2).sum(1)
        nearest[away < gap] = len(chosen) - 1
        gap = np.minimum(gap, away)
    return seen[chosen], nearest


def spaced(values, count):
    """Which snapshots to show: places of at most `count`, evenly spaced in what is learnt.

    values: one number a snapshot that tells how far learning has come, such as an error (of an
    error that spans factors, its logarithm); snapshots are taken at even intervals of training.
    Half of the way from the first snapshot to the last is the change of values, up or down, and
    half is the logarithm of training time, so that early steps and slow stretches show too. No
    single change takes more than the way of about one frame. First and last are always shown.
    """
    if len(values) <= count:
        return list(range(len(values)))
    change = np.abs(np.diff(np.asarray(values, float)))
    early = np.diff(np.log(np.arange(1, len(values) + 1)))
    way = change / (change.sum() or 1) + early / early.sum()
    way = np.concatenate([[0], np.cumsum(np.minimum(way, way.sum() / count))])
    places = np.searchsorted(way, np.linspace(0, way[-1], count))
    return np.unique(places).tolist()


# end idiom
