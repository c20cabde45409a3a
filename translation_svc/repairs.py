"""Small known faults of single steps, mended before the next step builds on them.

All were met in ordinary talk. A repair is a regular expression and its replacement; those of `_BEFORE`
rewrite what a step stumbles over, those of `_AFTER` what it says wrong. Replacements take over a capital.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from translation_svc.routes import Step
from translation_svc.translators.base import Pair

_Repairs: TypeAlias = Sequence[tuple[re.Pattern[str], str]]


def _compiled(*rules: tuple[str, str]) -> _Repairs:
    return tuple((re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in rules)


def _si(subjunctive: str, indicative: str) -> tuple[str, str]:
    """Spanish has no present subjunctive after si; Portuguese has its future subjunctive there."""
    return (rf"\bsi ((?:usted|ustedes|él|ella|ellos|ellas|no) )?{subjunctive}\b", rf"si \1{indicative}")


def _vous(singular: str, plural: str) -> tuple[str, str]:
    """French verbs after vous, where it is the subject; vostè takes the third person in Catalan."""
    subject = r"(^|\b(?:que|si|quand|où|pourquoi|comme|et|mais) |, |\bqu')"
    return (rf"{subject}vous (?:(déjà) )?{singular}\b", rf"\1vous {plural} \2")


_GREETINGS = (
    (r"(?<!un )\bbuen día\b(?! de| para)", "buenos días"),
    (r"^Buena tarde\b", "Buenas tardes"),
    (r"^Buena noche\b", "Buenas noches"),
)

_BEFORE: Mapping[Step, _Repairs] = {
    # "nos" before an infinitive would be read as "em os"
    Step("apertium", Pair("pt", "es")): _compiled(
        (
            r"\b(vai|vão|vou|ia|iam|pode|podem|quer|querem|deve|devem|para|de) nos (\w+[aei]r)\b",
            r"\1 \2-nos",
        ),
        # what stands behind º is taken for a verb; "4o" becomes "4el" below
        (r"\b(\d+)º", r"\1o"),
        (r"\b(\d+)ª", r"\1a"),
    ),
}
_AFTER: Mapping[Step, _Repairs] = {
    Step("bergamot", Pair("en", "pt")): _compiled(
        (r"^O que uma? (?=.*!$)", "Que "),
        (r"\bSenhoras e Senhores Deputados\b", "Senhoras e senhores"),
        (r"\b(\d+)o\b", r"\1º"),
        (r"\b(\d+)a\b", r"\1ª"),
    ),
    Step("bergamot", Pair("pt", "en")): _compiled((r"^Good days?\b", "Good morning")),
    Step("apertium", Pair("pt", "es")): _compiled(
        *_GREETINGS,
        (r"\b(\d+)(?:el|lo|o)\b", r"\1º"),
        (r"\b(\d+)(?:la|a)\b", r"\1ª"),
        (r"\bmañana de mañana\b", "mañana por la mañana"),
        (r"\btod[oa] (día|semana|mes|año|noche|tarde|hora|minuto)\b", r"cada \1"),
        (r"\bhemos (?=(?:dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|\d)\b)", "tenemos "),
        (r"\blo que (hacer|decir|pensar|esperar|ver)\b", r"qué \1"),
        (r"\b(más|menos) del que (?=en\b)", r"\1 que "),
        (r"^Como usted está\b(?=.*\?$)", "Cómo está usted"),
        (r"^Como\b(?=.*\?$)", "Cómo"),
        (r"^Que\b(?=.*!$)", "Qué"),
        _si("quiera", "quiere"),
        _si("quieran", "quieren"),
        _si("pueda", "puede"),
        _si("puedan", "pueden"),
        _si("tenga", "tiene"),
        _si("tengan", "tienen"),
        _si("sea", "es"),
        _si("sean", "son"),
        _si("esté", "está"),
        _si("estén", "están"),
        _si("haya", "hay"),
        _si("haga", "hace"),
        _si("necesite", "necesita"),
    ),
    Step("apertium", Pair("ca", "es")): _compiled(
        *_GREETINGS, (r"\bmañana mañana\b", "mañana por la mañana")
    ),
    Step("apertium", Pair("es", "pt")): _compiled(
        (r"\bfaz favor\b", "por favor"), (r"\bmanhã pela manhã\b", "amanhã de manhã")
    ),
    Step("apertium", Pair("es", "gl")): _compiled((r"^Bo día\b", "Bos días")),
    Step("apertium", Pair("ca", "it")): _compiled(
        (r"\b(?-i:SEDANO)\b", "API"),
        (r"\bapppunto\b", "appunto"),
        (r"\bse vi piace\b", "per favore"),
        (r"\b(?:Com'è Lei|Come Lei è)(?=\s*\?)", "come sta"),
        (r"\bSr\.(?= )", "Sig."),
        (r"\bSra\.(?= )", "Sig.ra"),
        (r"\bdi nuovo della mattina\b", "dalle nove di mattina"),
    ),
    Step("apertium", Pair("ca", "fr")): _compiled(
        (r"\b(?-i:CÉLERI)\b", "API"),
        (r"\bcomment (?:vous est|il est vous)(?=\s*\?)", "comment allez-vous"),
        (r"\b(?:qu'est-ce que|ce que) faire\b", "quoi faire"),
        (r"\baux (\w+) heures\b", r"à \1 heures"),
        (r"\bde nouveau du matin\b", "de neuf heures du matin"),
        _vous("est", "êtes"),
        _vous("a", "avez"),
        _vous("va", "allez"),
        _vous("peut", "pouvez"),
        _vous("veut", "voulez"),
        _vous("veuille", "voulez"),
        _vous("doit", "devez"),
        _vous("sait", "savez"),
        _vous("fait", "faites"),
    ),
}


def before(text: str, step: Step) -> str:
    """`text`, on its way into `step`, without what the step is known to misread."""
    return _apply(text, _BEFORE.get(step, ()))


def after(text: str, step: Step) -> str:
    """`text`, the outcome of `step`, without the faults known of it."""
    return _apply(text, _AFTER.get(step, ()))


def _apply(text: str, repairs: _Repairs) -> str:
    for pattern, replacement in repairs:
        text = pattern.sub(lambda found, new=replacement: _like(found[0], found.expand(new)), text)  # type: ignore[misc]
    return text


def _like(old: str, new: str) -> str:
    """`new` with a capital if `old` has one, and no blanks where a group was empty."""
    new = re.sub(r" +(?= |$)", "", new) if not old.endswith(" ") else new
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
