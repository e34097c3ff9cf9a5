"""What is changed in ComfyUI is there, and can be taken back."""

from __future__ import annotations

from types import SimpleNamespace

from comfy_nodes.changes import Changes


def test_every_change_is_taken_back_the_last_one_first() -> None:
    """What was wrapped twice, too, is what it was."""
    server = SimpleNamespace(send="comfyui", middlewares=["comfyui"])
    changes = Changes()
    changes.wrap(server, "send", lambda before: f"{before}, events")
    changes.wrap(server, "send", lambda before: f"{before}, tap")
    changes.set(server, "send", f"{server.send}, set")
    changes.insert(server.middlewares, 0, "door")
    changes.append(server.middlewares, "names")
    changed = server.send, list(server.middlewares)
    changes.take_back()

    assert changed == ("comfyui, events, tap, set", ["door", "comfyui", "names"])
    assert (server.send, server.middlewares) == ("comfyui", ["comfyui"])
