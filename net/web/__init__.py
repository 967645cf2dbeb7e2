"""The page for phones: a process of its own whose phones are guests of the show's host."""
