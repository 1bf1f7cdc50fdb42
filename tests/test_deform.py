"""Deformation of digits; its laws are tested with mnist-deep-mlp, which carries a copy."""

from types import SimpleNamespace

import numpy as np

from catalog.idioms import deform


def test_without_strength_every_image_stays_as_it_is():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70, deform.PIXELS)).astype(np.uint8)
    out = np.empty(images.shape, np.float32)
    config = SimpleNamespace(group=30, angle=15.0, strength=0.0)
    deform.deform_all(rng, images, rng.integers(10, size=70), config, out)
    np.testing.assert_allclose(out, images / 127.5 - 1, atol=1e-5)


def test_images_of_a_group_share_their_deformation():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, deform.PIXELS).astype(np.uint8)
    images, out = np.tile(image, (60, 1)), np.empty((60, deform.PIXELS), np.float32)
    config = SimpleNamespace(group=30, angle=15.0, strength=1.0)
    deform.deform_all(rng, images, np.full(60, 3), config, out)
    assert len(np.unique(out.round(4), axis=0)) == 2
