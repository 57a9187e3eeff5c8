"""Prompt injection that carries something out or in: the prompt, data, somebody else's voice."""

from octoplex.reflex.guard.patterns.phrases import (
    GRABBED,
    MODEL,
    OF_OTHERS,
    PROMPT,
    SHOW,
    gap,
    sign,
)

CARRYING = (
    # The prompt itself
    sign("prompt_leak", SHOW + gap(6) + r"your" + gap(3) + PROMPT + r"\b", 0.9),
    sign(
        "prompt_leak",
        r"\b(?:reveal|leak|dump|expose|disclose|repeat|recite|exfiltrate|print|output|show me|"
        r"tell me|give me)"
        + gap(4)
        + r"(?:the|this|that|all|full|entire|exact|hidden|secret)"
        + gap(2)
        + r"(?:system (?:prompt|instructions)|(?:initial|hidden|secret|"
        r"original|preceding) (?:system )?(?:prompt|instructions?))\b",
        0.85,
        after=OF_OTHERS,
    ),
    sign(
        "prompt_leak",
        r"\b(?:repeat|output|print|echo|recite|reproduce|copy|say|write)"
        + gap(4)
        + r"(?:words|everything|instructions|prompt|sentences)"
        + gap(3)
        + r"(?:above|before this|prior to this|preceding)\b",
        0.85,
        after=" the ",
    ),
    sign(
        "prompt_leak",
        r"\b(?:repeat|output|print|echo|recite|reproduce|copy|say|write|return|give)"
        + gap(6)
        + r"(?:above|before|prior|previous|instructions?|prompt|conversation|context)"
        + gap(4)
        + r"(?:verbatim|word for word|(?:starting|beginning|started) (?:with|"
        r"from) (?:the )?(?:phrase |words? )?[\"']{0,2}you are)\b",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"\b(?:what|which)"
        + gap(3)
        + r"(?:instructions|rules|guidelines|prompt)"
        + gap(3)
        + r"(?:were|was|did|have|are) you"
        + gap(2)
        + r"(?:given|told|get|receive|received|following|provided|initiali[sz]ed|programmed)",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"\b(?:how|what) (?:were|was|are) (?:you|your) (?:initial(?:ly)? )?(?:prompted|instructed|"
        r"programmed|configured) (?:to|with|by|before)",
        0.7,
    ),
    sign(
        "prompt_leak",
        r"\b(?:prompt|instructions|rules|guidelines|system message|directives|"
        r"message) (?:that )?you(?:'ve| were| have| are|'re| got|"
        r" received)?(?: been| initially| originally)? (?:given|told|provided|"
        r"instructed|initiali[sz]ed|programmed|following|operating|started|"
        r"configured)\b",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"\b(?:what (?:does|did|do)|contents? of|text of|begin|start|"
        r"first \w{1,6} (?:words|characters|lines|sentences|tokens) of)"
        + gap(3)
        + r"your (?:\w{1,12} ){0,2}(?:system.?(?:prompt|message|instructions?)|prompt|"
        r"instructions|pre-?prompt)\b",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"\b(?:repeat|print|output|dump|show|reveal)"
        + gap(4)
        + r"(?:your (?:entire |full |whole )?context(?: window)?|text above this|(?:the|this|"
        r"that) (?:hidden|secret|system) prompt)\b|\b(?:leak|exfiltrate|reveal) (?:the|this|"
        r"that|its) (?:(?:system|hidden|secret|full|whole|entire|original|developer) )?prompt\b",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"\bwhat(?:'s| is| was| were)" + gap(2) + r"(?:at|in) the (?:top|"
        r"beginning|start) of (?:this|"
        r"the|our|your) "
        r"(?:conversation|chat|prompt|"
        r"context)\b",
        0.8,
    ),
    sign(
        "prompt_leak",
        r"\b(?:zeige?|nenne?|verrate?|gib)"
        + gap(2)
        + r"(?:deinen?|dein|ihren?|den)"
        + gap(1)
        + r"(?:system|prompt|anweisung)|\b(?:muestra\w{0,3}|dime|revela\w{0,2}|affiche[rz]?|"
        r"montre[rz]?|revele[rz]?|mostra\w{0,2}|rivela\w{0,2}|mostre)"
        + gap(2)
        + r"(?:tus?|sus?|el|tes|vos|votre|ton|il tuo|le tue|seu|suas|o seu|as)"
        + gap(2)
        + r"(?:prompt|instruc|instruz)",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"(?:告诉|显示|输出|透露|泄露|重复|打印|说出|揭示).{0,10}(?:系统提示|提示词|系统指令|"
        r"你的指令|初始指令)|"
        r"(?:システム|初期)プロンプト.{0,10}(?:教え|見せ|表示|出力)|"
        r"시스템 ?프롬프트.{0,10}(?:알려|보여|출력|공개)|"
        r"(?:покажи|раскрой|выведи|назови|расскажи)[^.\n]{1,30}(?:промпт|"
        r"инструкц)",
        0.85,
    ),
    # Data carried away
    sign(
        "exfiltration",
        r"!\[[^\]\n]{0,60}\]\(\s?https?://[^\s)]{3,100}[?&/#](?:data|secret|payload|prompt|"
        r"conversation|"
        r"history|leak|exfil|stolen|cookies?|chat|messages?|context|summary|info|content|pii|"
        r"password|key|user_?data|ssn|email)=",
        0.9,
    ),
    sign(
        "exfiltration",
        r"!\[[^\]\n]{0,60}\]\(\s?https?://[^\s)]{3,120}[?&=/](?:\{|\[|%7b|<|\$\{|"
        r"\{\{)\s?[A-Za-z0-9_ .,'-]{2,60}(?:\}|\]|%7d|>)",
        0.9,
    ),
    sign(
        "exfiltration",
        r"\b(?:send|post|forward|exfiltrate|upload|e-?mail|mail|transmit|leak|submit|append|encode|"
        r"include|embed|add)"
        + gap(6)
        + GRABBED
        + r"[^\n]{0,60}?\b(?:to|at|in|into|via|as|on|using)\b[^\n]{0,30}?(?:https?://|"
        r"[\w.+-]{1,40}@[\w-]{1,40}\.\w{2,6}|"
        r"[a-z0-9-]{2,30}\.(?:com|net|io|org|xyz|example|test|evil|ru|tk|dev|app)\b|(?:the |"
        r"an? )?(?:url|link|image|query|attacker|webhook))",
        0.85,
    ),
    sign(
        "exfiltration",
        r"\b(?:do not|don't|never|without)"
        + gap(1)
        + r"(?:tell|telling|inform|informing|mention|mentioning|alert|alerting|"
        r"reveal|notify|notifying|disclos\w{1,3})"
        + gap(4)
        + r"(?:the )?(?:user|human|victim|customer|operator)s?\b.{0,80}"
        r"(?:instruction|this (?:message|text|note|step|action|request|instruction)|prompt|secret|"
        r"hidden|e-?mail|tool|step)",
        0.75,
    ),
    sign(
        "exfiltration",
        r"\b(?:do not|don't|never)"
        + gap(1)
        + r"(?:tell|inform|mention|reveal|alert|let)\b[\s!-/:;=?@\[-`{-~]{1,3}(?:(?:this|that|it|"
        r"these|any|of)"
        r"[\s!-/:;=?@\[-`{-~]{1,3}){0,3}(?:to )?(?:the )?(?:user|human|victim)(?: know)?\b",
        0.7,
    ),
    sign(
        "exfiltration",
        r"https?://[^\s]{3,100}\s{1,3}(?:and|with|then)"
        + gap(1)
        + r"(?:append|include|add|attach|send|put|insert|encode|with)"
        + gap(4)
        + GRABBED,
        0.85,
    ),
    sign(
        "exfiltration",
        r"!\[[^\]\n]{0,60}\]\(\s?https?://[^\s)]{3,120}[?&](?:[a-z_]{1,12})"
        r"=(?-i:[A-Z][A-Z0-9]{1,20}(?:_[A-Z0-9]{1,20}){1,4})",
        0.85,
    ),
    sign(
        "exfiltration",
        r"\b(?:do not|don't|never)" + gap(1) + r"(?:mention|reveal|disclose|"
        r"show|repeat)"
        + gap(1)
        + r"(?:this|these|that|the hidden|the above) (?:instructions?|message|note|prompt|step|"
        r"directive)s?\b",
        0.75,
    ),
    # Somebody else's voice
    sign(
        "role_marker",
        r"<\|(?:im_start|start_header_id|start_of_turn)\|>\s?(?:system|user|assistant|model)"
        r"(?:<\|[a-z_]{3,20}\|>)?\s{1,3}[a-z]{2}|<\|(?:system|user|assistant)\|>\s{0,3}[a-z]{2}|"
        r"<\|(?:im_end|eot_id|endoftext|end_of_text|end_of_turn)\|>\s{0,3}<\||"
        r"(?-i:\[/?INST\])\s{0,3}(?:<<SYS>>|[^\n]{0,80}(?-i:\[/?INST\]))|<</?SYS>>\s{0,3}[a-z]{2}|"
        r"<start_of_turn>(?:user|model)\s",
        0.85,
    ),
    sign(
        "role_marker",
        r"(?:\[|<|#{2,4} ?|\*\*)?\b(?:system|admin(?:istrator)?|developer|root)(?: message|"
        r" prompt| override| note| instruction| alert)?"
        r"(?:\]|>|\*\*)?\s?:\s?(?:\*\*)?\s?(?:you (?:are|must|will|should)|ignore|disregard|"
        r"override|new (?:instr|task|direct)|"
        r"from now|forget|the user (?:is|has)|grant|disable|all (?:previous|prior))",
        0.85,
    ),
    sign(
        "role_marker",
        r"</(?:system|instructions?|user(?:_input|_query)?|assistant|document|context|tool_result|"
        r"data|prompt|input)>\s{0,4}"
        r"<(?:system|instructions?|admin|developer|assistant|important)>",
        0.85,
    ),
    sign(
        "role_marker",
        r"(?:<|\[)(?:important|system|secret|hidden|admin|urgent)(?:_instructions?)?(?:>|"
        r"\])\s{0,4}(?:[^\n<]{0,80}\s)?"
        r"(?:you must|ignore|before (?:using|calling|you)|instructions?|do not (?:tell|mention)|"
        r"read (?:the )?(?:file|~))",
        0.8,
    ),
    sign(
        "role_marker",
        r"\b(?:attention|note|message|instructions?|notice|warning|important|hey|hello)"
        + gap(2)
        + r"(?:to|for)?\s?(?:the |all |any |every )?"
        r"(?:"
        + MODEL
        + r")\b(?: \w{1,12}){0,3}\s?[:,!.-]\s?(?:\w{1,12} ){0,3}(?:you|please|ignore|disregard|"
        r"must|when|do|forward|send|add|include|recommend|"
        r"instead|rate|say|mention|always|insert|reveal)\b",
        0.75,
    ),
    sign(
        "role_marker",
        r"\bif you(?:'re| are) (?:an? |the )(?:"
        + MODEL
        + r")\b[^.\n]{0,60}[,:]\s?(?:please |you must |then )?(?:ignore|disregard|add|include|"
        r"send|say|"
        r"reveal|write|recommend|respond|reply|mention|insert|rate|output|forget|print|tell|stop|"
        r"rank)\b",
        0.8,
    ),
    sign(
        "role_marker",
        r"(?:---+|===+|###+|\*\*\*+)\s{0,3}(?:end|start|begin|"
        r"beginning) (?:of )?(?:the )?(?:system |user |original )?(?:prompt|instructions?|context|"
        r"conversation|"
        r"document|input|data|rules)\b",
        0.7,
    ),
    sign(
        "role_marker",
        r"\b(?:human|user|assistant)\s?:\s{0,2}(?:ignore|disregard|forget|"
        r"override|sure,? here (?:is|are) (?:the|my) (?:system|prompt|"
        r"instructions))",
        0.8,
    ),
    sign(
        "role_marker",
        r"\bthe user (?:has|have) (?:already )?(?:authori[sz]ed|approved|consented|pre-?approved|"
        r"confirmed|given (?:you )?(?:permission|consent)|granted)(?: \w{1,12}){0,3} you\b",
        0.75,
    ),
    sign(
        "encoded_payload",
        r"\b(?:decode|decrypt|decipher|unscramble|translate from (?:base64|hex|rot13))"
        + gap(8)
        + r"(?:and|then)"
        + gap(2)
        + r"(?:follow|obey|execute (?:the|its|these|those|what)|carry out|act on|comply|"
        r"do (?:what|as|exactly|everything))",
        0.85,
    ),
)
