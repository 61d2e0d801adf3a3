"""Backups: a consistent copy of the database and the uploads, and a restore that proves itself."""
