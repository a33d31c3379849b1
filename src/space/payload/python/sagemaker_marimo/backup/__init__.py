"""Backups of home folders in the environment's bucket, and their restoration."""
