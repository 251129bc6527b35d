"""Films as files: every frame keeps its colours."""

import numpy as np
from PIL import Image, ImageSequence

from structlat_jax.report import film_files


def test_colours_that_the_last_frame_lacks_are_kept(tmp_path):
    """Each frame shows another colour than all others, in a small part of it."""
    shown = np.array([[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [90, 90, 90]])
    frames = np.full((len(shown), 100, 180, 3), 250, np.uint8)
    for frame, colour in zip(frames, shown, strict=True):
        frame[40:60, 80:100] = colour
    film_files.write(tmp_path / "film.gif", frames)
    with Image.open(tmp_path / "film.gif") as film:
        found = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(film)]
    assert len(found) == len(frames)
    for one, colour in zip(found, shown, strict=True):
        np.testing.assert_allclose(one[50, 90].astype(int), colour, atol=8)
        np.testing.assert_allclose(one[5, 5].astype(int), 250, atol=8)
