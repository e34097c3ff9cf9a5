"""
Several processes that are one sidecar.

    bus          what one of them has changed, the others hear
    leadership   what only one of them may do at a time
    postgresql   both of them for processes that share a PostgreSQL

With the embedded defaults there is one process: it hears itself, and it leads.
"""
