"""What `marimo-doctor` checks. A check returns what it found, or raises a Problem."""
