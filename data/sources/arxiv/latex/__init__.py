"""LaTeX as text: its comments, macros and conditionals. Pure functions of strings."""
