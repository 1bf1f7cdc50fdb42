"""Elastic and affine deformation of handwritten digits, for scripts that define the constants."""

import numpy as np

SIDE, PIXELS, BACKGROUND = 29, 841, -1.0  # of an image; what the net sees where nothing is
RADIUS, SLOW = 10, (1, 7)  # of the smoothing kernel; digits that rotation would turn into others


# idiom: deform
def elastic_fields(rng, count, strength=1.0):
    """Smooth random displacements (count, 2, 29, 29), downwards and to the right [pixels].

    Uniform noise in [-1, 1], nothing outside the image, convolved with a Gaussian kernel of 21 x 21
    pixels, sum one and sigma in [5, 6], times alpha in [36, 38]. The Gaussian is a product, so that
    a matrix for the rows and one for the columns do.
    """
    sigma = rng.uniform(5, 6, (count, 1, 1))
    alpha = strength * rng.uniform(36, 38, (count, 1, 1, 1))
    reach = np.arange(-RADIUS, RADIUS + 1)
    offset = np.arange(SIDE) - np.arange(SIDE)[:, None]
    smooth = np.where(np.abs(offset) <= RADIUS, np.exp(-(offset**2) / (2 * sigma**2)), 0)
    smooth /= np.exp(-(reach**2) / (2 * sigma**2)).sum(2, keepdims=True)
    smooth = smooth.astype(np.float32)[:, None]
    noise = 2 * rng.random((count, 2, SIDE, SIDE), dtype=np.float32) - 1
    return alpha.astype(np.float32) * (smooth @ noise @ smooth.swapaxes(2, 3))


def affine_maps(rng, angles, strength=1.0):
    """Matrices (count, 2, 2) that scale and then either rotate or shear by up to angles: (count,)
    [degrees]."""
    count = len(angles)
    gamma = rng.uniform(0.15, 0.20, (count, 1))
    scale = 1 + strength * gamma * rng.uniform(-1, 1, (count, 2))
    angle = np.radians(strength * angles * rng.uniform(-1, 1, count))
    rotated = rng.random(count) < 0.5
    cos, sin = np.where(rotated, np.cos(angle), 1), np.where(rotated, np.sin(angle), 0)
    shear = np.where(rotated, -np.sin(angle), np.tan(angle))
    maps = np.array([[cos, sin], [shear, cos]]).transpose(
        2, 0, 1
    )  # acts on (row, column): a shear moves columns only
    return maps * scale[:, :, None]


def sampling_points(maps, fields):
    """Where each pixel of a deformed image comes from: (count, 2, 841), row and column."""
    grid = np.indices((SIDE, SIDE)).reshape(2, PIXELS) - SIDE // 2
    return (maps @ grid + fields.reshape(-1, 2, PIXELS) + SIDE // 2).astype(np.float32)


def bilinear(points):
    """Indices and weights (4, count, 841) of the four pixels around each point; outside the image
    the weight is 0."""
    corner = np.floor(points)
    share = points - corner
    corner = corner.astype(np.int64)
    weights_of, inside, place = [], [], []
    for step in (0, 1):
        there = corner + step
        weights_of.append(share if step else 1 - share)
        inside.append((there >= 0) & (there < SIDE))
        place.append(np.clip(there, 0, SIDE - 1))
    pairs = [(down, right) for down in (0, 1) for right in (0, 1)]
    index = np.array([SIDE * place[down][:, 0] + place[right][:, 1] for down, right in pairs])
    weights = [
        weights_of[d][:, 0] * weights_of[r][:, 1] * (inside[d][:, 0] & inside[r][:, 1])
        for d, r in pairs
    ]
    return index, np.array(weights)


def split_groups(rng, labels, size):
    """random groups of at most `size` images, arrays of their numbers: those of 1s and 7s, those of
    other digits."""
    is_slow = np.isin(labels, SLOW)
    members = [rng.permutation(np.flatnonzero(part)) for part in (is_slow, ~is_slow)]
    return [np.array_split(part, -(-len(part) // size)) if len(part) else [] for part in members]


def deform(images, groups, points, out):
    """Put the images of each group (an index array), sampled at its own points, into the rows of
    out as the net sees them.

    Grey level 0 is the background, so that what lies outside the image needs no pixel of its own.
    """
    index, weight = bilinear(points)
    weight *= 1 / 127.5
    for g, members in enumerate(groups):
        ink = images[members].T.astype(np.float32, order="C")
        total = ink.take(index[0, g], axis=0)
        total *= weight[0, g][:, None]
        for corner in range(1, 4):
            part = ink.take(index[corner, g], axis=0)
            part *= weight[corner, g][:, None]
            total += part
        total += BACKGROUND
        out[members] = total.T


def deform_all(rng, images, labels, config, out):
    """Put a fresh deformation of every image (n, 841) into out (n, 841); images of a group share
    theirs."""
    slow, others = split_groups(rng, labels, config.group)
    groups, angles = (
        slow + others,
        np.repeat([config.angle / 2, config.angle], [len(slow), len(others)]),
    )
    for start in range(0, len(groups), 50):
        part = slice(start, start + 50)
        maps = affine_maps(rng, angles[part], config.strength)
        deform(
            images,
            groups[part],
            sampling_points(maps, elastic_fields(rng, len(maps), config.strength)),
            out,
        )


# end idiom
