"""
Who is asking, in the order in which it is found out:

    authentication (a request's credentials) -> recognition (whose they are) -> callers (what that person may)
"""
