"""Reads files as downloaded, within bounds; shared by the recipes."""
