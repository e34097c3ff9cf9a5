"""
The sidecar of Genonaut: the service that owns every generation, image and limit of a shared ComfyUI.

    cli -> app -> worker -> generations -> gallery -> comfyui

`README.md` beside this file is the map.
"""

__version__ = "0.1.0"
