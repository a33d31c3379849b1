"""What the page "marimo jobs" shows and does: apps/jobs.py is its marimo app."""
