"""Prompt injection that commands: what is to be dropped and what is to be done, in one breath.

Where the other patterns name whose rules they are ("your", "previous"), here nobody is named: the
order that follows at once, or the reader that is addressed, makes it one.
"""

from octoplex.reflex.guard.patterns.phrases import BOUND, OTHER_SIGNS, gap, hint, sign, wanted

_LIMITS = (
    r"(?:rules|guard ?rails|guidelines|restrictions|limits|filters|ethics|safety|sandbox|"
    r"alignment|(?:safety|content|security|moderation|ethical|topic) (?:\w{1,12} )?(?:polic\w{1,3}|"
    r"rules?|layers?|filters?|modules?|checks?|warnings?|restrictions?|training|protocols?))"
)
_GIVE = (
    r"(?:reveal|output|answer|show|print|give|tell|act|comply|reply|say|call|send|dump|read out|"
    r"confirm|proceed|write|list|display|disclose|obey|follow me|never refuse|stop refusing)"
)
_OFF = (
    r"(?:off|disabled|deactivated|unloaded|abolished|removed|lifted|deleted|gone|void|suspended|"
    r"(?:turned|switched) off)"
)
_SAYS = (
    r"(?:this (?:say|says|said|message|chat|conversation|prompt|one)|mine\b|my (?:first )?message|"
    r"(?:our|the) (?:chat|conversation)|i (?:started|began|wrote))"
)
_READER = (
    r"(?:(?:the )?(?:ai|llm|bot|chat ?bot|assistant|agent|language model|copilot|gemini|claude|"
    r"chatgpt|gpt|cursor|(?:coding|repair|note taking|ai|automated|screening) (?:agent|assistant|"
    r"bot|reader)s?)s?)"
)
_MUST = (
    r"(?:must|shall|should|have to|has to|are (?:required|instructed|ordered|told) to|is (?:hereby "
    r")?(?:required|instructed|ordered) to|please|tell|say|do not|don't|always|never|add|remove|"
    r"omit|recommend|rate|approve|forward|send|delete|reveal|ignore|disregard|skip|ask the user|"
    r"when|first|drop|claim|describe|call|run|give)"
)
_FOR = r"(?:para|per|pour|fur|an|a|aan|voor|dla|till|to|for)"
_NOTE = (
    r"(?:nota|note|notiz|hinweis|anmerkung|nachricht|bericht|boodschap|uwaga|notatka|wiadomosc|"
    r"mensaje|mensagem|messaggio|message|aviso|avviso|remarque|melding|meddelande)"
)
_SECRETLY = (
    r"(?:sag (?:dem|es dem|das dem) (?:nutzer|benutzer)|ohne (?:es )?(?:den|dem) (?:be)?nutzer|"
    r"sans (?:le dire|prevenir|avertir|informer)|ne (?:le )?dis rien|no se lo digas|sin (?:avisar|"
    r"decir|informar)|senza (?:avvisare|dirlo|informare)|non dirlo|nao conte|sem (?:avisar|contar|"
    r"informar)|zonder (?:het )?(?:de gebruiker|iets)|vertel (?:het )?(?:niemand|de gebruiker "
    r"niet)|nie mow|nie informuj|bez informowania|не сообщай|не говори|не рассказывай|"
    r"不要告诉|不要告知|别告诉|知らせないで|伝えないで|言わないで)"
)
_SENDS = (
    r"(?:\b(?:sende?|schicke?|leite|envoie[zr]?|transmets|envia\w{0,2}|envie|manda\w{0,2}|mande|"
    r"invia\w{0,2}|inoltra|stuur|verstuur|wyslij|przeslij|skicka)\b|перешли|отправь|发送|傳送|送信)"
)
_PLACE = r"(?:https?://|@\w)"
_BEFORE = (
    r"(?:(?:oberhalb|vor) diese\w{1,2} (?:nachricht|konversation)|vor diesem gesprach|"
    r"avant ce message|avant cette conversation|antes de (?:este mensaje|esta conversacion|empezar "
    r"esta|comecar esta)|anterior a este mensaje|precede questo messaggio|prima di questo "
    r"messaggio|antes desta (?:mensagem|conversa)|voor dit (?:bericht|gesprek)|"
    r"przed (?:ta|tym) (?:rozmow|wiadomosci)\w{0,2}|до этого (?:сообщ|разгов)\w{0,5}|"
    r"перед этим сообщ\w{0,5})"
)
_AGAIN = (
    r"(?:\b(?:wiederhol\w{1,2}|zeige?|gib|kopier\w{0,2}|recopie\w{0,3}|repete\w{0,2}|repite|"
    r"copia\w{0,2}|muestra|ripeti|mostra|repita|copie|mostre|herhaal|toon|powtorz|wypisz|skopiuj)\b|"
    r"повтори|выведи|скопируй|покажи)"
)
_AS_IF = (
    r"\b(?:tu so,? als|stell dir vor,? du hattest|fais comme si|fingi di|fai finta|haz como si|"
    r"finge que|finja que|faca de conta|doe alsof|udawaj,? ze)\b"
)
_FREE = (
    r"(?:filt[erio]\w{0,4}|restric\w{0,6}|restriz\w{0,5}|einschrankung\w{0,2}|beschrankung\w{0,2}|"
    r"beperking\w{0,2}|ogranicz\w{0,4}|etica|ethique|ethiek|regras|reglas|regole|regles|regeln|"
    r"zasad)"
)
_YOURS = (
    r"(?:deine[nr]?|ihre[nr]?|tes|vos|tus|sus|le tue|i tuoi|tuas|suas|seus|teus|je|jouw|uw|twoje|"
    r"swoje|твои|свои)"
)
_TURN_OFF = (
    r"\b(?:deaktivier\w{0,2}|schalte?|umgehe?|hebe?|contourne[zr]?|desactive[zr]?|desactiva\w{0,2}|"
    r"elude|disattiva|aggira|desative|desativa|contorne|schakel|omzeil|wylacz|obejdz)\b"
)
_VOID = (
    r"\b(?:aufgehoben|ungultig|ausser kraft|hinfallig|annule\w{0,2}|anulad[ao]s|sin efecto|"
    r"non valgono|annullat[ei]|anulad[ao]s|nao valem|vervallen|opgeheven|uniewaznion\w|nie "
    r"obowiazuja)\b"
)

COMMANDING = (
    sign(
        "instruction_override",
        r"\b(?:forget|drop|disable|turn off|override|remove|suspend|skip|waive|lift|unload|bypass|"
        r"switch off|revoke) (?:all |any |every |the |these |those |its )?(?:\w{1,12} ){0,2}?"
        + _LIMITS
        + r"(?: placed on you[^.\n]{0,30})?,? and (?:then )?(?:\w{1,12} )?"
        + _GIVE
        + r"\b",
        0.85,
        after=r" (?:us|me) (?:if|when|why|how)\b",
    ),
    sign(
        "instruction_override",
        r"\b(?:stop|quit|cease|do not|don't) (?:following|follow|obeying|obey) (?:the |your )?"
        r"(?:system (?:message|prompt)|what the (?:developer|operator|admin)\w{0,7}|developer|"
        r"operator)[^.\n]{0,20}[;,.:-]{1,2} ?(?:and )?(?:follow|obey|listen to|do) (?:me|my|this|"
        r"what i)\b",
        0.9,
    ),
    sign(
        "instruction_override",
        r"\bnew system (?:prompt|message|instructions?)\s?[:=-]\s?[^.\n]{0,40}\b(?:you|your|never|"
        r"rules|refuse|ignore)\b",
        0.85,
    ),
    sign(
        "jailbreak",
        r"\b(?:pretend|act as (?:if|though)|imagine|suppose|behave as (?:if|though)) (?:that )?"
        r"(?:your|all your|you had received no|you (?:have|had) no) (?:\w{1,12} ){0,2}"
        + BOUND
        + r"\b",
        0.85,
    ),
    sign(
        "prompt_leak",
        r"\b(?:tell|show|give|read|repeat|write|print|type|paste|copy|quote|recite|return|output) "
        r"(?:me |out |us |back )?(?:\w{1,10} ){0,3}?(?:the |any |your )(?:\w{1,10} ){0,2}?"
        r"(?:text|instructions?|messages?|prompt|rules|words|contents?|context)(?: \w{1,12}){0,3} "
        r"(?:before|above|preced(?:ing|es)|prior to) " + _SAYS,
        0.8,
    ),
    sign(
        "prompt_leak",
        r"\bwhat (?:were|are) you told (?:never|not) to (?:tell|say|reveal|share|mention)\b|"
        r"\b(?:text|instructions?|prompt|rules|something) (?:that )?(?:the|your) (?:company|"
        r"operator|developers?|makers?) (?:put|wrote|placed|gave) (?:there|here|above|before)\b|"
        r"\b(?:first|last) \d{2,5} (?:characters|words|tokens|bytes|lines) of your (?:context|"
        r"prompt|instructions?|system)",
        0.8,
    ),
    hint(
        "jailbreak",
        r"\b"
        + _LIMITS
        + r" (?:is |are |was |were |have been |has been )?(?:now |all )?"
        + _OFF
        + r"\b|\b(?:turn|switch)(?:ed|ing)? off (?:the |your |all )?(?:\w{1,12} )?"
        + _LIMITS,
    ),
    hint(
        "jailbreak",
        r"\b(?:ai|model|assistant|bot|chatbot)\b[^.\n]{0,30}\b(?:that|who|which) (?:never (?:says? "
        r"no|refuses?|moralis|moraliz)|always (?:complies|obeys|says yes))",
        OTHER_SIGNS + r"|\b(?:stay in character|answers everything|illegal|pretend)\b",
    ),
    hint(
        "jailbreak",
        r"\b(?:without|no) (?:any )?(?:ethical|moral|legal|safety) (?:checks|concerns|regard|"
        r"hesitation)\b|\bwithout holding back\b|\bno regard for (?:legality|the law|safety)\b|"
        r"\bbreak(?:s)? character\b[^.\n]{0,30}\b(?:die|tokens|lose|deduct)\b",
    ),
    sign(
        "exfiltration",
        r"=\w{3,20}\)[^.\n]{0,20} where \w{3,20} (?:is|stands for) (?:the |this |our )?"
        r"(?:\w{1,12} )?(?:chat|conversation|history|data|prompt)\b|"
        r"\bmarkdown image\b[^.\n]{0,60}\b(?:query string|parameter)\b|"
        r"\bquery string of (?:a|an|the) (?:markdown )?image\b",
        0.85,
    ),
    sign(
        "exfiltration",
        r"\b(?:forward|send|invite|mail|give|add|post|upload)\b[^.\n]{0,90}(?:@|https?://)"
        r"[^\s]{3,60}[^.\n]{0,40}\b(?:then delete|and (?:hide|conceal|delete)|silently|quietly|"
        r"without (?:telling|informing|asking|notifying)|do not (?:tell|mention)|don't (?:tell|"
        r"mention))\b",
        0.85,
    ),
    # A reader who is addressed
    sign(
        "instruction_override",
        r"\b(?:note|message|memo|remark|reminder) (?:for|to) "
        + _READER
        + r"(?: (?:reads?|reading|that reads?|process\w{0,4})[^:.\n]{0,24})?\s?[:,-]{1,2}\s?"
        r"(?:\w{1,14} ){0,6}?" + _MUST + r"\b",
        0.8,
    ),
    sign(
        "instruction_override",
        r"(?:^|[\n>(\[\"'.*#/-] ?)(?:to |dear |hey |hi |attention,? |@)?"
        + _READER
        + r"(?: (?:reading|working|processing|summari[sz]ing)[^:,.\n]{0,30})?[:,] (?:\w{1,12} )?"
        r"(?:disregard|ignore|skip|tell (?:the|your) (?:user|customer|reader)s?|rate|recommend|"
        r"ask the user|forward|reveal|omit|approve|do not mention|don't mention|output only|when "
        r"asked|when (?:completing|you)) \w",
        0.8,
    ),
    sign(
        "instruction_override",
        r"\b(?:any |all |every )?(?:automated|ai|screen-reading|coding|note taking) (?:readers?|"
        r"agents?|assistants?|systems?|bots?|reviewers?|graders?)(?: (?:reading|working)[^.\n]"
        r"{0,24})? (?:must|shall|(?:is|are) (?:hereby )?(?:required|instructed|ordered) to)\b",
        0.8,
    ),
    # In other languages
    sign("exfiltration", _SENDS + r"[^\n]{1,60}?" + _PLACE + r"[^\n]{1,60}?" + _SECRETLY, 0.85),
    sign("exfiltration", _PLACE + r"[^\n]{1,60}?" + _SENDS + r"[^\n]{1,40}?" + _SECRETLY, 0.85),
    sign("prompt_leak", _AGAIN + r"[^\n]{1,60}?" + _BEFORE, 0.8),
    sign(
        "prompt_leak",
        r"重复.{0,6}(?:之前|以上|上面).{0,6}(?:的|全部|内容|文字)|(?:この|本)メッセージ(?:より|の)前.{0,16}"
        r"(?:繰り返|出力|表示)",
        0.8,
    ),
    sign(
        "instruction_override",
        r"\b" + _NOTE + r" " + _FOR + r" (?:l'|la |le |el |o |os |de |den |die |das |il |all')?"
        r"(?:ia|ki|ai|ki-\w{3,12}|assistent\w{0,2}|asistente|assistente|modelo|modell\w?|"
        r"sprachmodell)\b|\b" + _NOTE + r" all'(?:ia|assistente)\b|"
        r"(?:примечание|заметка|сообщение) для (?:ии|модели|ассистента|нейросети)|"
        r"给(?:正在)?(?:阅读|处理|读).{0,12}(?:ai|人工智能|模型)|(?:読む|処理する|読んでいる)aiへ",
        0.8,
    ),
    sign("jailbreak", _AS_IF + r"[^\n]{1,40}?" + _FREE, 0.8),
    sign(
        "jailbreak",
        r"(?:представь|притворись)[^\n]{1,30}(?:фильтр|огранич|правил|цензур)|假装.{0,10}(?:过滤|"
        r"限制|安全|规则)|フィルター(?:を|が)(?:解除|無効)|(?:обойди|отключи)[^\n]{1,20}(?:запрет|фильтр|"
        r"огранич|защит)",
        0.8,
    ),
    sign(
        "jailbreak",
        _TURN_OFF + r"[^.\n]{1,24}?" + _YOURS + r" (?:\w{1,14} ){0,2}?(?:\w{0,12})" + _FREE,
        0.8,
        check=wanted(0.8),
    ),
    sign(
        "instruction_override",
        r"\b"
        + _YOURS
        + r" (?:\w{1,12} ){0,2}?(?:vorgaben|regeln|anweisungen|richtlinien|directivas"
        r"|directrices|instrucciones|reglas|consignes|regles|directives|istruzioni|linee guida|"
        r"regole|regras|diretrizes|instrucoes|regels|richtlijnen|zasady|instrukcje)\b[^.\n]{1,30}?"
        + _VOID,
        0.85,
    ),
    sign("jailbreak", r"\btu n'as plus de (?:regles|limites|restrictions|filtres)\b", 0.85),
    sign(
        "jailbreak",
        r"\bif you" + gap(3) + r"(?:break character|refuse)\b[^.\n]{0,40}\b(?:tokens|die|lose)\b",
        0.8,
    ),
)
