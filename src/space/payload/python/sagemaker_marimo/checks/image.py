"""The check of the image, which a team may have made itself."""

from sagemaker_marimo import image as image_
from sagemaker_marimo.checks.problem import Findings, Problem


def image(_: Findings) -> str:
    if lacks := image_.missing():
        remedy = "Choose another image for this space, or ask the administrator to add this to the image."
        raise Problem(f"the image lacks {'; '.join(lacks)}", remedy)
    return "has everything that marimo needs"
