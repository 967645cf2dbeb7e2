"""The command line: its options, and the checks of what is given for them."""
