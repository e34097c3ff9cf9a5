"""
What an operator needs:

    schemas (how it looks from outside) -> instance_desk, queue_desk (what is done) -> routes
"""
