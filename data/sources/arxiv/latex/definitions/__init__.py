"""Definitions of macros: reading them, what their bodies mean, and what changes them later."""
