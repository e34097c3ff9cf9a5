"""
What may be asked for.

    readings (how a text can be read) -> content (which words a rule finds in it)
    expressions (both compile with them)
    graph (what a workflow is made of, and how much it asks for)
        -> book (all that are in force) -> inspection (which of them a workflow goes against) -> hits (written down)
                -> inspector (what admission asks), with what a service of somebody else's thinks of it (moderation)
"""
