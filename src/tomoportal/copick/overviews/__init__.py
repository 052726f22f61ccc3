"""What a project holds, for people: as a tree, as Markdown."""
