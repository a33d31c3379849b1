"""Notebooks as SageMaker Processing jobs: what `marimo-job` is made of."""
