"""CT images synthesised from label maps: draw a head, change it, paint it, scan it.

After SynthSeg (Billot et al. 2023, doi 10.1016/j.media.2023.102789): nothing real is shown to the
network, so the labels are exact and every appearance can be drawn. Vectorised torch, seeded.
Axes are (slice, row, column) growing towards (S, P, L).

    anatomy.py   a label map with all that is asked of it for every sample
    chance.py    random numbers
    shape.py     where each voxel of the field comes from: turn, size, regions larger and smaller
    tissue.py    what lies there: sulci wider or narrower, a child's vault
    paint.py     its HU
    scanner.py   what a scanner makes of it
    draw.py      one sample after the other
"""

from models.training.synthesis.chance import Field
from models.training.synthesis.draw import Sample, SynthesisConfig, Synthesizer
from models.training.synthesis.shape import ShapeConfig

__all__ = ["Field", "Sample", "ShapeConfig", "SynthesisConfig", "Synthesizer"]
