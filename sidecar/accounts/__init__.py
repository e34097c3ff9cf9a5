"""Who is asking. For now always the local owner: `open` access."""
