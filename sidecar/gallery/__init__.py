"""
The images of generations, in the order things happen:

    references -> expected -> intake -> (storage, thumbnails, thumbhash) -> schemas, routes

`references` reads what ComfyUI says it wrote, `expected` writes down which images there must be, and `intake`, a job,
takes their bytes into the store, with the thumbnails that our node has made (`reported_thumbnails`) where they are
sound. `models` is what is stored of an image.
"""
