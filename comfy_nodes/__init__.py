"""
The part of Genonaut that lives inside ComfyUI's process: as little as possible, and it never raises into ComfyUI.

A prompt on its way:

    prompt_gate      POST /prompt becomes a submission to the sidecar; the dispatcher's own prompts pass
    owned_queue      ComfyUI's queue, with the prompts that the sidecar holds shown as pending
    event_tap        copies execution events to the sidecar's observer socket
    outcome_journal  keeps how prompts ended until the sidecar has committed it; outcome_news tells it of new ones

For several people: `doorkeeper` (who comes in), `credentials`, `recognition` and `caller` (who that is), `access_rules`
and `rights` (what for), `foreign_pages`, `login_page/`; `client_sockets`, `owned_events` and `own_status` (who hears of
what), `interrupts`, `user_folders`; `places` (which file that is) and `ownership` (whose it is), with `file_routes`,
`graph_files` and `file_hooks` for ComfyUI's routes, its workflows and its running nodes.

Beside it: `parts` (put together) and `connect` (every hook, all or none; `closed_doors`), `sidecar_proxy` (one origin
for the page), `sidecar_process` (the sidecar's life beside ComfyUI), `nodes/` (Save Image, Tag Generation), `locations`
(where things lie on disk).

Importing this package needs nothing but the standard library, so that `install.py` can use `locations` without ComfyUI.
"""
