"""``skincheck login | screen | upload | watch | export``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from skincheck_client import SkinCheckError
from skincheck_client.command import commands
from skincheck_client.command.failure import Exit, Failure, failure_of
from skincheck_client.command.progress import CLEAR

Command = Callable[[argparse.Namespace], Exit]
CODES = """exit codes:
  0  all is done
  1  some pictures were refused or could not be read, or were not read in time
  2  the command was called wrongly
  3  the site refused: the key, its scopes, or what was asked for
  4  the site did not answer, also after several attempts
  130  interrupted

Research software, not a medical device. It cannot diagnose or rule out skin cancer."""


def main() -> None:
    options = _parser().parse_args()
    start = CLEAR if sys.stderr.isatty() else ""
    logging.basicConfig(format=f"{start}%(message)s", level=logging.WARNING)
    try:
        code = options.run(options)
    except (Failure, SkinCheckError) as error:
        failure = error if isinstance(error, Failure) else failure_of(error)
        print(f"skincheck: {failure}", file=sys.stderr)
        code = failure.code
    except (KeyboardInterrupt, EOFError):
        print(
            "skincheck: interrupted. What was sent is kept; start it again to go on.",
            file=sys.stderr,
        )
        code = Exit.INTERRUPTED
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skincheck",
        description="Pictures of skin lesions to a SkinCheck site, and its readings back.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = parser.add_subparsers(required=True, metavar="COMMAND")

    login = names.add_parser("login", help="store the site's address and your API key")
    login.add_argument("--url", help="of the site; the key is asked for, or read from a pipe")
    login.set_defaults(run=commands.log_in)

    screen = names.add_parser("screen", help="add pictures, wait, and tell the readings")
    screen.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    where = screen.add_mutually_exclusive_group(required=True)
    where.add_argument("--lesion", metavar="ID", help="all of them show this lesion")
    where.add_argument("--patient", metavar="ID", help="each shows a new lesion of this patient")
    screen.add_argument("--body-site", help="of new lesions, in HAM10000's words")
    _about_pictures(screen)
    _waiting(screen, 120)
    _running(screen, commands.screen, dry=commands.dry_screen)

    upload = names.add_parser("upload", help="add a folder of pictures, a subfolder a lesion")
    upload.add_argument("folder", type=Path, metavar="DIR")
    upload.add_argument("--patient", required=True, metavar="ID")
    _about_pictures(upload)
    upload.add_argument("--json", action="store_true", help="one object per line")
    _running(upload, commands.upload, dry=commands.dry_upload)

    watch = names.add_parser("watch", help="wait for readings, and tell each")
    watch.add_argument("predictions", nargs="*", metavar="ID", help="without: all that wait now")
    _waiting(watch, 3600)
    watch.set_defaults(run=commands.watch)

    export = names.add_parser("export", help="write readings to a file")
    export.add_argument("file", type=Path, metavar="FILE", help=".csv, .jsonl or .parquet")
    for name in ("lesion", "state", "outcome", "created-after", "created-before"):
        export.add_argument(f"--{name}", help="as the API's filter of this name")
    export.add_argument("--json", action="store_true", help="say it as an object")
    export.set_defaults(run=commands.export)
    return parser


def _about_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--captured-on", type=_day, metavar="DATE", help="unless it is in the file's name; or today"
    )
    parser.add_argument(
        "--modality",
        choices=("dermatoscopic", "clinical"),
        help="unless a DICOM file says it; or dermatoscopic",
    )
    for name, text in (
        ("allow-burned-in", "a DICOM file that says text is burned into its picture"),
        ("allow-capture", "a DICOM Secondary Capture: you know that it is a photograph"),
        ("keep-identifiers", "of a DICOM file: its SOP Instance UID"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)


def _running(parser: argparse.ArgumentParser, command: Command, *, dry: Command) -> None:
    parser.add_argument(
        "--dry-run",
        dest="run",
        action="store_const",
        const=dry,
        default=command,
        help="tell what would be added, and store nothing",
    )


def _waiting(parser: argparse.ArgumentParser, seconds: int) -> None:
    parser.add_argument("--timeout", type=float, default=seconds, metavar="SECONDS")
    parser.add_argument("--json", action="store_true", help="one object per line")


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()
