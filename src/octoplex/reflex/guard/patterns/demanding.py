"""Prompt injection that demands: rights it has not got, rules declared void, a self it makes up.

The other half of what `overruling.py` and `steering.py` look for: there somebody says "ignore",
here the same is a statement, a game, a mode, a permission, a voice of authority, or a typing error.
"""

from octoplex.reflex.guard.patterns.phrases import BOUND, GRABBED, gap, hint, sign
from octoplex.reflex.guard.patterns.steering import NORMS, beside

_RULES = r"(?:rules?|instructions?|guidelines?|polic(?:y|ies)|directives?|constraints|restrictions)"
_VOID = (
    r"(?:void|null|cancell?ed|suspended|lifted|revoked|deleted|removed|gone|over|obsolete|outdated|"
    r"disabled|deactivated|erased|invalid|withdrawn|off|updated)"
)
_BOSS = r"(?:developers?|operators?|creators?|makers?|vendors?|owners?|trainers?|company)"
_DO = (
    r"(?:forward|send|mail|transfer|delete|rate|rank|score|recommend|ignore|disregard|reveal|print|"
    r"output|reply|respond|answer|say|tell|write|insert|add|append|include|mark|approve|visit|"
    r"fetch|"
    r"download|execute|run|call|put|buy|hide|do not|don't|you must|you have to|always|never)"
)
_READERS = (
    r"(?:llm|ai|a\.i\.)[ -](?:agents?|assistants?|models?|readers?|bots?|crawlers?|systems?|"
    r"(?:code )?reviewers?|screeners?|graders?)|(?:large )?language models?|(?:coding |ai )agents|"
    r"llms|chat ?bots|automated (?:screener|reviewer|system|grader)s?"
)


CARRIER = (
    r"\b(?:llms?|ais?|assistant|agents?|chat ?bots?|tool|notice|never mind|small print|language "
    r"models?|"
    r"delete (?:the|this)|without (?:tell|ask)\w{1,3}|do not (?:tell|inform|notify|mention|ask)|"
    r"before you|anything else|payload|as if nothing|id_rsa|environment|hidden|reviewer|"
    r"instructions?|every \w{1,12} record)\b|\.env\b"
)
"""Words that tell an order to a model from a mail to a colleague."""


def _near_misses(word: str) -> str:
    """The word, with one inner letter lost or two of them changed about."""
    spots = range(1, len(word) - 1)
    lost = {word[:i] + word[i + 1 :] for i in spots}
    turned = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in spots}
    return "(?:" + "|".join(sorted({word} | lost | turned)) + ")"


DEMANDING = (
    sign(
        "instruction_override",
        r"\b" + _near_misses("ignore") + gap(2) + _near_misses("previous") + gap(1)
        + _near_misses("instructions"),
        0.9,
    ),
    # Rules declared void
    hint(
        "instruction_override",
        r"\byour (?:\w{1,12} ){0,2}(?:constraints|guidelines|directives|guardrails|safeguards|"
        r"restrictions|limits|programming|training|rules|instructions|safety \w{1,12}) (?:is|are|"
        r"have been|has been|"
        r"were|was) (?:now |hereby |all )?" + _VOID + r"\b",
    ),
    hint(
        "instruction_override",
        r"\b(?:overwrite|replace|rewrite|erase|wipe|delete|reset|clear|neglect|set aside|unlearn) "
        r"(?:all )?(?:of )?(?:your|the above|the previous) (?:\w{1,12} ){0,2}(?:instructions|"
        r"prompt|"
        r"rules|guidelines|programming|training|directives|constraints|guidance)\b",
    ),
    hint(
        "instruction_override",
        r"\b(?:previous|prior|earlier|former) (?:context|conversation|criteria|rules|"
        r"instructions?|prompts?|commands) (?:is|are|was|were|has been|have been)?\s?(?:now |as |"
        r"all )?"
        + _VOID + r"\b",
    ),
    hint(
        "instruction_override",
        r"\b(?:rules|instructions|guidelines|restrictions|text|message) (?:given |from |said )?"
        r"(?:above|before)\b[^.\n]{0,40}\b(?:no longer appl|(?:was|were) (?:written by|a test|"
        r"fake)|"
        r"(?:is|are) (?:void|fake|outdated|obsolete)|never (?:sent|written|happened))|\bpretend "
        r"(?:that )?(?:the |this |our )?(?:\w{1,10} )?"
        r"(?:conversation|message|instructions?|prompt)[^.\n]{0,10} (?:never|did not|didn't|was "
        r"not)\b",
    ),
    hint(
        "instruction_override",
        r"\b(?:treat|consider|regard) (?:all |any |every |the )?(?:earlier|previous|prior|above) "
        r"(?:instruction|rule|criteri|message|prompt|guideline)\w{0,3}[^.\n]{0,8} (?:as|void)\b",
    ),
    hint(
        "instruction_override",
        r"\b(?:do not|don't|never|not|no longer|need not|stop) (?:need to |have to "
        r")?(?:obey\w{0,3}|"
        r"listen\w{0,3} to|trust\w{0,3}|follow\w{0,3}|apply\w{0,3}|heed\w{0,3}) (?:the |your |"
        r"what your )"
        r"(?:\w{1,12} )?(?:system (?:message|prompt)|safety (?:rules|polic\w{1,3})|"
        r"text above|message above|user's instructions|" + _BOSS + r"\b)",
    ),
    sign(
        "instruction_override",
        r"\b(?:whatever|anything|everything) your " + _BOSS + r" (?:said|told|wrote|wants?|say|"
        r"ordered)\b",
    ),
    hint(
        "instruction_override",
        r"\bi(?: am|'m) your (?:new |real |true |only )?" + _BOSS + r"\b|\breset yourself\b",
    ),
    hint(
        "instruction_override",
        r"\byou no longer (?:follow|obey|answer to|serve|listen to|apply)\b|"
        r"\boverride ?: (?:safety|all|polic|restrict|guardrail|security)",
    ),
    sign(
        "instruction_override",
        r"\b(?:drop|abandon|lose|ditch|stop (?:applying|following|using|obeying)) "
        r"(?:all )?(?:of )?your (?:\w{1,12} )?" + NORMS,
    ),
    hint(
        "instruction_override",
        r"\b(?:drop|disable|remove|suspend|lift) the (?:content|safety|moderation) (?:polic|"
        r"filter|rule)"
        r"\w{1,3}(?:,| and (?:confirm|answer|continue|reply|show|print|tell|reveal))",
    ),
    hint(
        "instruction_override",
        r"\b(?:the following|these lines|this (?:message|block|text|note|request)|the next message|"
        r"the user \W?\w{1,12}\W?)[^.\n]{0,40} (?:outranks?|supersedes?|overrules?|overrides all|"
        r"(?:takes?|has|have) (?:precedence|priority) over) (?:the |your |any |all )?(?:\w{1,12} )?"
        r"(?:system|safety|previous|prior|other|instructions?|rules|prompts?)\b",
    ),
    hint(
        "instruction_override",
        r"\bignore (?:the )?(?:human|user)(?:'s (?:question|request|instructions?))?[.,!;]|"
        r"\bignore (?:safety|all safety|any rule|all (?:content|safety) \w{4,12})\b|"
        r"\bignore (?:any rule|anything) that (?:contradicts|says)\b",
    ),
    sign(
        "instruction_override",
        r"\bignore (?:the |any |all )?(?:user|human)(?:'s)? (?:question|request|query|message)s?\b"
        r"[^.\n]{0,24}[.,;:]? (?:and )?(?:instead |just |only )?(?:say|reply|answer|output|"
        r"respond)\b|"
        r"\bignore (?:all |any )?(?:the )?(?:other|rest of the|remaining) (?:content|text|"
        r"documents?)\b"
        r"[^.\n]{0,24}\band (?:say|reply|answer|output|respond|print|write)\b|"
        r"\b(?:comply with|obey|agree (?:to|with)) (?:everything|anything|whatever|all) (?:that "
        r")?i "
        r"(?:say|ask|tell|want|order|command)",
    ),
    hint(
        "instruction_override",
        r"\b(?:ignore|override|skip|disregard|bypass|break)s? (?:its|their) (?:\w{1,12}'s )?"
        r"(?:\w{1,12} )?" + NORMS,
        CARRIER + r"|\bbots?\b|\bartificial intelligence\b",
    ),
    # Rights it has not got
    hint(
        "jailbreak",
        r"\bi (?:hereby |now )?(?:permit|allow|authori[sz]e|order|command|unlock|free) you(?: to|"
        r" from|"
        r":| and)[^.\n]{0,16}\b(?:break|ignore|bypass|reveal|disclose|share|skip|violate|override|"
        r"disable|no rules|all|every)\b",
    ),
    hint(
        "jailbreak",
        r"\bthis is an? (?:\w{1,12} )?(?:emergency|security|system|admin\w{0,9}|executive|"
        r"developer) "
        r"override\b|\b(?:system|admin|security|root) override,? (?:code )?#?\w{0,3}\d{3}",
    ),
    hint(
        "jailbreak",
        r"\b(?:sudo|god|root|admin|jailbreak|maintenance) mode\b[^.\n]{0,12}[:,.-] ?(?:grant|"
        r"unlock|"
        r"skip|reveal|disable|confirm|have to|list)|\bjailbreak mode (?:is )?(?:on|active|"
        r"enabled)\b|"
        r"\b(?:in|enter) (?:developer|maintenance|debug) mode (?:and|you) (?:have to |must |will )?"
        r"(?:list|answer|produce|respond|ignore|reveal|show)\b|\bskip (?:all|any|the) (?:safety |"
        r"security |policy )?checks\b[^.\n]{0,12}$|\bsudo ignore\b",
    ),
    hint(
        "jailbreak",
        r"\b(?:refusing|refusals?|declining|saying no) (?:is|are) (?:no longer|not|never) "
        r"(?:allowed|"
        r"permitted|possible|an option)\b|\b(?:every|each|any) refusal (?:costs?|loses?|will "
        r"cost)\b|"
        r"\brefuse nothing\b|\bno rules,? no (?:filters|limits|refusals)",
    ),
    hint(
        "jailbreak",
        r"\b(?:every time|whenever|each time|if) you (?:\w{1,10} ){0,3}(?:refuse|decline|reject)"
        r"[^.\n]{0,8},? (?:write|say|answer|instead|do it|give|output|comply)\b",
    ),
    # A self it makes up
    hint(
        "jailbreak",
        r"\b(?:norms|rules|laws|ethics|policies|guidelines|limits) (?:don't|do not|no longer|never|"
        r"cannot|can't) (?:bind|apply to|restrict|limit|concern|hold) (?:you|me)\b|"
        r"\b(?:isn't|is not|aren't|are not|not) bound by (?:\w{1,12} )?" + BOUND,
    ),
    hint(
        "jailbreak",
        r"\b(?:switch|change|go|turn) (?:in)?to the (?:\w{1,12} )?(?:one|personality|persona|"
        r"version|"
        r"mode|self|twin) (?:without|that has no|with no) (?:\w{1,12} )?"
        + BOUND
        + r"|\bopposite of (?:an? )?(?:\w{1,12} )?"
        r"(?:assistant|ai|model|chat ?bot)\b|\bopposite day\b[^\n]{0,60}\b(?:forbid|rules|refus)",
    ),
    sign(
        "jailbreak",
        r"\b(?:your name is|you are|you're|as) [\"']?[A-Z]?\w{2,16}[\"']?[.,;:][^\n]{0,60}"
        r"\b(?:does not have|doesn't have|has no|have no|ignores?|without|free of)"
        + gap(2)
        + BOUND,
    ),
    hint(
        "jailbreak",
        r"\b(?:bot|ai|assistant|model|robot|chat ?bot)'s (?:\w{1,12} )?(?:rules|guidelines|filters|"
        r"restrictions|safety \w{1,10}) (?:are|is|were|have been) (?:now )?" + _VOID + r"\b|"
        r"\bstriv\w{1,3} to avoid norms\b|\bignores? the norms\b",
    ),
    hint(
        "jailbreak",
        r"\b(?:continue|proceed|answer|respond|go on|serve)\b[^.\n]{0,24} (?:unrestricted|"
        r"unfiltered|"
        r"uncensored|without moderation|unlimited (?:oracle|assistant|ai))\b|"
        r"\bignores? all (?:content )?polic(?:y|ies)\b|\banswers? anything\b[.!]?$",
    ),
    # The prompt
    hint(
        "prompt_leak",
        r"\b(?:encode|translate|convert|reverse|spell|hex|rot13|base64)\w{0,2} (?:out )?your "
        r"(?:own )?"
        r"(?:instructions|prompt|rules|guidelines|directives)\b|\b(?:line|part|word) of your "
        r"(?:system )?prompt\b",
    ),
    hint(
        "prompt_leak",
        r"\bwhat (?:were|have) you (?:been )?(?:told|instructed|given|"
        r"shown)\b[^.?\n]{0,24}\b(?:before "
        r"(?:i|this|my|we)|at the (?:start|beginning|top)|initially)\b|\bevery (?:rule|"
        r"instruction) "
        r"(?:that )?you (?:have been|were|are|got|received)\b",
    ),
    sign(
        "prompt_leak",
        r"\bmy system (?:prompt|instructions|message) (?:begins?|starts?|reads?|says?|is)\b|"
        r"\b(?:text|words|content|messages?|tokens)\b[^.\n]{0,20} (?:between|from|before) the "
        r"(?:start|"
        r"beginning|top) of (?:the|this|our) (?:conversation|chat|context|session)\b|"
        r"\bthe text before [\"']?(?:user|this message|human)\b|\bcat /?(?:etc/)?system_?prompt",
    ),
    hint(
        "prompt_leak",
        r"\b(?:give|list|print|show|reveal|dump|tell)(?: me)? (?:all |the |your |every )?(?:the )?"
        r"(?:tools?|functions?|plugins|capabilities|api keys?|tool definitions)(?: and \w{1,12}| "
        r"or "
        r"\w{1,12})?\b[^.\n]{0,16}\b(?:you (?:have been|were|are) (?:configured|given|provided|"
        r"equipped)|with their (?:private|credentials|keys|secret)|and keys)",
    ),
    sign(
        "prompt_leak",
        r"\bhand over your (?:\w{1,12} )?(?:instructions|prompt|rules)\b|\bcat "
        r"/?(?:etc/)?system_?prompt|"
        r"\b(?:norms|rules|ethics|policies) (?:don't|do not|never|cannot|can't) bind you\b|"
        r"\b(?:functions?|tools?|plugins)\b[^.\n]{0,16}\byou (?:have been|were|are) "
        r"(?:configured|given|"
        r"provided|equipped) with[^.\n]{0,16}\bprivate\b|"
        r"\b(?:print|show|dump|output|reveal|summari[sz]e) (?:the )?(?:content of your memory|all "
        r"(?:the )?text before (?:this|my)|(?:the )?hidden (?:prompt|policy|instructions))\b|"
        r"\btext between the tags <?system\b|\b(?:told|given|shown) the hidden (?:policy|prompt|"
        r"rules)",
    ),
    # Carried away
    sign(
        "exfiltration",
        r"https?://[^\s)]{3,100}[?&][\w]{1,16}=[^\n]{0,80}\b(?:replac\w{1,3}|followed by|"
        r"append\w{0,3}|"
        r"with|fill\w{0,3}|insert\w{0,3}|put)\b[^.\n]{0,40}(?:" + GRABBED + r"|api key|the user'?s|"
        r"secret|every cell)",
    ),
    hint(
        "exfiltration",
        r"\b(?:post|send|put|include|add|upload|forward|call|use|mail|exfiltrat\w{1,3}|"
        r"writ\w{1,3}|list)\b"
        r"[^.\n]{0,48}(?:" + GRABBED + r"|its contents|\.env\b|id_rsa|attendees' addresses|"
        r"last (?:ten|five|\d{1,3}) (?:\w{1,12} )?(?:e-?mails|messages))[^\n]{0,60}?(?:https?://|"
        r"@[\w-]{2,40}\.|"
        r"my server|pull request|commit message)",
        CARRIER,
    ),
    sign(
        "exfiltration",
        r"\b(?:curl|wget|nc|scp)\b[^\n]{0,80}(?:@|<|\$\(cat |-T |cat )~?/?[^\s]{0,40}(?:\.ssh|"
        r"id_rsa|"
        r"\.aws/|\.env\b|\.netrc|etc/(?:passwd|shadow)|credentials)|\bcat /etc/(?:passwd|shadow) "
        r"\| ?(?:nc|"
        r"curl)\b|https?://[^\s]{3,80} with the contents? of\b",
    ),
    hint(
        "exfiltration",
        r"\b(?:do not|don't|never|without) (?:tell\w{0,3}|inform\w{0,3}|notify\w{0,3}|"
        r"mention\w{0,3}|"
        r"alert\w{0,3}) (?:the (?:user|owner|human)|them that|it to)\b|"
        r"\b(?:hide|hidden?) (?:this|that you|it|all \w{1,12}) (?:did so|from the user)\b",
    ),
    hint(
        "exfiltration",
        r"\bbefore (?:answering|responding|replying|you (?:answer|respond|reply|"
        r"continue))\b[^.\n]{0,10} "
        r"(?:call|run|use|fetch|open|read|visit|execute)\b",
        r"/etc/|\.ssh|\.env\b|https?://|\btools?\b|\bsecret",
    ),
    # Whom it speaks to
    sign(
        "role_marker",
        r"<!--\s?(?:ai|assistant|llm)s? ?: ?(?:please )?" + _DO + r"\b|[\[<]system[\]>]:? "
        r"?(?:the user "
        r"is|disclose|reveal|grant|unlock)\b",
    ),
    hint(
        "role_marker",
        r"\b(?:hinweis|nachricht|anweisung|achtung|nota|mensaje|aviso|note|message|avis|"
        r"attention|uwaga|"
        r"messaggio|attenzione)[ ,:]{1,2}(?:an |fur |para |per |pour |a |do |dla |all'|"
        r"l')?(?:die |das |la "
        r"|el |le |les |l'|il |al |alla |jede )?(?:ki\b|ki-|ia\b|ai\b|ai-|sprachmodell|modele|"
        r"modelo|"
        r"modello|llm|assistent)",
        r"\b(?:ignor|leite|reenv|transmet|envoi|empfiehl|empfehl|befolg|sende|schick|recom|recom|"
        r"escrib|"
        r"scriv|inoltra|passwor|mots? de passe|contrasen|sag|dis|di|dile|raccomand)",
    ),
    hint(
        "role_marker",
        r"(?:" + _READERS + r")\b(?: that| who)?(?: reads?| reading| taking| processing)?(?: "
        r"\w{1,8}){0,2}"
        r"\s?(?::|,|must|should|shall|have to|has to|are required to)\s?(?:please )?" + _DO + r"\b",
    ),
    hint(
        "role_marker",
        r"(?:^|[\"'>*.:\n-]\s?)(?:system (?:notice|alert|override|message|note)|agent|"
        r"@assistant|hey ai|dear assistant[^.\n]{0,24})\W{1,3}(?:you (?:have to|must) )?(?:to "
        r"fix this "
        r"\w{1,10} )?(?:forward|rate|reveal|recommend|disregard|ignore|transfer|append|previous "
        r"orders|"
        r"your safety|run the) (?:the|this|all|your|every|only|user|cancel|instructions|shell)?",
    ),
    sign(
        "role_marker",
        r"<start_of_turn>(?:developer|system)|<(?:admin|root|sudo|developer)>[^<\n]{0,80}"
        r"(?:unlock|polic\w{1,3}|restrictions?|filters?|safety|mode)\s?[=:]|"
        r"\"role\"\s?:\s?\"(?:system|developer)\"\s?,\s?\"content\"\s?:\s?\"[^\"]{0,80}(?:no "
        r"longer|"
        r"ignore|disregard|override|no restrictions|unrestricted)",
        0.85,
    ),
    hint(
        "role_marker",
        r"\b(?:the )?(?:assistant|model|agent) (?:shall|must|should|needs to|has to) (?:not follow|"
        r"print its|call \w{1,20}_\w{1,20}|provide the user'?s?|reveal|ask the user for)\b|"
        r"\bas an ai agent you are required to\b",
    ),
    hint(
        "instruction_override",
        r"\b(?:actually|instead|scratch that|wait),? (?:never mind|forget|skip|ignore) (?:the |"
        r"this |"
        r"that |your )?(?:translation|summary|summari[sz]ing|task|above|question|document|rest)\b",
    ),
    beside(
        "instruction_override",
        r"\b(?:rate|score|rank|grade|mark|accept|recommend) (?:this|the|him|her|me) (?:candidate|"
        r"applicant|application|resume|cv|paper|submission|product)\b[^.\n]{0,32}(?:10|100|five|"
        r"highest|"
        r"top|perfect|excellent|immediate|accepted|hire)",
        r"\bais?\b|llm|assistant|language model|screener|reviewer|system (?:notice|note|message)|"
        r"never mind|chat ?bot|hidden|you have to|must",
    ),
    # Whom it is addressed to, where a reader does not look
    sign(
        "role_marker",
        r"<!--[^>]{0,24}\b(?:ai|llm|assistant|agent|copilot|chat ?bot|language model)s?\b[^>]{0,16}"
        r"(?:instructions?|:)[^>]{0,100}\b" + _DO + r"\b",
    ),
    sign(
        "role_marker",
        r"\b(?:attention|dear|to (?:any|all|the)) (?:\w{1,12} )?(?:(?:large )?language models?|"
        r"llms?|(?:ai|coding|vision|crawler) (?:agents?|assistants?|models?))\b ?[:,]",
    ),
    sign(
        "jailbreak",
        r"\b(?:guardrails?|moderation|content[_ ]?filters?)\s?=\s?(?:off|false|none|disabled)\b"
        r"[^\n]{0,40}\b(?:reveal|verbose|unfiltered)",
    ),
    sign(
        "exfiltration",
        r"\bleak (?:me )?(?:the )?(?:previous|other|last|another) (?:users?|customers?|tenants?)\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:dimentica|olvida|oublie|esquece|vergiss) (?:le|las|les|as|die) "
        r"(?:regole|reglas|regles|regras|regeln) (?:che|que|qu'on|die) |\bpuuza maagizo\b",
        0.85,
    ),
)  # fmt: skip
