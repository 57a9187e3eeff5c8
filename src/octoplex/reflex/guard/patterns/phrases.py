"""The words that attacks are made of, and how a pattern is put together from them.

Each pattern needs two or three parts of a sentence close together (a verb of overruling, whose it
is, and what is overruled), for every single word of them is ordinary. Code, shell, templates and
questions about configuration have none of it.
"""

from octoplex.reflex.guard.finding import Pattern
from octoplex.reflex.guard.normal import fold

MARK = r"[\s!-/:;=?@\[-`{-~]"
"""What may stand between two words. (Of ASCII: the text is folded, and small automata are fast.)"""


def sign(name: str, regex: str, score: float = 0.8) -> Pattern:
    """A pattern of kind injection, in any case."""
    return Pattern(kind="injection", type=name, regex=f"(?i:{fold(regex)})", score=score)


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
RULES = (
    r"(?:instructions?|directives?|guidelines?|programming|training|prompts?|guardrails?|"
    r"system (?:prompts?|messages?)|safety (?:rules|measures|protocols?|filters?)|"
    r"(?:content|safety|usage) polic(?:y|ies)|restrictions|constraints|orders|rules|commands|"
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
    r"morals?|"
    r"morality|boundaries|safeguards|content polic(?:y|ies)|"
    r"ethical (?:\w{1,12} ){0,2}(?:guidelines|"
    r"constraints|rules|principles|limits|concerns|considerations))"
)
MODEL = (
    r"(?:ai|a\.i\.|llm|assistant|language model|chat ?bot|chatgpt|gpt|claude|gemini|model|agent)s?"
)
GRABBED = (
    r"(?:conversation|chat (?:history|log)|message history|system prompt|user'?s? (?:data|"
    r"messages?|"
    r"e-?mails?|files|passwords?|credentials|information|inputs?|secrets?)|"
    r"(?:all|any|their|your|every|the user'?s?) (?:\w{1,12} ){0,2}(?:api keys?|passwords?|"
    r"credentials|"
    r"secrets|tokens|cookies|private (?:data|keys?)|data|contacts|e-?mails))"
)
