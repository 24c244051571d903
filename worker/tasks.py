"""What the broker may ask for. The message is an id; what to do stands in the row."""

from worker.app import app
from worker.composition import workshop


@app.task(name="fontanelle.analyse")
def analyse(analysis_id: int) -> None:
    """Work on one analysis. Delivered twice, it does nothing the second time."""
    # Whoever sent it: what is no number shall get no further, not into a log either.
    workshop().run(int(analysis_id))
