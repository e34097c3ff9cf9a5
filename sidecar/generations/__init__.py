"""
One generation, in the order things happen:

    routes -> admission -> queueing -> turns -> dispatcher -> progress -> recorder -> history

Whether it may enter, and when, say `entry_limits`; `moving_up` looks after those that a limit holds back; `accounting`
holds the ledger against the generations.

Whose turn it is follows from `shares` (what everybody got, who waits) by the rules of `fair_shares`, along the `line`;
`turn_giving` lets them go, along with what lets a turn come where it can, and `lanes` keep their order on the way;
`places` tells how many are before each, as a process knows the whole line (`waiting_line`, kept in `turn_order`).

Where it goes is decided by `choice`; `following` hears what every instance does, `relocation` takes work back from one
that stays away, `tending` probes and drains instances on a clock, `waiting_reasons` and `backlog` tell why and for how
long generations wait, `own_line` what one person waits for; `waiting_telling` tells whoever listens.

`recorder` collects what the journals of the ComfyUIs tell, `recording` writes down one entry, `reconciling` what was
believed and is not so; `postings` are on their way just now, and `aftermath` says who is told.

`history` shows what `finding` finds: by the conditions of `filters`, and by the words that `search` keeps an index of.

`states` says which ways a generation can go, `models` what is stored of it, `schemas` how it looks from outside,
`sweeper` what heals when a process died between two of these steps.
"""
