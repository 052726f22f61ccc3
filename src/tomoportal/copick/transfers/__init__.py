"""Parts of a project elsewhere: copies, moves and removals by URI, synchronised projects, trees of links."""
