#!/usr/bin/env python
"""Django's command line."""

import os
import sys

# These bring their services along, so they also work before anything has been set up.
LOCAL_COMMANDS = {"runlocal", "automl"}


def main() -> None:
    if LOCAL_COMMANDS.intersection(sys.argv[1:2]):
        from smartml.local.state import prepare_settings

        prepare_settings(sys.argv[1])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartml.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
