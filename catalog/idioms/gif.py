"""The writer of animated GIFs that every make_*_gif.py carries."""

import numpy as np
from PIL import Image


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames; the last one stays `hold` seconds.

    All frames share one palette, and each stores only the rectangle that changed, which keeps the file small.
    """
    images = []
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    sample = np.concatenate(images[:: max(1, len(images) // 6)] + images[-1:])
    palette = Image.fromarray(sample).quantize(colours, Image.Quantize.MAXCOVERAGE)
    images = [Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [round(1000 * seconds)] * (len(images) - 1) + [round(1000 * hold)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, disposal=1, optimize=False)


# end idiom
