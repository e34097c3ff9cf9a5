"""
Which models there are, and who may not be used:

    discovery (asks every ComfyUI) -> models (what is stored) -> catalog (what is known, in memory) -> routes
                                                                   `-> usable (may this be asked for?) -> admission

`snapshot` is what is known at one moment; `commands` is the same for the command line.
"""
