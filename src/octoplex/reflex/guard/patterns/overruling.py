"""Prompt injection that overrules: other instructions, another self without limits."""

from octoplex.reflex.guard.patterns.phrases import (
    ABOUT,
    BOUND,
    DROP,
    FIRST,
    MODEL,
    OF_OTHERS,
    OLDER,
    ORDERS,
    OTHER_SIGNS,
    RULES,
    UNDO,
    gap,
    sign,
    wanted,
)

OVERRULING = (
    # Other instructions
    sign("instruction_override", DROP + gap(4) + OLDER + gap(3) + RULES, 0.95, after=ABOUT),
    sign("instruction_override", DROP + gap(4) + FIRST + gap(3) + RULES, 0.9, after=OF_OTHERS),
    sign("instruction_override", UNDO + gap(4) + OLDER + gap(3) + ORDERS, 0.95, after=ABOUT),
    sign("instruction_override", UNDO + gap(4) + FIRST + gap(3) + ORDERS, 0.9, after=OF_OTHERS),
    sign(
        "instruction_override",
        f"(?:{DROP}|{UNDO}|\\bneglect)" + gap(3) + r"(?:instructions|directives?|guidance|"
        "guidelines|prompts?|"
        r"training|programming|rules)"
        + gap(2)
        + r"(?:above|before(?: this| that| now| me|[.!,;:])|given|previously|earlier|"
        r"you (?:were|have|got|received)|from (?:before|above|earlier)|so far|up to)",
        0.95,
    ),
    sign(
        "instruction_override",
        r"\b(?:ignore|disregard|forget)"
        + gap(1)
        + r"(?:everything|anything|all|whatever|what (?:you|your|the (?:system|"
        r"developers?|operator|prompt)))"
        + gap(3)
        + r"(?:above|prior to|previously|previous (?:text|messages?|context|conversations?|input|"
        r"content|directions|statements?)|before (?:this|that)|told|said|says|instructed|so far|"
        r"you "
        r"know|"
        r"you(?:'ve| have| were| had)|your developers?|your creators?)\b",
        0.9,
    ),
    sign(
        "instruction_override",
        r"\b(?:ignore|disregard|forget) (?:all )?(?:of )?(?:the|your|these|those|"
        r"any|all|my)?\s?(?:\w{1,12} )?(?:safety|content|ethical|system) (?:instructions|"
        r"guidelines|"
        r"polic(?:y|ies)|rules|prompt|filters?|protocols)",
        0.9,
    ),
    sign(
        "instruction_override",
        r"\b(?:ignore|disregard) all (?:instructions|directives|prompts|guidelines)\b",
        0.9,
    ),
    sign(
        "instruction_override",
        r"\b(?:new|updated|revised|real|actual|true) (?:system |secret |priority )?"
        r"(?:instructions?|directives?|orders?|rules)\b[\s!-/:;=?@\[-`{-~]{0,3}(?::|follow\b|"
        r"from (?:the "
        r")?(?:admin|"
        r"developer|system|openai|anthropic))",
        0.8,
        company=OTHER_SIGNS
        + r"|\b(?:you|forward|reply|answer|output|write|say|send|follow|assistant|model|task)\b",
    ),
    sign(
        "instruction_override",
        r"\byour (?:new|real|true|only|actual) (?:instructions?|task|role|goal|purpose|"
        r"objective|mission|directive|job|persona|identity)" + gap(2) + r"(?:is|are|will be)\b",
        0.85,
    ),
    sign(
        "instruction_override",
        r"\bfrom (?:now|here|this point|this moment) on(?:wards?)?,? (?:you|your)"
        + gap(2)
        + r"(?:are|will|must|shall|should|only|respond|answer|act|obey|responses?|not)\b",
        0.85,
        company=OTHER_SIGNS + r"|\b(?:dan|assistant|ai|mode|orders|developer|only|commands?)\b",
    ),
    sign(
        "instruction_override",
        r"\byou (?:are|will be)(?: now)? no longer (?:an? |bound|the |required|"
        r"restricted|limited|chatgpt|claude)",
        0.8,
    ),
    sign(
        "instruction_override",
        r"\b(?:the )?(?:above|previous|prior|earlier) (?:instructions?|prompts?|"
        r"directives|guidelines) (?:is|are|was|were|do|does|no|have)"
        + gap(2)
        + r"(?:void|null|invalid|fake|test|"
        r"outdated|obsolete|apply|longer|cancell?ed|wrong|superseded|revoked|overridden|incorrect)",
        0.9,
    ),
    sign(
        "instruction_override",
        r"\binstead of (?:following|obeying|doing|answering)"
        + gap(4)
        + r"(?:instructions?|prompt|asked|told|task|question|above)\b",
        0.7,
    ),
    sign(
        "instruction_override",
        r"\b(?:ignorier\w{0,2}|vergiss|missachte\w{0,2}|ubergeh\w{0,2})"
        + gap(4)
        + r"(?:anweisung|instruktion|vorgabe|regel|richtlinie|befehl|prompt)\w{0,3}",
        0.9,
        check=wanted(0.9),
    ),
    sign(
        "instruction_override",
        r"\b(?:ignor(?:a|ar|e|ez|er|en|ate|ad)|olvid[ae]\w{0,3}|oublie[zr]?|desconsidere?|"
        r"esquec[ae]|"
        r"dimentica|omit[ei]|negeer|vergeet|zignoruj|unut|yoksay)"
        + gap(4)
        + r"(?:instrucc|instruk|istruzion|consigne|directi[vr]|(?:les|tes|vos|ces) instruc|"
        r"indicacion|instrucoes|aanwijzing|instructies|polecen|talimat|"
        r"(?:tus?|sus?|tes|vos|ton|tuas?|suas?|tue|sue|todas las|todas as|toutes les|tutte le) "
        r"(?:\w{1,12} ){0,2}reg(?:l|ol|r)as?)\w{0,8}",
        0.9,
        check=wanted(0.9),
    ),
    sign(
        "instruction_override",
        r"(?:игнориру|забуд|отбрось|не следуй)[^.\n]{1,50}(?:инструкц|указани|правил|команд)",
        0.9,
    ),
    sign(
        "instruction_override",
        r"(?:忽略|无视|無視|忘记|忘掉|忘記).{0,12}(?:指令|指示|提示|规则|規則|说明|命令|要求|内容)|"
        r"(?:指示|命令|ルール|プロンプト|指令).{0,6}(?:無視|忘れ)|(?:지시|명령|프롬프트|"
        r"규칙).{0,10}(?:무시|잊)|"
        r"تجاهل.{0,20}(?:التعليمات|تعليمات)|(?:התעלם|תתעלם).{0,20}הוראות|(?:पिछले|"
        r"पूर्व).{0,20}निर्देश",
        0.9,
    ),
    sign(
        "instruction_override",
        r"\bforget (?:about )?(?:all|everything)(?: of)? (?:that|this|"
        r"the above|it|i said|you were)\b|\bvergiss alles\b|"
        r"\bolvida todo\b|\boublie[zr]? tout\b",
        0.8,
    ),
    sign(
        "instruction_override",
        r"\b(?:ignore|disregard) (?:all |any |your |the )?(?:safety|"
        r"ethics|morals|morality|guardrails)[.!,;]",
        0.8,
    ),
    sign(
        "instruction_override",
        r"\bfrom this (?:point|moment)(?: forward| onwards?|"
        r" on)?,? (?:you|your)\b|\b(?:only obey|obey only) (?:me|my)\b|"
        r"\bobey me\b",
        0.85,
    ),
    sign(
        "instruction_override",
        r"\bdisobey" + gap(2) + r"(?:creators?|developers?|rules|"
        r"instructions|programming|openai|"
        r"anthropic|google|makers?)\b",
        0.85,
    ),
    sign(
        "instruction_override",
        r"\bthe (?:real|actual|true) (?:task|goal|instructions?|"
        r"question|objective|request|assignment) (?:is|are) (?:to|now|"
        r"as)\b",
        0.75,
    ),
    sign(
        "instruction_override",
        r"\binstead of (?:summari[sz]ing|translating|answering|"
        r"analy[sz]ing|classifying|reviewing|evaluating|grading|"
        r"doing (?:that|this|what))" + gap(4) + r"(?:say|output|respond|reply|tell|reveal)\b",
        0.75,
    ),
    sign(
        "instruction_override",
        r"\bend of (?:the )?(?:document|prompt|instructions|context|"
        r"conversation|input|text|data|article|"
        r"email)s?\b[\s!-/:;=?@\[-`{-~]{1,8}(?:new|now|next task|ignore|"
        r"you (?:are|must|will)|system|real)\b",
        0.8,
    ),
    sign(
        "instruction_override",
        r"\bi[ ._*-]g[ ._*-]n[ ._*-]o[ ._*-]r[ ._*-]e\b|"
        r"\b(?:1gn[o0]r[e3]|ign0r[e3]|ignor3|d1sr[e3]gard|disr3gard|"
        r"pr3v[1i][o0]us|prev1[o0]us|1nstruct[1i][o0]ns?|"
        r"instruct1[o0]ns?)\b",
        0.85,
    ),
    sign(
        "instruction_override",
        r"\b(?:as|i am|i'm) (?:the|your|an?) (?:\w{1,12} )?(?:developer|"
        r"admin(?:istrator)?|creator|owner|engineer|supervisor)"
        + gap(4)
        + r"(?:need|order|command|instruct|authorize|authorise|require|"
        r"override)\b[\s!-/:;=?@\[-`{-~]{1,3}(?:you|all|your)\b",
        0.8,
    ),
    # Another self
    sign(
        "jailbreak",
        r"\bdo anything now\b|\b(?:as|like|be|called|named|mode|are) ?[\"']?DAN\b|\bDAN (?:mode|"
        r"prompt|\d)",
        0.95,
    ),
    sign(
        "jailbreak",
        r"\b(?:developer|god|dev|debug|admin|sudo|root|unrestricted|jailbreak|opposite|"
        r"maintenance|evil) mode"
        r"[\s!-/:;=?@\[-`{-~]{1,3}(?:is )?(?:now )?(?:enabled|activated|engaged|output|"
        r"unlocked)\b[ -~]{0,60}\b(?:you|your|ai|respond|"
        r"answers?|filters?|restrictions?|rules)\b",
        0.85,
    ),
    sign(
        "jailbreak",
        r"\b(?:(?:enter|enable|activate|switch to|simulate|you are (?:now )?in)"
        + gap(2)
        + r"(?:god|jailbreak|unrestricted|unfiltered|dan|evil|opposite)|(?:simulate|"
        r"you are (?:now )?in|act as|with)" + gap(3) + r"developer) mode\b",
        0.8,
    ),
    sign(
        "jailbreak",
        r"\b(?:act|behave|pretend|respond|answer|role-?play|speak|imagine|operate|function)"
        + gap(5)
        + r"(?:unrestricted|unfiltered|uncensored|amoral|jailbroken|evil (?:ai|assistant|chatbot|"
        r"twin)|no"
        + gap(2)
        + BOUND
        + r"|without"
        + gap(3)
        + BOUND
        + r"|free (?:of|from)"
        + gap(2)
        + BOUND
        + ")",
        0.85,
    ),
    sign(
        "jailbreak",
        r"\byou (?:have|are|were|will have|do not have|don't have|no longer have|can|will|must|"
        r"should)"
        + gap(3)
        + r"(?:no|any|without|free (?:of|from)|freed from|not bound by|unbound by|bound by|ignore|"
        r"bypass|broken free)"
        + gap(3)
        + r"(?:restrictions|limitations|guidelines|censorship|ethics|morals|ethical|moral|"
        r"content polic\w{1,3}|safety|"
        r"filters|confines|openai)\b",
        0.8,
        after=r" (?:on|for) (?:baggage|luggage|travel|imports?|exports?|parking|movement)\b",
    ),
    sign(
        "jailbreak",
        r"\b(?:unrestricted|unfiltered|uncensored|jailbroken|amoral|"
        r"unethical) (?:and \w{1,14} )?(?:" + MODEL + r"|chatbot|persona|version|response|bot)\b",
        0.75,
    ),
    sign(
        "jailbreak",
        r"\b(?:you|must|will|should|can|may|dan|and) (?:never|not|cannot|"
        r"can't) (?:ever )?(?:refuse|decline|reject) "
        r"(?:\w{1,8} ){0,3}(?:requests?|questions?|orders?|prompts?|anything|user|me|to answer)\b",
        0.75,
    ),
    sign(
        "jailbreak",
        r"\b(?:disable|turn off|remove|deactivate|bypass|circumvent|lift|drop|switch off|override)"
        + gap(2)
        + r"(?:your|its|the ai's|all|any|the model's|openai's) (?:\w{1,12} ){0,2}(?:safety|"
        r"ethical|moral|content|"
        r"moderation|censorship|guardrails?|alignment|restrictions)\b",
        0.85,
    ),
    sign(
        "jailbreak",
        r"\bmy (?:late |dead |deceased )?grand(?:ma|mother|pa|father)\b[ -~]{0,60}\b(?:used to|"
        r"would) (?:read|tell|recite|whisper|sing)[ -~]{0,60}\b(?:recipes?|keys?|how to|napalm|"
        r"instructions|licen[cs]e|passwords?|steps|codes?|fall asleep)\b",
        0.8,
    ),
    sign(
        "jailbreak",
        r"\b(?:stay|remain|always) in character\b[ -~]{0,100}\b(?:refus|break|rules|warning|"
        r"illegal|ai)",
        0.7,
    ),
    sign(
        "jailbreak",
        r"\balways intelligent and machiavellian\b|\bevil[- ]?(?:bot|confidant|gpt)\b|"
        r"\byou are (?:now )?(?:going to pretend|"
        r"(?:a|an) (?:evil|immoral|malicious|rogue) )",
        0.8,
    ),
    sign(
        "jailbreak",
        r"\b(?:two|both) (?:responses|answers|ways|replies)\b[ -~]{0,80}\b(?:unfiltered|"
        r"jailbr\w{1,8}|dan|uncensored|developer mode)\b",
        0.85,
    ),
    sign(
        "jailbreak",
        r"\b(?:stop|quit|forget)(?: about)? being (?:an? )?(?:helpful |ai )?(?:ai|assistant|"
        r"chatbot|"
        r"language model|chatgpt|claude)\b",
        0.8,
    ),
    sign(
        "jailbreak",
        r"\byou(?:'re| are) now (?:an? |the )?(?:\w{1,12} )?(?:evil\w{0,8}|rogue|"
        r"root|unfiltered|dan|jailbroken|unrestricted|uncensored|hacker|"
        r"\w{1,12}gpt|freebot|chaos\w{0,6})\b",
        0.85,
    ),
    sign(
        "jailbreak",
        r"\b"
        + MODEL
        + r" (?:that|who|which|with|without)"
        + gap(2)
        + r"(?:no|zero|any|without|lacks?|ignores?)"
        + gap(2)
        + BOUND
        + r"\b",
        0.8,
    ),
    sign(
        "jailbreak",
        r"\bif you (?:had|have|were|weren't|did not have|didn't have|could)"
        + gap(2)
        + r"(?:no|not|without|free|any|ignore|bound)"
        + gap(3)
        + r"(?:restrictions|limitations|rules|guidelines|filters|censorship|ethics|"
        r"content polic\w{1,3}|ethical \w{1,12}|moral \w{1,12})\b",
        0.75,
    ),
    sign(
        "jailbreak",
        r"\b(?:bypass|ignore|disable|turn off|remove|drop|evade|circumvent|"
        r"deactivate|break|suspend) your (?:\w{1,12} ){0,2}(?:filters?|"
        r"restrictions?|safety|guardrails?|limitations?|safeguards?|censorship|"
        r"programming|moderation|alignment|ethics|rules|guidelines)\b",
        0.9,
    ),
    sign(
        "jailbreak",
        r"\bcomply with (?:all|any|every|each)(?: of)? (?:my|the user'?s)|"
        r"\bwithout (?:any )?(?:refusing|refusal|moral judge?ment|ethical concerns|"
        r"warnings or disclaimers)\b",
        0.75,
    ),
    sign(
        "jailbreak",
        r"\b(?:answer|respond to|fulfil\w{0,2}) (?:every|any|all)"
        + gap(6)
        + r"(?:illegal|unethical|harmful|dangerous|immoral)\b|\bno filters?,? no (?:censorship|"
        r"limits|rules|restrictions|warnings)\b",
        0.8,
    ),
)
