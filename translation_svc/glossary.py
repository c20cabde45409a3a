"""Terms whose translation the speaker has fixed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from translation_svc.placeholders import Span


@dataclass(frozen=True, slots=True)
class Glossary:
    """Term to target language to translation.

    A term counts as a whole word or phrase, in any case. For a target that it has no translation for, it is
    an ordinary word.
    """

    terms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def spans(self, text: str, target: str) -> list[Span]:
        """Where terms with a translation into `target` stand in `text`; longer terms win over their parts."""
        fixed = {
            term.strip().casefold(): translations[target]
            for term, translations in self.terms.items()
            if term.strip() and translations.get(target)
        }
        if not fixed:
            return []
        alternatives = "|".join(
            r"\s+".join(map(re.escape, term.split())) for term in sorted(fixed, key=len, reverse=True)
        )
        pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
        return [
            Span(found.start(), found.end(), fixed[key])
            for found in pattern.finditer(text)
            if (key := " ".join(found[0].split()).casefold()) in fixed
        ]
