"""
What somebody has used, and what they may still:

    routes -> quotas (now), usage (over time), export (everybody's, for spreadsheets)
    telling: whoever listens hears how their quota stands, and when it is nearly used up
"""
