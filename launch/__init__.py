"""The entry point of `relama`: from its first import on, Ctrl-C prints one line."""

from configs.interrupts import end_at_once


def relama() -> int:
    end_at_once()
    from launch.cli import main

    return main()
