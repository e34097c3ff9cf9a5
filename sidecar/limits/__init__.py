"""
How much somebody may ask for, in the order in which it is looked at:

    plans (what holds for a person) -> models (plans, overrides, groups)
    windows: when there is room for more, of what was counted
"""
