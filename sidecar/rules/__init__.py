"""
What may be asked for.

    readings (how a text can be read) -> content (which words a rule finds in it)
    graph (what a workflow is made of, and how much it asks for)
"""
