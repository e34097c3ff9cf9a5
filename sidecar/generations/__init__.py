"""
One generation, in the order things happen:

    routes -> admission -> queueing -> turns -> dispatcher -> progress -> recorder -> history

`states` says which ways a generation can go, `models` what is stored of it, `schemas` how it looks from outside,
`sweeper` what heals when a process died between two of these steps.
"""
