"""The ``skincheck`` command: see ``docs/client.md``."""
