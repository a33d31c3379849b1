"""marimo in a SageMaker Studio space. Runs in the image's Python; marimo has its own environment."""
