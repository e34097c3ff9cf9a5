"""
What Genonaut costs, and what it can do: `python3 install.py bench` prints one table. `--quick` does less of everything;
a group's name runs that one alone; `--json FILE --resume` goes on where a run was stopped.

    both_ways   the same prompts through a ComfyUI alone and through one with Genonaut, turn by turn
    crowd       10, 100 and 1 000 people who submit at the same moment
    deep        a sidecar with a million generations recorded: submissions, pages, one generation, thumbnails
    followed    a ComfyUI's events, as fast as they can be taken in
    hour        an hour's worth of work in a minute, and what of it stays in memory
    journalled  what is added inside ComfyUI's worker
    panel       the history panel in Chromium, with 100 000 generations
    queue       SAQ's queue on SQLite
    rest        a sidecar with nothing to do
    waiting     up to 100 000 people who wait: who comes in, and whose turn is next

`figures` says what a row is. A benchmark prints; it never fails by the clock, since every machine has its own.
"""
