"""
How much somebody may ask for:

    admin_routes -> plan_book, overrides, groups -> plans (what holds for a person now) -> models
"""
