"""
The ComfyUIs there are, in the order things happen to one:

    registry (it comes and goes) -> standing (is it there, may it be trusted)

`models` is what is stored of an instance, `connections` how this process speaks with each of them. Who follows them
and what is sent to which is the business of `generations`; what an admin sees and does, that of `operations`.
"""
