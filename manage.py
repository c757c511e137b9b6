#!/usr/bin/env python
"""Carillon's command line: `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:  # brings its own servers, which must be there before the settings are read
        from config import demo

        sys.exit(demo.main(sys.argv[2:]))

    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Carillon cannot start. {error}")


if __name__ == "__main__":
    main()
