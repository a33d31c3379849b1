"""The modules of `marimo-job`, which runs notebooks as SageMaker Processing jobs."""
