"""
SAQ's queues, and one of our own.

    choose        the queue that a URL names
    sqlite        the embedded default: waiting and waking
    sqlite_jobs   what may happen to a job, and when
    sqlite_file   one file, one connection, one thread
    served        SAQ's own queues on a server: what happens when the server is away
    redis, postgresql
    embedded      a SAQ worker inside our own process, and the defaults every job gets
"""
