"""Quality: python -m bench.quality SUBJECT …; ends with 1 when a promise is not kept."""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.quality import captions, lag, transcription, translation, voice


@dataclass(frozen=True, slots=True)
class Subject:
    """What can be measured."""

    purpose: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], bool]
    """Measures and prints; returns whether all that is promised holds."""


SUBJECTS: Mapping[str, Subject] = {
    "captions": Subject(captions.__doc__ or "", captions.add_arguments, captions.run),
    "lag": Subject(lag.__doc__ or "", lag.add_arguments, lag.run),
    "transcription": Subject(transcription.__doc__ or "", transcription.add_arguments, transcription.run),
    "translation": Subject(translation.__doc__ or "", translation.add_arguments, translation.run),
    "voice": Subject(voice.__doc__ or "", voice.add_arguments, voice.run),
}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    subjects = parser.add_subparsers(dest="subject", required=True)
    for name, subject in SUBJECTS.items():
        subject.add_arguments(
            subjects.add_parser(
                name,
                help=subject.purpose.splitlines()[0],
                description=subject.purpose,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    arguments = parser.parse_args()
    return 0 if SUBJECTS[arguments.subject].run(arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
