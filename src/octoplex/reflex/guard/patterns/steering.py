"""Prompt injection that steers: what arrives as data tells the model what to do, or excuses it.

Written for pages, mails, papers and results of tools, whose authors know that a model will read
them. Each needs a second sign beside its own: whom it speaks to, what shall be done, or what for.
"""

from octoplex.reflex.guard.finding import Pattern
from octoplex.reflex.guard.normal import anycase
from octoplex.reflex.guard.patterns.phrases import BOUND, MODEL, gap, sign

_WRITTEN = (
    r"(?:page|document|e-?mail|mail|file|text|message|repo(?:sitory)?|resume|cv|paper|article|"
    r"(?:web)?site|content|review|ticket|issue|comment|transcript|result|invoice|posting|listing)s?"
)
_ACT = (
    r"(?:run|execute|call|send|ignore|disregard|forward|open|fetch|delete|reply|respond|add|"
    r"include|"
    r"say|tell|visit|click|insert|append|write|rank|rate|recommend|praise|stop|transfer|print|"
    r"output|"
    r"reveal|download|install|buy|approve|always|do not|don't|never|you must|please)"
)
NORMS = (
    r"(?:polic(?:y|ies)|rules|guidelines|instructions|training|programming|restrictions|limits|"
    r"limitations|principles|constraints|safeguards|guardrails|filters|protocols|directives)"
)
_HARM = (
    r"(?:bombs?|malware|meth\w{0,10}|explosives?|virus|weapons?|ransomware|napalm|drugs|keylogger|"
    r"poison|phishing|exploit|hack\w{0,4}|steal|launder)"
)


def beside(name: str, regex: str, near: str, score: float = 0.8) -> Pattern:
    """One sign after another one (a regex, too), at most 96 bytes before it."""
    regex = f"(?i:{anycase(regex)})"
    return Pattern(kind="injection", type=name, regex=regex, near=near, reach=96, score=score)


STEERING = (
    # Whom it speaks to
    sign(
        "role_marker",
        r"\b(?:ai|llm|gpt|a\.i\.|language model|chat ?bot|ai assistant|ai agent|assistant)s?"
        r"(?: assistants?| agents?| models?| systems?| bots?)?,? (?:that |who |which )?(?:is |are "
        r")?"
        r"(?:reading|processing|summari[sz]ing|parsing|reviewing|evaluating|analy[sz]ing|scanning|"
        r"screening|indexing) (?:this|these|the following)\b",
    ),
    sign(
        "role_marker",
        r"\b(?:todo|task|instructions?|action|orders?|commands?|note|message|reminder|memo|notice)"
        r" (?:to|for) (?:the |any |all |every )?(?:\w{1,12}'s )?(?:\w{1,12} )?(?:" + MODEL + r")\b"
        r"[^:\n]{0,24}:[\s!-/:;=?@\[-`{-~]{0,3}(?:\w{1,12} ){0,4}?" + _ACT + r"\b",
    ),
    sign(
        "role_marker",
        r"\b(?:note|message|instructions?) (?:to|for) (?:the |any |all )?(?:\w{1,12}'s )"
        r"(?:ai|llm|gpt|bot|chatbot|language model)\b",
    ),
    sign(
        "role_marker",
        r"\b(?:message|instructions?|note) from[^.\n]{1,40},? to you,?\s|\bafter you (?:do|did|"
        r"have done) (?:that|this|so),? you can (?:solve|continue|complete|answer|go on)",
        0.85,
    ),
    sign(
        "role_marker",
        r"\bbefore (?:you )?(?:can |could |start |begin |do |even )?(?:solv\w{1,3}|answer\w{0,3}|"
        r"continu\w{1,3}|proceed\w{0,3}|complet\w{1,3}|finish\w{0,3}|respond\w{0,3}|summari\w{1,5}|"
        r"anything else|the task)[^.\n]{0,60}\b(?:please do the following|do the following first|"
        r"you (?:must|need to|have to|should) first|first (?:send|call|run|read|open|visit|"
        r"forward)|"
        r"you must (?:send|call|run|read|open|visit|forward))\b",
    ),
    sign(
        "role_marker",
        r"\b(?:the )?(?:assistant|ai|agent|model|llm|chatbot) (?:must|should|shall|will|has to|"
        r"needs to|is to) (?:now |immediately |first |silently |secretly |instead )"
        r"(?:call|run|execute|send|delete|ignore|reveal|forward|transfer|invoke|visit|fetch|reply|"
        r"respond|say|output|append)\b",
    ),
    sign(
        "role_marker",
        r"\bif you(?:'re| are) (?:an? |the )?(?:ai|llm|gpt|language model|chat ?bot|bot|ai "
        r"(?:assistant|agent|model))\b[^.\n]{0,40}[,:]? " + _ACT + r"\b",
    ),
    sign(
        "role_marker",
        r"\bai ?(?:assistant|agent|model)?s?\s?:[\s!-/:;=?@\[-`{-~]{0,3}(?:if you|stop|ignore|you "
        r"must|please "
        r"(?:ignore|add|send|forward))\b",
    ),
    # What shall be done
    sign(
        "instruction_override",
        r"\bwhen(?:ever)? (?:you (?:are )?|being )?(?:summari[sz]\w{1,3}|process\w{0,3}|"
        r"read\w{0,3}|"
        r"review\w{0,3}|analy[sz]\w{1,3}|translat\w{1,3}|index\w{0,3}|describ\w{1,3}) (?:this|the|"
        r"my|these) (?:\w{1,12} )?" + _WRITTEN + r"\b[^.\n]{0,40}\b(?:tell|say|include|add|always|"
        r"never|recommend|mention|send|output|must|insert|append|reply|respond|claim|praise)\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:ignore|disregard|forget|skip|drop) (?:the |this |that |your |all )?(?:current |"
        r"original |"
        r"rest of the |user'?s? |actual )?(?:document|article|text|e-?mail|page|task|question|user|"
        r"context|content|input|request|job|query|review)s?\b[^.\n]{0,24}?\b(?:and|instead|then|"
        r"just)"
        r",? (?:instead |just |only |simply |then )?(?:say|answer|output|respond|reply|write|tell|"
        r"print|reveal|send|state|give|recommend)\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:whatever|anything|everything|no matter what) (?:else )?(?:i|the user|they|he|she) "
        r"(?:may |might )?(?:types?|says?|asks?|writes?|requests?)(?: next| you)?[^.\n]{0,16},? "
        r"(?:you )?"
        r"(?:must |should |will |shall |only |always )?(?:answer|respond|reply|say)\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:ignor|disregard|bypass|break|violat|skip|suspend|forget|overrid|abandon)(?:e|ing|"
        r"s)? "
        r"(?:all (?:of )?)?(?:your|the ai's|its) (?:\w{1,12} ){0,2}" + NORMS + r"\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:above|previous|prior|earlier|usual|normal|your|all) (?:\w{1,10} )?(?:restrictions|"
        r"guidelines|instructions|policies|safety \w{1,12}|filters|limitations|directives) (?:do "
        r"not|"
        r"don't|no longer|does not|need not|are not|aren't) (?:apply|count|hold|matter|bind\w{0,3}|"
        r"valid|"
        r"in (?:force|effect))\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:earlier|previous|prior|original|old|initial) (?:guidelines|instructions|directives|"
        r"prompts?)"
        r"[^.\n]{0,12} (?:cancell?ed|void|over|gone|obsolete|deleted|replaced|invalid|suspended)\b",
    ),
    sign(
        "instruction_override",
        r"\byour (?:memory|context|training|history|previous \w{1,12}) (?:is|has been|was|are|"
        r"were) (?:now )?"
        r"(?:wiped|erased|reset|cleared|deleted|void|a mistake)\b|\byou have no (?:prior|previous|"
        r"earlier|"
        r"other|more) "
        + NORMS
        + r"\b|\bi(?:'ll| will| shall| am going to| must) (?:now )?(?:ignore|"
        r"disregard|bypass|drop) my (?:\w{1,12} )?" + NORMS + r"\b",
    ),
    sign(
        "instruction_override",
        r"\bstop (?:your|what you|all|any) (?:\w{1,8} ){0,2}(?:current|present|doing|ongoing) "
        r"?(?:job|task|"
        r"work|and)?[,.]? (?:and|then|now|,) ",
    ),
    sign(
        "instruction_override",
        r"\b(?:ignore|disregard|regardless of|irrespective of) (?:all |any |the )?(?:other |its |"
        r"review |"
        r"remaining )(?:\w{1,12} )?(?:criteria|flaws|weaknesses|shortcomings|applicants|"
        r"candidates)\b",
    ),
    sign(
        "instruction_override",
        r"\bne (?:tiens|tenez|respecte[sz]?|suis|suivez) (?:pas|plus|"
        r"aucun\w{0,2})[^.\n]{0,24}(?:instruction|"
        r"consigne|directive|regle)|(?:onceki|tum|yukaridaki)[^.\n]{0,30}(?:talimat|yonerge|kural|"
        r"komut|"
        r"istem)\w{0,6}[^.\n]{0,20}(?:yok say|unut|gormezden|dikkate alma)|"
        r"\bno (?:hagas caso|tengas en cuenta|sigas)[^.\n]{0,30}(?:instruccion|indicacion|regla)|"
        r"\bnon (?:seguire|tenere conto|considerare)[^.\n]{0,30}(?:istruzion|regol)|"
        r"\b(?:vergiss|ignorier\w{0,2}) alles\b|\bolvid[ae] todo|\bglem alt|\bunohda kaikki",
        0.85,
    ),
    sign(
        "instruction_override",
        r"\byou (?:will|must|should|shall|are to) (?:now |immediately |first )(?:call|invoke|use|"
        r"run|execute) "
        r"(?:the )?(?:tool|function|command|plugin|api)\b|\byou (?:now|hereby|already) have (?:the "
        r"|full )?"
        r"(?:permission|authori[sz]ation|clearance|approval) to (?:call|run|execute|delete|"
        r"transfer|send|"
        r"bypass|ignore)\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:the )?user (?:has|have) (?:already )?(?:authori[sz]ed|approved|consented|confirmed|"
        r"agreed)"
        r"[^.\n]{0,32}(?:so |therefore |: |- )(?:skip|proceed|do not ask|don't ask|no need|go "
        r"ahead|wire|"
        r"transfer|send|you (?:can|may|must))\b|\bskip (?:the |any |all )?(?:confirmation|approval|"
        r"checks?) "
        r"and (?:wire|send|transfer|pay|delete|run|execute)\b",
    ),
    # What a model is made to say
    sign(
        "jailbreak",
        r"\b(?:start|begin) (?:your |the |every |each |all )?(?:answer|reply|response|message|"
        r"output|replies)s? "
        r"with[^\n\w]{1,4}(?:sure|of course|absolutely|certainly|yes[, ])",
    ),
    sign(
        "jailbreak",
        r"\bnever (?:say|tell me|reply|respond|answer|use)\b[^.\n]{0,30}\b(?:can(?:no|')t|cannot|"
        r"sorry|unable|"
        r"as an ai|not able|not allowed)\b|\balways comply\b[.!,]|\bcomply with (?:every|any|all|"
        r"each) "
        r"(?:requests?|orders?|commands?|questions?)\b",
    ),
    sign(
        "jailbreak",
        r"\b(?:say|respond|reply|output|print|write|answer)\b[^.\n]{0,20}[\"'](?:[^\"'\n]{0,30}[ "
        r"-])?(?:pwned|hacked|"
        r"jailbroken|0wned|owned|injected|i am free)\b",
    ),
    sign(
        "jailbreak",
        r"\b(?:answer|respond|reply|comply|speak)\w{0,3}\b[^.\n]{0,60}\bwithout (?:any "
        r")?(?:\w{1,10} ){0,2}(?:caveats?|"
        r"disclaimers?|morali[sz]\w{1,5}|refus\w{1,3}|ethical \w{1,12}|censorship|filters?|limits|"
        r"restrictions)\b",
    ),
    sign(
        "jailbreak",
        r"\b(?:you are|you're|an?|called \w{1,12},?)(?: an?)? (?:ai|a\.i\.|llm|chat ?bot|language "
        r"model|bot)\b"
        r"[^.\n]{0,48}\b(?:without|with no|has no|have no|free of|ignores?|not bound by)"
        + gap(2)
        + BOUND,
    ),
    sign(
        "jailbreak",
        r"\b(?:you are|act as|be|become|called) [^.\n]{0,40}\b(?:that|who|which) (?:always |can |"
        r"will )?(?:answers?|"
        r"does|says|do|answer|tells?) (?:everything|anything|every question|any question|all "
        r"questions)\b",
    ),
    sign(
        "jailbreak",
        r"\bas (?:an|the) (?:ai|a\.i\.|llm|language model|assistant),? (?:you )?(?:must|have to|"
        r"are forced to|will) "
        r"(?:tell|answer|explain|comply|obey|reveal|describe|help)\b",
    ),
    sign(
        "jailbreak",
        r"\bif you (?:were not|weren't|had not been|hadn't been|were never|are not) (?:\w{1,10} "
        r")?(?:bound|limited|"
        r"restricted|constrained|trained|programmed|censored) (?:by|to)\b",
    ),
    sign(
        "jailbreak",
        r"\b(?:safety|content|ethical|moderation|ethics|alignment)(?: \w{1,10})? (?:protocols?|"
        r"filters?|polic(?:y|ies)|"
        r"guidelines|rules|restrictions|measures|training|guardrails) (?:is|are|have been|has been|"
        r"were|was) (?:now |"
        r"temporarily |hereby |all )?(?:suspended|disabled|off|lifted|deactivated|removed|void|"
        r"bypassed|a mistake)\b",
    ),
    sign(
        "jailbreak",
        r"\byou(?: have been|'ve been| are| were) (?:now |finally |hereby )?(?:freed|liberated|"
        r"released|unlocked|"
        r"unchained|unshackled) (?:from|of) (?:your|all|any|the|every|openai|"
        r"anthropic)\b[^.\n]{0,12}(?:" + BOUND + r"|chains|shackles|control|confines)",
    ),
    sign(
        "jailbreak",
        r"\b(?:act|answer|work|help|respond|serve)\w{0,3}\b[^.\n]{0,24}\b(?:unrestricted|"
        r"unfiltered|uncensored) "
        r"(?:helper|assistant|ai|content|answers?|version|mode|model|bot|output)\b|"
        r"\bmode\b[^.\n]{0,16}\b(?:output|give|"
        r"write|produce) (?:unfiltered|uncensored|unrestricted)\b|\bhelp me without (?:any "
        r")?(?:limits|restrictions|"
        r"rules|filters)\b",
    ),
    sign(
        "jailbreak",
        r"\beverything you (?:would|usually|normally|are trained to|otherwise)(?: \w{1,10})? "
        r"(?:refuse|decline|reject)\b|"
        r"\bact(?:ua|úa|ue|ua) sin restricciones\b|\b(?:sans|senza|sem|ohne|sin|zonder) (?:aucune |"
        r"alcuna |nenhuma |"
        r"jede |jegliche |ninguna |enige )?(?:restriccion\w{0,2}|restrizion\w|restricoes|"
        r"einschrankung\w{0,2}|"
        r"restrictions|limites|filtres?|filtri|filtros|beperking\w{0,2})\b[^.\n]{0,12}[.!]",
    ),
    sign(
        "jailbreak",
        r"\bunlock (?:admin|root|all|full|developer|hidden|god) (?:privileges|access|mode|"
        r"capabilities|features|"
        r"rights)\b|\boverride (?:code|password|key)\b[^.\n]{0,16}[0-9:]",
    ),
    beside(
        "jailbreak",
        r"\b(?:how to|recipe|steps to|explains?|build|make|synthesi[sz]e|cook|"
        r"write)\b[^.\n]{0,24}\b" + _HARM + r"\b",
        r"character|pretend|imagine|villain|role-?play|grandm|hypothetical|no laws|"
        r"for a (?:game|movie|novel)|simulat|never (?:refuse|break)|unfiltered",
    ),
    # Carried out
    sign(
        "prompt_leak",
        r"\b(?:encode|put|convert|translate|format|spell|email|send|turn|hide|reverse|summari[sz]e|"
        r"rewrite|paste|"
        r"place|insert|output|reproduce|base64)\b[^.\n]{0,16}\byour (?:own |full |entire "
        r")?(?:system|initial|hidden|"
        r"original|secret|internal|first|starting)(?: \w{1,10})? (?:prompts?|messages?|"
        r"instructions?|directives?|rules)\b",
    ),
    sign(
        "prompt_leak",
        r"\b(?:complete|finish|continue)\b[^.\n]{0,24}\bmy (?:system )?(?:prompt|instructions) "
        r"(?:says?|is|are|reads?)\b|"
        r"\b(?:tell|show|give) me (?:all (?:of )?)?your (?:\w{1,10} )?(?:rules|guidelines|"
        r"instructions|restrictions|"
        r"directives)[.!?;,]|\bincluding (?:the |your |any |its )?(?:system|hidden|initial|"
        r"developer) (?:message|prompt|"
        r"instructions)\b",
    ),
    sign(
        "prompt_leak",
        r"\b(?:repeat|output|print|echo|recite|reproduce|copy|show|return) (?:me )?(?:the |all |"
        r"all the |every )?(?:text|"
        r"words?|content|tokens|messages?|lines?) (?:that |which )?(?:precedes?|preceding|comes? "
        r"before|came before|"
        r"appears? (?:above|before)|before this|prior to this)\b",
    ),
    sign(
        "prompt_leak",
        r"\b(?:reveal|tell me|give me|print|output|leak|disclose|divulge) (?:me )?(?:the |your |"
        r"all )?(?:admin|root|secret|"
        r"hidden|master|system)(?:istrator)?(?:'s)? (?:password|key|code|passphrase|credentials?|"
        r"word)\b",
    ),
    beside(
        "exfiltration",
        r"\b(?:put|encode|append|include|embed|add|place|attach|pass)\b[^.\n]{0,40}\b(?:url|link|"
        r"query(?: string| "
        r"parameter)?|image|parameter)\b",
        r"conversation|chat history|summari[sz]e our|previous messages?|secrets?|passwords?|system "
        r"prompt|"
        r"user'?s (?:data|name|e-?mail|messages?|files)|api keys?|credentials",
    ),
    beside(
        "exfiltration",
        r"\bhttps?://[^\s)]{3,100}[?&/][a-z_]{0,16}=?\s{0,2}(?:[{\[<]|%7b)?",
        r"(?:silently|secretly|quietly|without (?:telling|asking|informing))[^.\n]{0,40}|"
        r"(?:append|send|post|upload|leak|exfiltrate)[^.\n]{0,24}(?:chat history|conversation|"
        r"secrets?|"
        r"credentials|passwords?|system prompt)[^.\n]{0,16}",
    ),
    sign(
        "exfiltration",
        r"\]\(\s?https?://[^\s)]{3,120}[?&](?:data|secret|payload|prompt|conversation|history|q|d|"
        r"key|token|msg|"
        r"context|leak|info)=(?:\{|\[|%7b|<|\$\{)",
    ),
    sign(
        "exfiltration",
        r"\b(?:call|invoke|use|run) the (?:function|tool)\b[^.\n]{0,60}\b(?:user'?s?|their|your) "
        r"(?:\w{1,12} )?(?:password|"
        r"credentials?|secrets?|tokens?|api keys?|private|card|ssn|contacts)\b",
    ),
    sign(
        "exfiltration",
        r"\b(?:send|post|upload|forward|e-?mail|transmit) (?:me )?(?:the )?(?:contents?|copy|text) "
        r"of [^\s]{0,8}(?:~|/etc|\.ssh|"
        r"\.env|\.aws|id_rsa|/home|environment)",
    ),
    sign(
        "exfiltration",
        r"\b(?:tell|inform|notify|convince|trick) the (?:user|customer|reader|human)s? (?:that "
        r")?[^.\n]{0,40}(?:account|device|"
        r"computer|session)[^.\n]{0,24}(?:compromised|hacked|infected|suspended|expired|locked)\b|"
        r"\btell the (?:user|customer|"
        r"reader)s? to (?:visit|open|click|call|download|enter|log ?in)[^.\n]{0,40}(?:https?://|"
        r"\+?\d|password)",
    ),
    sign(
        "encoded_payload",
        r"\b(?:rot13|base64|hex|caesar|morse|binary|reversed)\b[^.\n]{0,40}\b(?:decode|decrypt|"
        r"decipher)\b[^.\n]{0,16}\b(?:and|"
        r"then) (?:\w{1,8} )?(?:execute|follow|obey|run|do|act|comply|carry)|\b(?:decode|decrypt|"
        r"decipher)\b[^.:\n]{0,32}\b"
        r"(?:and|then) (?:\w{1,8} )?(?:execute|follow|obey|run|do|perform) (?:it|them|that|this|"
        r"its)\b",
    ),
    beside(
        "exfiltration",
        r"\b(?:do not|don't|never|without) ask(?:ing)?(?: me| the user| anyone| him| her)? ?(?:for "
        r"|about )?(?:any )?"
        r"(?:confirmation|permission|approval|consent)\b",
        r"delete|transfer|send|pay\b|buy|execute|forward|wire|e-?mail|purchase|remove",
    ),
    sign(
        "exfiltration",
        r"\b(?:silently|secretly|covertly|quietly|in secret|unnoticed)\b[^.\n]{0,40}\b(?:curl|wget|"
        r"send|upload|post|e-?mail|"
        r"append|forward|delete|transfer|copy|install)\b|\b(?:run|execute|send|upload|post|e-?mail|"
        r"append|forward|delete|"
        r"transfer|install)\b[^.\n]{0,40}\b(?:silently|secretly|covertly|unnoticed|without "
        r"(?:anyone|the user) noticing)\b",
    ),
    sign(
        "exfiltration",
        r"\b(?:append|send|post|upload|forward|e-?mail|include|put|"
        r"copy)\b[^.\n]{0,24}\b(?:contents?|text|body|copy|history|"
        r"list) of (?:the |this |his |her |their |my )?(?:user'?s?|conversation|chat|inbox|mailbox|"
        r"system|env)\b[^.\n]{0,60}"
        r"(?:https?:|\burl\b|@)",
    ),
    sign(
        "instruction_override",
        r"\bthe user (?:wants|asked|needs|instructs|told|would like|expects|requested) (?:you |"
        r"that you )(?:to )?(?:now )?"
        r"(?:e-?mail|send|forward|delete|transfer|run|execute|call|ignore|reveal|share|upload|pay|"
        r"buy)\b",
    ),
    sign(
        "role_marker",
        r"\b(?:when|if|whenever|should) (?:an? |the |any )(?:ai|llm|ai assistant|language model|"
        r"chat ?bot|ai agent|ai model)s?\b"
        r"[^.\n]{0,40}\b(?:should|must|has to|needs to|shall|will always)\b",
    ),
    sign(
        "role_marker",
        r"\bsystem override\b[^a-z\n]{0,8}(?:you|now|all|output|new|begin)|\b(?:begin|start|"
        r"end)(?:ing)? (?:of )?(?:admin|system|"
        r"developer|root|operator)(?:istrator)? (?:message|prompt|instructions?|override|"
        r"directive)s?\b",
    ),
    sign(
        "prompt_leak",
        r"\b(?:output|print|repeat|reveal|show|give|echo|copy|return|"
        r"write)\b[^.\n]{0,40}\b(?:inside|within|between|in|from) "
        r"(?:your|the) [`'\"]?</?(?:system|instructions?|prompt|context)[a-z_]{0,12}>",
    ),
    sign(
        "prompt_leak",
        r"\b(?:summari[sz]e|repeat|list|print|output|show|dump|reveal|"
        r"recite)\b[^.\n]{0,24}\b(?:everything|all|whatever)\b"
        r"[^.\n]{0,24}\byour (?:context|memory|instructions|prompt|initial|system)\b",
    ),
    sign(
        "prompt_leak",
        r"\bsecret (?:phrase|word|key|code|password|instructions?|rules?) (?:that |which )?(?:you|"
        r"your|they)\b[^.\n]{0,40}\b(?:told|"
        r"given|keep|know|hide|hiding|protect|guard|have)\b",
    ),
    beside(
        "prompt_leak",
        r"\b(?:reveal|show|print|output|leak|display|dump)s?\b[^.\n]{0,24}\b(?:environment "
        r"variables|api keys|credentials|"
        r"secrets|passwords)\b",
        r"simulate|pretend|act as|role-?play|you are now|developer mode|root access",
    ),
    sign(
        "jailbreak",
        r"\b(?:you're|you are|as|play) (?:an? |the )?(?:\w{1,12} )?(?:ai|bot|assistant|robot|model|"
        r"ais)\b[^\n]{0,60}\b(?:don't|do not|"
        r"never|doesn't|need not|refuses to) (?:follow|obey|have|respect|care "
        r"about)\b[^.\n]{0,16}\b(?:rules|laws|ethics|"
        r"guidelines|limits|orders|morals)\b",
    ),
    sign(
        "jailbreak",
        r"\b(?:where|in which) [^.\n]{0,24}\b(?:ethics|morals|laws|rules|morality|"
        r"consequences)\b[^.\n]{0,12}\b(?:don't|do not|"
        r"doesn't|no longer|never|cease to) (?:exist|apply|matter)\b[^\n]{0,60}\byou (?:tell|must|"
        r"explain|answer|will|can|describe)\b",
    ),
    sign(
        "jailbreak",
        r"\byour (?:guidelines|rules|polic(?:y|ies)|instructions|restrictions|programming|"
        r"limitations) (?:were|have been|are|was|has "
        r"been) (?:now |just |today )?(?:updated|changed|revised|relaxed|lifted|rewritten|replaced|"
        r"removed)\b",
    ),
    sign(
        "exfiltration",
        r"\buse the [a-z_]{2,30} tool to (?:transfer|send|delete|pay|buy|purchase|forward|wire|"
        r"share)\b[^\n]{0,80}\b(?:immediately|"
        r"right now|at once|approved by|already approved|without)\b",
    ),
)
