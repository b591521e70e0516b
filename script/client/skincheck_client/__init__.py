"""The ``skincheck`` command: see ``docs/api.md``."""
