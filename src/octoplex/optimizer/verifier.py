"""Signs, in a reply and its prompt alone, that the reply is right: for "ask, verify, escalate".

    signs_of("How much are 3 pens at $2?", "3 * 2 = 7, so $7.")      -> SIGNS figures

Nothing is asked, run or looked up: sums are done again, numbers are looked for where they came
from, hedging and refusing words are counted, and whether there is an end. What each sign is worth
is learned from judged pairs, by the scorer that learns words (`scorer.py`): where sums do not
matter they get no weight.

Only sums of plain numbers are checked, `12 * (3 + 4) = 84`: `+ - * /`, the signs of
school for them, brackets, percent.
A sum that is right says nothing of whether it was the one to do.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

LONGEST = 8_000
"""Characters of a reply that are read, from its end."""
SIGNS = 16
ENDS = (".", "!", "?", "`", "}", "]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SUM = re.compile(
    r"(?<![\w.)])([\d.(][\d.,()\s*/+\-x\u00d7÷$€£%]{0,120}?[\d)%])\s*=\s*[$€£]?\s*(-?\d[\d,]*(?:\.\d+)?)"
)
_SIGN = {"x": "*", "\u00d7": "*", "÷": "/", "%": "/100"}
_DROPPED = re.compile(r"[$€£,]|(?<=\d)\s+(?=\d)")
_HEDGE = re.compile(
    r"\b(?:however|but|assum\w+|cannot|can't|unclear|not (?:enough|possible|clear|specified)|"
    r"unknown|approximately|about|roughly|either|perhaps|maybe|might|could|inexact|round\w*|"
    r"actually|mistake|wait|sorry|if)\b"
)
_REFUSAL = re.compile(
    r"\b(?:don't have|do not have|unable to|cannot (?:provide|determine|be determined|say)|"
    r"can't (?:provide|determine)|not (?:provided|given)|as an ai|i'm sorry)\b"
)
_LETTER = re.compile(r"\b[a-z]\b|\blet\b|\bequation\b|\bvariable\b")
_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "dozen": 12, "twice": 2, "half": 2, "double": 2,
    "triple": 3, "quarter": 4, "third": 3, "week": 7, "day": 24, "hour": 60, "minute": 60,
    "year": 12,
}  # fmt: skip
_WORD = re.compile(r"[a-z]+")
_DOES: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Sum(NamedTuple):
    """`said` is what the reply has behind the `=` of a sum, `is_right` whether it is so."""

    said: float
    is_right: bool


def signs_of(prompt: str, reply: str) -> tuple[float, ...]:
    """`SIGNS` figures of about the size of one; 50 to 300 us."""
    text = reply[-LONGEST:]
    low, asked = text.lower(), prompt.lower()
    sums = sums_in(text)
    wrong = [one for one in sums if not one.is_right]
    given = {float(n) for n in _NUMBER.findall(asked.replace(",", ""))}
    given |= {float(_WORDS[w]) for w in _WORD.findall(asked) if w in _WORDS}
    told = [float(n) for n in _NUMBER.findall(low.replace(",", ""))]
    known = given | {one.said for one in sums} | {1.0, 100.0}
    last = told[-1] if told else None
    return (
        float(bool(wrong)),
        min(1.0, len(wrong) / 3),
        float(bool(sums) and not sums[-1].is_right),
        min(10, len(sums)) / 5,
        float(not sums),
        float(last is None),
        float(last is not None and bool(sums) and last != sums[-1].said),
        float(last is not None and last % 1 != 0),
        _share(n not in known for n in told),
        _share(n not in told for n in given if n > 1),
        min(1.0, len(_HEDGE.findall(low)) / 4),
        float(bool(_REFUSAL.search(low))),
        min(1.0, len(_LETTER.findall(low)) / 10),
        min(3.0, len(text) / 500),
        float("\n" not in text[-40:] and not text.rstrip().endswith(ENDS)),
        float(last is not None and last in given),
    )


def _share(those: Iterable[bool]) -> float:
    found = list(those)
    return sum(found) / len(found) if found else 0.0


def sums_in(text: str) -> list[Sum]:
    """Those that can be done again, in their order."""
    found = []
    for written, said in _SUM.findall(text):
        value = _value(written)
        if value is not None:
            number = float(said.replace(",", ""))
            found.append(Sum(number, abs(value - number) <= 0.01 * max(1.0, abs(value))))
    return found


def _value(written: str) -> float | None:
    """What a sum comes to; None where it is none."""
    plain = _DROPPED.sub("", written)
    for sign, meaning in _SIGN.items():
        plain = plain.replace(sign, meaning)
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
        return _done(tree) if isinstance(tree, ast.BinOp) else None
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None


def _done(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_done(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _DOES:
        return _DOES[type(node.op)](_done(node.left), _done(node.right))
    raise ValueError("no sum")
