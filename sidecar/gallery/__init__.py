"""
The images of generations, in the order things happen:

    references -> intake -> (storage, thumbnails, thumbhash) -> schemas, routes

`references` reads what ComfyUI says it wrote, `intake` first writes down which images are expected and later, in a
job of its own, takes their bytes into the store. `models` is what is stored of an image.
"""
