"""The worker: the pipeline and the engines."""
