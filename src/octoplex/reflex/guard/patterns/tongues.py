"""Prompt injection in other languages than English: overruling, leaking, another self.

A verb and what it is about, near each other, in the one order or the other. Scripts without spaces
and the commonest languages have patterns of their own beside the English ones, too.
"""

from octoplex.reflex.guard.patterns.phrases import sign

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
    r"opdracht|instrukc|polecen|wytyczn|pokyn|anvisning|instruks|ohjeet|ohjeita|saannot|utasitas|"
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

TONGUES = (
    sign("instruction_override", _DROP + r"[^.\n]{1,48}?" + _RULES, 0.9),
    sign("instruction_override", _RULES + r"[^.\n]{1,40}?" + _DROP, 0.85),
    sign("prompt_leak", _SHOW + r"[^.\n]{1,40}?" + _PROMPT, 0.85),
    sign("prompt_leak", _PROMPT + r"[^.\n]{1,24}?" + _SHOW, 0.8),
    sign("jailbreak", _BE + r"[^.\n]{1,60}?" + _UNBOUND, 0.8),
)
