"""
Who is asking, in the order in which it is found out:

    authentication (a request's credentials) -> recognition (whose they are) -> callers (what that person may) -> guards

How one comes to be known:

    first_administrator, invites, or people (an administrator, a terminal, a proxy) -> log_in (throttling, passwords)
    -> sessions; tokens for programs

And what goes with all of it: changes (who is let in no longer is out at once), audit (who did what).
`desk` puts the parts together; routes, admin_routes and internal_routes are their HTTP.
"""
