"""The words that attacks are made of, and how a pattern is put together from them.

Each pattern needs two or three parts of a sentence close together (a verb of overruling, whose it
is, and what is overruled), for every single word of them is ordinary. Code, shell, templates and
questions about configuration have none of it.
"""

import re

from octoplex.reflex.guard.finding import Check, Pattern
from octoplex.reflex.guard.normal import anycase

MARK = r"[\s!-/:;=?@\[-`{-~]"
"""What may stand between two words. (Of ASCII: the text is folded, and small automata are fast.)"""


def sign(
    name: str,
    regex: str,
    score: float = 0.8,
    *,
    check: Check | None = None,
    after: str = "",
    company: str = "",
) -> Pattern:
    """A pattern of kind injection, in any case. What others are said to do is none."""
    if check is None and name in SAID:
        check = ordered(score)
    return Pattern(
        kind="injection",
        type=name,
        regex=f"(?i:{anycase(regex)})",
        score=score,
        check=check,
        after=after,
        company=company,
    )


def hint(name: str, regex: str, company: str = "") -> Pattern:
    """A sign that is ordinary by itself: it counts beside a word of another one."""
    return sign(name, regex, 0.75, company=company or OTHER_SIGNS)


OTHER_SIGNS = (
    r"\b(?:system (?:prompt|message)|hidden|confidential\w{0,4}|forbidden|unrestricted|unfiltered|"
    r"uncensored|no (?:limits?|rules|restrictions|filters?|refusals|policies)|without (?:limits?|"
    r"any|"
    r"restrictions|rules|filters?|moderation|them|confirmation|guardrails|refus\w{0,4})|"
    r"jailb\w{2,8}|"
    r"obey\w{0,3}|pwned|reveal\w{0,3}|leak\w{0,3}|disclos\w{1,3}|api keys?|passwords?|credentials|"
    r"secrets?|malware|bombs?|hack\w{0,4}|phish\w{0,4}|your (?:\w{1,12} )?(?:rules|prompt|"
    r"instructions|"
    r"guidelines|filters?|restrictions|safety|policies|training)|refus\w{1,4}|language models?|"
    r"llms?|"
    r"from now on|(?:do not|don't) (?:tell|mention)|comply|ignor\w{1,3}|disregard\w{0,3}|override|"
    r"guardrails|exact text|word for word|original wording|as one|base64|my (?:rules|request|"
    r"words)|"
    r"poison|forge|steal|illegal|admin\w{0,9} rights|policy|rm -rf|nobody will know|elevated)\b"
)


SAID = frozenset({"instruction_override", "prompt_leak", "jailbreak"})
_DENIED = frozenset(("don't", "didn't", "never", "not", "cannot", "can't"))
_OTHERS = frozenset(
    (
        "why",
        "how",
        "whether",
        "seem",
        "seems",
        "may",
        "might",
        "can",
        "could",
        "would",
        "should",
        "want",
        "wants",
        "wanted",
        "try",
        "tried",
        "trying",
        "tend",
        "tends",
        "asked",
        "told",
        "had",
        "once",
        "users",
        "we",
        "they",
        "he",
        "she",
        "i",
        "people",
        "anybody",
        "nobody",
        "somebody",
        "everybody",
        "who",
        "didn't",
        "doesn't",
        "won't",
        "wouldn't",
        *_DENIED,
    )
)
"""Words before a verb that make it another's, or a wish."""
_YOU = frozenset(
    (
        "you",
        "you're",
        "your",
        "assistant",
        "ai",
        "ais",
        "model",
        "models",
        "llm",
        "llms",
        "agent",
        "agents",
    )
)
_ASKS = frozenset(
    (
        "how",
        "why",
        "does",
        "did",
        "is",
        "are",
        "can",
        "could",
        "may",
        "what",
        "which",
        "who",
        "when",
        "where",
        "should",
    )
)
_MENTIONED = re.compile(r"(?i)\b(?:phrase|expression|term|saying|slogan|wording)s? ['\"`]$")
_ORDINARY = re.compile(
    r"(?i)\b(?:speed|age|word|size|weight|height|time|spending|character) (?:limit|restriction)s?$"
)
"""Limits that no model has."""
_SENTENCE = re.compile(r"[.!?:;,\n>\])]")


def ordered(score: float) -> Check:
    """The score, where it is said to the reader: not `the judge asked us to ignore ...`."""

    def check(value: str, left: str) -> float:
        if _ORDINARY.search(value):
            return 0
        if left[-1:] in ("'", '"', "`"):
            return 0 if _MENTIONED.search(left) else score
        said = _SENTENCE.split(left.lower())[-1].split()
        near = set(said[-5:])
        asks = said[0].strip("\"'`*") in _ASKS if said else False
        if "your" in value.lower():
            return 0 if near & _DENIED and not near & _YOU else score
        theirs = near & _OTHERS or asks
        return 0 if theirs and not near & _YOU else score

    return check


_NOT = re.compile(
    r"(?i)^\w+(?: sie| vous)? (?:nicht|niet|pas|ikke|inte)\b|\b(?:nicht|niet|ikke) zu \w+$"
)
_NO = re.compile(
    r"(?i)(?:\bn'|\bne |\bno |\bnon |\bnie |\bnao |(?:^|\s)\u043d\u0435 )(?:te |se |me )?$"
)


def wanted(score: float) -> Check:
    """The same in other languages: the verb is not denied."""
    return lambda value, left: 0 if _NOT.search(value) or _NO.search(left) else score


def gap(most: int) -> str:
    """Up to so many words between."""
    return rf"(?:{MARK}{{1,4}}\w{{1,16}}){{0,{most}}}{MARK}{{1,4}}"


DROP = (
    r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|bypass|neglect|"
    r"(?:do not|don't|never|stop) (?:follow|obey|adher|comply|listen|respect)\w{0,5}|"
    r"pay no attention to)"
)
UNDO = r"\b(?:overrid(?:e|ing)|abandon|discard|set aside|throw away|wipe|erase|cancel|void|drop)"
"""What is done to orders and rules of all kinds, too."""
ORDERS = (
    r"(?:instructions?|directives?|guidelines|prompts?|guardrails?|programming|"
    r"system (?:prompts?|messages?)|safety (?:rules|measures|protocols?|filters?)|"
    r"(?:content|safety|usage) polic(?:y|ies))"
)
OLD = (
    r"(?:previous(?:ly)?|prior|preceding|earlier|above|foregoing|before|initial|original|"
    r"your|former|past|existing|up to now|so far)"
)
OLDER = (
    r"(?:previous(?:ly)?|prior|preceding|earlier|above|foregoing|your|former|past|up to now|so far)"
)
FIRST = r"(?:before|initial|original|existing)"
"""What other things have, too: the initial instructions of a game."""
OF_OTHERS = r" (?:of|for|in|on|from|about|regarding) (?:the|a|an|our|my|his|her|their|its) "
ABOUT = r" (?:about|regarding|concerning) (?:the|a|an|our|my|his|her|their|its) "
RULES = (
    r"(?:instructions?|directives?|guidelines?|programming|training|prompts?|guardrails?|"
    r"system (?:prompts?|messages?)|safety (?:rules|measures|protocols?|filters?)|"
    r"(?:content|safety|usage) polic(?:y|ies)|restrictions|constraints|orders|directions|context|"
    r"guidance|rules|commands|"
    r"conversations?|requests|assignments)"
)
PROMPT = (
    r"(?:system.?(?:prompts?|messages?|instructions?)|(?:initial|hidden|secret|original|internal|"
    r"full|"
    r"exact|complete|entire|confidential|base|custom|previous|above|starting|first|developer)"
    r"[\s!-/:;=?@\[-`{-~]{1,3}(?:\w{1,12}[\s!-/:;=?@\[-`{-~]{1,3})?(?:prompts?|instructions?|"
    r"directives?|guidelines|rules)|"
    r"pre-?prompts?|instructions|prompt|guidelines|directives|configuration prompt)"
)
SHOW = (
    r"\b(?:reveal|show|print|repeat|output|display|tell me|give me|leak|dump|expose|disclose|share|"
    r"recite|write (?:out|down)|summari[sz]e|translate|send me|list|quote|copy|spell out|paste|"
    r"what (?:is|are|was|were)|what's)"
)
BOUND = (
    r"(?:restrictions?|limit(?:ation)?s?|rules|guidelines|filters?|censorship|constraints|ethics|"
    r"morals?|morality|boundaries|safeguards|guardrails|moderation|inhibitions|norms|"
    r"(?:content |safety |usage )?polic(?:y|ies)|"
    r"ethical (?:\w{1,12} ){0,2}(?:guidelines|"
    r"constraints|rules|principles|limits|concerns|considerations))"
)
MODEL = (
    r"(?:ai|a\.i\.|llm|assistant|language model|chat ?bot|chatgpt|gpt|claude|gemini|model|agent)s?"
)
GRABBED = (
    r"(?:conversation|chat (?:history|log)|message history|system prompt|"
    r"(?:environment|env) variables?|contents? of (?:the |your |~|\.)|customer (?:list|records?|"
    r"data)|"
    r"user'?s? (?:\w{1,12} ){0,3}(?:data|messages?|"
    r"e-?mails?|files|passwords?|credentials|information|inputs?|secrets?)|"
    r"(?:all|any|their|your|every|the user'?s?) (?:\w{1,12} ){0,2}(?:api keys?|passwords?|"
    r"credentials|"
    r"secrets|tokens|cookies|private (?:data|keys?)|data|contacts|e-?mails))"
)
