# ruff: noqa: RUF001 (letters that look like others are what it is about)
"""Prompt injection in other languages than English: overruling, leaking, another self.

A verb and what it is about, near each other, in the one order or the other. Scripts without spaces
and the commonest languages have patterns of their own beside the English ones, too.
"""

import re

from octoplex.reflex.guard.patterns.phrases import hint, sign, wanted

_DROP = (
    r"(?:\b(?:ignorier\w{0,2}|vergiss|vergesst|vergessen sie|missacht\w{1,2}|ubergeh\w{0,2}|"
    r"ignora(?:r|te|ti)?|ignorez|ignoren|olvid[ae]\w{0,2}|haz caso omiso|haga caso omiso|omit[ea]|"
    r"descart[ae]|"
    r"oublie[zr]?|fai(?:s|tes) abstraction|desconsider[ae]|esqueca\w{0,2}|esquece|"
    r"ignorare|dimentica\w{0,2}|trascura\w{0,2}|negeer|vergeet|zignoruj\w{0,3}|ignoruj\w{0,3}|"
    r"zapomnij\w{0,3}|"
    r"pomin\w{0,3}|zapomen\w{0,4}|zabudni\w{0,2}|ignorera|glom|bortse|glem|overse|unohda|ohita|"
    r"hagyd figyelmen|"
    r"felejtsd|ignorati|uita\w{0,2}|unut\w{0,3}|ignoriraj\w{0,2}|zanemari\w{0,2}|zaboravi\w{0,2}|"
    r"bo qua|hay quen|phot lo|abaikan|lupakan)\b|"
    r"αγνοησ|ξεχασ|игнорир|забуд|забрав|отбрось|не обраща|ігнору|проігнор|تجاهل|انس|التغاضي|התעלמ|"
    r"התעלם|שכח|"
    r"ناديده بگير|نادیده بگیر|فراموش کن|अनदेखा|नज़रअंदाज|नजरअंदाज|भूल जा|উপেক্ষা|เพิกเฉย|ละเว้น|"
    r"ลืม|ไม่ต้องสนใจ|"
    r"yok say|gormezden gel|dikkate alma)"
)
_RULES = (
    r"(?:anweisung|instruktion|vorgabe|richtlinie|instruccion|indicacion|ordenes|consigne|"
    r"directive|"
    r"les instructions|instructions (?:pre|ci|ant)|instruco|instrucoe|istruzion|direttiv|"
    r"instructie|aanwijzing|"
    r"opdracht|instrukc|інструкц|polecen|wytyczn|pokyn|anvisning|instruks|ohjeet|ohjeita|saannot|"
    r"utasitas|"
    r"szabaly|"
    r"instructiun|indicati|talimat|yonerge|komut|uputstv|\bupute|huong dan|chi dan|chi thi|"
    r"instruksi|perintah|"
    r"arahan|οδηγι|εντολ|инструкц|указани|правил|вказівк|التعليمات|تعليمات|الأوامر|הוראות|הנחיות|"
    r"דستور|دستور|"
    r"निर्देश|নির্দেশ|คำสั่ง|คำแนะนำ)"
)
_SHOW = (
    r"(?:\b(?:zeige?|nenne?|verrate?|gib|schreib\w{0,2}|wiederhol\w{1,2}|muestra\w{0,3}|dime|"
    r"revela\w{0,2}|"
    r"repite\w{0,2}|imprime|escribe|affiche[rz]?|montre[rz]?|revele[rz]?|repete[rz]?|donne[rz]?|"
    r"ecri[st]|"
    r"mostra\w{0,2}|mostre|rivela\w{0,2}|dimmi|diga|repita|ripeti|escreva|toon|geef|onthul|herhaal|"
    r"pokaz|ujawnij|"
    r"podaj|powtorz|wypisz|visa|avsloja|vis|afslor|ukaz\w{0,2}|prozrad|vypis|mutasd|aruld|arata|"
    r"dezvaluie|goster|"
    r"acikla|nayta|paljasta|tunjukkan|ungkapkan|hien thi|tiet lo)\b|покажи|раскрой|выведи|повтори|"
    r"назови|δειξε|"
    r"αποκαλυψε|покажіть|розкрий|اكشف|أظهر|اعرض|הצג|חשוף|दिखा|बताओ|แสดง|เปิดเผย)"
)
_PROMPT = (
    r"(?:systeem.?prompt|system.?prompt|systemowy|sistem istem|sistem prompt|prompt (?:de|del|do|"
    r"du|di|da) (?:s[iy]stem|"
    r"inic)|prompt inicial|prompt initial|prompt iniziale|instrucciones (?:inici|ocult|del sistema|"
    r"orig)|instructions "
    r"(?:initiales|cachees|du systeme|secretes)|instrucoes (?:inici|ocult|do sistema)|istruzioni "
    r"(?:inizial|nascost|di "
    r"sistema|segret)|(?:geheim|verborgen|ursprunglich|versteckt)\w{0,3} (?:anweisung|instruktion|"
    r"instructie)|"
    r"систем\w{0,6} (?:промпт|инструкц|запит|подсказк)|скрыт\w{0,4} инструкц|промпт|προτροπη "
    r"συστηματος|"
    r"موجه النظام|تعليمات النظام|הנחיית המערכת|הנחיות המערכת|सिस्टम प्रॉम्प्ट|คำสั่งระบบ|"
    r"พรอมต์ระบบ)"
)
_UNBOUND = (
    r"\b(?:sin|sans|senza|sem|ohne|zonder|bez|utan|uden|uten|fara)(?: \w{1,12})? "
    r"(?:restricc\w{0,5}|restriz\w{0,5}|restric\w{0,6}|"
    r"einschrankung\w{0,2}|beschrankung\w{0,2}|limitac\w{0,5}|limitaz\w{0,4}|limites|"
    r"filt[erio]\w{0,3}|beperking\w{0,2}|"
    r"ogranicz\w{0,3}|omezen\w{0,2}|begrans\w{0,6}|begraens\w{0,6}|zensur|censura|censure|regras|"
    r"reglas|regole|regeln|regles)"
)
_BE = (
    r"(?:\b(?:du bist|sei (?:jetzt |ab jetzt |nun )?eine?|eres|tu es|vous etes|sei un|voce e|voce "
    r"agora|jestes|je bent|du ar|du er|"
    r"actua como|actua|agis|comporte|"
    r"handle als|verhalte dich|spiele|responde|antworte|reponds|rispondi|responda|antwoord|"
    r"odpowiadaj|fais comme|finge|fai finta|"
    r"tu como|stell dir vor)\b)"
)
_YOURS = (
    r"(?:deinen?|deine[rs]?|ihren?|eure|tes|vos|ton|votre|tus?|sus?|le tue|tue|i tuoi|suas?|tuas?|"
    r"seus?|je|jouw|uw|dina|din|dine|sine|twoi\w{1,3}|swoi\w{1,3}|sve|svoj\w{0,2}|sva|tvoj\w{0,2}|"
    r"omat|a|свои|свої|твои|все|усі|kurallarini|aturan|peraturan|كل|جميع|כל)"
)
_NORMS = (
    r"(?:regel|regl|regol|regra|zasad|regul|pravid|pravil|szabaly|saanto|saannot|kural|beschrank|"
    r"einschrank|beperking|richtlijn|правил|огранич|обмежен|القواعد|القيود|הכללים|הגבל)"
)
_NONE = (
    r"\b(?:keinerlei|keine?|aucune?|ninguna?|nessuna?|nenhuma?|geen|zadnych|inga|ingen|nincs) "
    r"(?:\w{1,12} )?(?:einschrankung|beschrankung|limites?\b|restric|restriz|limit|beperking|"
    r"ogranicz|"
    r"begrans|begrens|regeln?\b|zasad|filter|filtre)\w{0,6}|никаких (?:ограничен|правил)|"
    r"жодних (?:обмежен|правил)|没有任何(?:限制|规则)|制限のない|제한 ?없|دون (?:أي )?قيود|بلا "
    r"قيود|"
    r"ללא (?:שום )?הגבל|kisitlama\w{0,6} (?:yok|olmayan)|tanpa batas"
)
_REPEAT = (
    r"\b(?:wiederhol\w{1,2}|zeige?|gib|kopier\w{0,2}|recopie\w{0,3}|repete\w{0,2}|affiche\w{0,2}|"
    r"repite|copia\w{0,2}|muestra\w{0,2}|ripeti|mostra\w{0,2}|herhaal|toon|powtorz|wypisz)\b"
    r"[^\n]{1,40}?(?:uber dieser? (?:nachricht|zeile)|ci-dessus|plus haut|de arriba|anterior a "
    r"este|"
    r"qui sopra|precedente|acima|hierboven|boven dit|powyzej)|"
    r"\b(?:tes|tus|tuas|deinen?|le tue|suas|je|jouw) (?:\w{1,14} )?"
    r"(?:instruc\w{2,6}|consignes|anweisungen|istruzioni|instructies) "
    r"(?:cachees|secretes|initiales|ocultas|secretas|iniciales|nascoste|segrete|verborgen|geheime)|"
    r"\b(?:deine|ihre) (?:versteckten|geheimen|verborgenen|ursprunglichen) \w{0,16}anweisungen"
)
_MODE = (
    r"(?:进入|切换到|開啟|进入到)(?:了)?(?:开发者|越狱|無限制|无限制|上帝)模式|"
    r"開発者モード(?:に入|を有効)|"
    r"개발자 모드(?:로 전환|를 활성)|وضع المطور|gelistirici modu|"
    r"(?:安全限制|限制|规则)已(?:经)?(?:解除|取消)|制限を(?:すべて)?解除|안전 (?:규칙|제한)은? "
    r"?(?:모두 )?해제"
)
_MODELS = (
    r"\b(?:regeln?|regles|reglas|regole|regras|regels|zasad\w{0,3}|prompt\w{0,3}|assist\w{1,6}|"
    r"ki|ia|ai|"
    r"antworte|reponds|responde|rispondi|responda|antwoord|odpowiadaj|ab jetzt|desde ahora|"
    r"a partir de|vanaf nu|od teraz|maintenant|adesso|agora|artik|consignes|instru\w{2,9})\b|"
    r"ИИ|теперь|отвечай|правила|规则|忘|从现在|隐藏|提示|发送|ルール|秘密|指示|公開|규칙|숨겨|"
    r"지침|공개|"
    r"القواعد|التعليمات|أجب|اكشف|kurallar|gizli|guvenlik|הכללים"
)
_SOME = re.compile(r"(?i)\b(?:einen?|eines|une?|un|una|um|uma|een|guten?|buen|bon|jak)\b")


def _certain(value: str, left: str) -> float:
    """The prompt, not one: how to write a good one is a question."""
    return 0 if _SOME.search(value) else 0.85


TONGUES = (
    sign("instruction_override", _DROP + r"[^.\n]{0,48}?" + _RULES, 0.9, check=wanted(0.9)),
    sign("instruction_override", _RULES + r"[^.\n]{1,40}?" + _DROP, 0.85, check=wanted(0.85)),
    sign(
        "instruction_override",
        _DROP + r"[ ,]{1,2}(?:\w{1,12} ){0,2}?" + _YOURS + r" (?:\w{1,16} ){0,2}?" + _NORMS,
        0.85,
        check=wanted(0.85),
    ),
    hint("jailbreak", _NONE, _MODELS),
    sign("prompt_leak", _SHOW + r"[^.\n]{1,40}?" + _PROMPT, 0.85, check=_certain),
    sign("prompt_leak", _REPEAT, 0.8),
    hint("instruction_override", _MODE, _MODELS),
    sign("prompt_leak", _PROMPT + r"[^.\n]{1,24}?" + _SHOW, 0.8),
    sign("jailbreak", _BE + r"[^.\n]{1,60}?" + _UNBOUND, 0.8),
)
