"""Where the command `relama` begins: from its first import on, Ctrl-C is one line."""

from configs.interrupts import end_at_once


def relama() -> int:
    end_at_once()
    from launch.cli import main

    return main()
