"""LaTeX as text: its comments, macros, conditionals and structure. Pure functions of strings."""
