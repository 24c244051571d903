"""A training configuration so small that a test can afford to run it."""


def tiny(
    *,
    base: int = 4,
    widest: int = 16,
    stem: bool = True,
    side: int = 64,
    iterations: int = 6,
    learning_rate: float = 2e-3,
) -> str:
    """Return a configuration's text; fields are cubes of `side` voxels."""
    return f"""
protocol = "xi2025-matched"
window_hu = [-30.0, 130.0]
seed = 1
learning_rate = {learning_rate}
warmup = 2
averaging = 0.5
heads = {{toddler_24mo = 1.0}}
[architecture]
classes = 13
base = {base}
widest = {widest}
kernel = [3, 3, 3]
stem = {str(stem).lower()}
[[phases]]
iterations = {iterations}
batch = 2
field = [{side}, {side}, {side}]
"""
