"""How far a package's volumes are from the truth, on heads that it was not trained on.

The heads are label maps painted by `models.phantom`, a painter that training does not know, and
measured by the pipeline that serves. Volume error and bias come first, Dice second: a Dice of 0.95
has gone with useless volumes.
"""

from models.training.heads import HELD_OUT

__all__ = ["HELD_OUT"]
