"""
SAQ's queues, and one of our own.

    choose -> sqlite -> sqlite_file        the queue that a URL names; the embedded default; its one thread and file
    embedded                               a SAQ worker inside our own process, and the defaults every job gets
"""
