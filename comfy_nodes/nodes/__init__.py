"""
The nodes of the pack, written for ComfyUI's V3 interface as 0.3.75 has it:

    save_image        Save Image (Genonaut)
    tag_generation    Tag Generation
"""
