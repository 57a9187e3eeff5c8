"""Birth and papers: dates of birth, passports, licences, vehicles, health and bank numbers.

Most have no check digit that is known, or one that a tenth of all numbers pass: they count near
a word that names them, in the languages of those who hold them. Names of members
(`dateOfBirth`, `nhs_number`) are such words, too.

References: ICAO Doc 9303 (passports and their lines for machines), DVLA (driver numbers), ISO 3779
and 3780 (vehicles and their makers), NHS data dictionary, ABA.
"""

import re

from octoplex.reflex.guard import checks
from octoplex.reflex.guard.checks import compact, digits
from octoplex.reflex.guard.finding import Check, Pattern
from octoplex.reflex.guard.normal import anycase, fold
from octoplex.reflex.guard.patterns.personal import numeric, personal

_MONTH = (
    "(?i:jan|ene|gen|feb|fev|mar|maer|apr|avr|abr|may|mai|mag|maj|mei|jun|juin|giu|jul|juil|lug|"
    "aug|ago|aou|sep|set|oct|okt|ott|out|nov|dec|dez|dic|des)[a-z]{0,7}"
)
_WORD = r"[^\x00-@\[-`{-\x7f ]{2,}"
"""Any word, for the months of all other languages."""
_YEAR = r"(?:19|20)\d{2}"
_DAY = (
    r"(?:昭和|平成|令和)\d{1,2}年\d{1,2}月\d{1,2}日|"
    r"\b(?:\d{4} ?[-/.] ?\d{1,2} ?[-/.] ?\d{1,2}|\d{1,2} ?[-/.] ?\d{1,2} ?[-/.] ?\d{2,4}"
    r"|\d{1,2} \d{1,2} \d{4}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|er|o)?(?: of| de)? ?-?/?{_MONTH}\.?,?(?: de| del)?[ /-]?"
    rf"(?:{_YEAR}|\d{{2}}\b)"
    rf"|\d{{1,2}}\.? {_WORD} {_YEAR}(?: ?\x{{433}}\.?)?"
    rf"|{_MONTH}\.? ?(?:the )?\d{{1,2}}(?:st|nd|rd|th)?,? ?(?:of )?{_YEAR}"
    rf"|{_YEAR},? {_MONTH} \d{{1,2}}"
    r"|\d{1,2}[ .](?:I{1,3}|IV|VI{0,3}|IX|XI{0,2})[ .]\d{4}"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"|\d{4} ?(?:年|년) ?\d{1,2} ?(?:月|월) ?\d{1,2} ?(?:日|일)?)"
)
_BIRTH_WORD = (
    r"(?:\b|_)dob(?:\b|_)|\bd\.? ?o\.? ?b\b|birth|\bb-?day|\bborn\b|bdate|geb\.|geboren|geburt|"
    r"naissance|\bnee? (?:le|en|a)\b|\bne\(e\)|nacid[oa]|nacimiento|fecha.?nac|nat[oa] (?:il|a|"
    r"nel)|"
    r"nascita|nascimento|nascid[oa]|urodz|fodt|fodd|fodels|syntyn|syntyma|geboorte|narozen|"
    r"narodenia|szulet|dogum|nascut|nasteri|rodjen|roden|dzimis|gimim|syndinud|sundinud|\bd0b\b|"
    r"kapanganakan|kuzaliwa|\bgebore\b|breithe|роден|туган куни|туған күні|"
    r"生年月日|出生|生日|생년월일|생일|рожд|родил|народж|γεννηση|γεννηθ|ميلاد|לידה|जन्म|"
    r"cumple|anniversaire|compleanno|aniversario|verjaardag|誕生日|\bb\. ?|"
    r"turn(?:s|ed|ing) \d{1,3} on|"
    r"\bnaci\b|nasceu|\bnasci\b|\bur\.|gebdat|\bnac\.|\bnasc\.|ngay sinh|tanggal lahir|วันเกิด"
)
_ANOTHER_DAY = re.compile(
    r"(?i)(?:creat|updat|expir|issu|valid|modif|sign|due|migrat|effect|sent|report|"
    r"hired|join|receiv|admi)\w{0,8}[^\n]{0,8}$"
)


def _born(value: str, left: str) -> float:
    if _ANOTHER_DAY.search(left[-24:]):
        return 0
    if value.isdigit():
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return 0.9 if checks.birthday(value) else 0


def _vin(value: str, left: str) -> float:
    return 0.9 if checks.vin(value) else 0


def _vin_named(value: str, left: str) -> float:
    """Outside North America the ninth character is free."""
    code = value.upper()
    mixed = not code.isdigit() and not code.isalpha()
    return 0.85 if mixed and code[13:].isdigit() and not checks.repeats(code) else 0


_MAKERS = frozenset(
    re.findall(
        r"\w+",
        "WVW WV1 WV2 WVG WAU WA1 WUA WBA WBS WBY WDB WDC WDD WDF W1K W1N W1V WMA WME WMW WP0 WP1 "
        "W0L W0V WF0 WJM VF1 VF2 VF3 VF6 VF7 VF8 VFE VR1 VR3 VR7 VNK VNE VSS VSE VSK VS6 VS7 VWV "
        "VXK VBK TMA TMB TMT TRU TSM TK9 UU1 UU3 UU6 X7L X7M XTA XTT XTC XW7 XW8 XMC XL9 XLR XLE "
        "YS2 YS3 YV1 YV2 YV3 YV4 YK1 ZAM ZAR ZFA ZFC ZFF ZHW ZLA ZAP ZDM ZCF SAL SAJ SAR SCA SCB "
        "SCC SCF SDB SB1 SHH SHS SJN SFZ SUU SUP JA3 JA4 JF1 JF2 JH2 JH4 JHM JM1 JMB JMY JMZ JN1 "
        "JN8 JS1 JS2 JS3 JT1 JT2 JT3 JT4 JTD JTE JTH JTJ JTK JTL JTM JTN JYA JKA JSA JSB KL1 KLA "
        "KLY KMH KM8 KNA KNB KNC KND KNE KNM KPA KPT LVS LSV LSG LFV LFP LBV LGB LGX LHG LJD LRW "
        "LSJ LTV LVG LVH LVV LZW L6T LDC MA1 MA3 MAH MAJ MAK MAT MBH MBJ MBL MHF MMB MMT MNB MPA "
        "MR0 MRH NLA NLE NLH NMT NM0 NM4 PL1 AAV AHT 6FP 6G1 6H8 6T1 8AD 8AF 8AG 8AJ 8AP 8AW 8AC "
        "9BD 9BF 9BG 9BH 9BM 9BR 9BW 93H 93Y 935 936 988 94D 95P XTU Y6D ",
    )
)
"""World manufacturer identifiers outside North America (ISO 3780)."""


def _vin_made(value: str, left: str) -> float:
    """Of a known maker: letters among its first nine, and a serial of digits at its end."""
    letters = sum(c.isalpha() for c in value)
    return 0.8 if value[:3] in _MAKERS and value[13:].isdigit() and letters > 3 else 0


_HEALTH = re.compile(
    r"(?i)nhs|patient|hospital|surgery|\bgp\b|clinic|referr|appointment|ward|admi(?:tted|ssion)|"
    r"health|medical|consult|\bmrn\b|practice"
)


def _nhs_alone(value: str, left: str) -> float:
    """As it is printed, of a block that England gives out, where it is about health."""
    number = digits(value)
    talks = number[0] in "467" and _HEALTH.search(left) is not None
    return 0.9 if talks and checks.nhs(number) else 0


def _machine(value: str, left: str) -> float:
    """The second line of a passport: the check digit over its number (ICAO 9303, 4.9)."""
    total = sum((0 if c == "<" else int(c, 36)) * (7, 3, 1)[i % 3] for i, c in enumerate(value[:9]))
    return 0.98 if str(total % 10) == value[9] else 0


_LICENCE_WORD = (
    r"driv\w{2,4}['`]?s?['`]?[ _-]?li[cz]\w{0,7}|(?:\b|_)dl(?:[ _]?(?:number|no\b|num|#|:|n\b)|\b "
    r"?[:=#])"
    r"|\blic(?:en[cs]e)?[ _.]?(?:number|no\b|num|nr|#|id)|permit (?:no|number)|\bdvla\b|\bdmv\b|"
    r"fue?hrerschein|fahrerlaubnis|permis de conduire|"
    r"\bpermis(?:[\"\']?\s{0,2}[:=>|]|$)|\bpatente(?:[\"\']?\s{0,2}[:=>|]|$)|"
    r"[a-z]{4,13} dl\b|\blicen[cs]e$|"
    r"n. (?:du )?permis|(?:licencia|carnet|carne|"
    r"permiso) de (?:conduc|manejo)|patente (?:di guida|n|b)|rijbewijs|prawo jazdy|prawa jazdy|"
    r"\bdriver (?:id|no|number|#)|\bd/l\b|conduc(?:ir|tor|cao)|conduire|fahrer(?:karte|nummer)|"
    r"면허|"
    r"carta de conducao|\bcnh\b|korkort|forerkort|korekort|ajokortti|ehliyet|surucu belgesi|"
    r"ridicsky prukaz|vodicsky|jogositvany|permis auto|водительск|права №|"
    r"\b(?-i:(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|"
    r"RI|"
    r"S[CD]|T[NX]|UT|V[AT]|W[AIVY]),?[ -](?:DL|OLN|D\.L\.)|OLN)(?:\b|_)|driv\w{2,4} id|"
    r"驾驶证|驾照|駕照|免許|운전면허|\bsim [abc]\b"
)
_PASSPORT_WORD = (
    r"passports?|pasport|reisepass|\bpass[ .-]?(?:nr|nummer|no\b)|passnummer|passeport|pasaporte|"
    r"passaporto|paspoort|paszport|pasaport|passaporte|pasaportul|utlevel|cestovni pas|passi\b|"
    r"travel doc|reisedokument|护照|護照|パスポート|旅券|여권|паспорт|διαβατηριο|جواز|דרכון|"
    r"पासपोर्ट|"
    r"ho chieu|paspor\b|หนังสือเดินทาง"
)
_BANK_WORD = (
    r"routing|(?:\b|_)aba(?:\b|_)|\brtn\b|transit|\bach\b|\bwires?\b|\br/?t(?: ?no| ?number|#|\.)|"
    r"bank(?:ing)?\b|\x{2446}|deposit|payroll|credit union|\bfedwire|checking|savings"
)
_VIN_WORD = (
    r"(?:\b|_)vin(?:\b|_)|carfax|autocheck|odometer|vinnumber|vincode|chassis|"
    r"frame (?:no|number)|vehicle|car\b|fahrgestell|"
    r"fahrzeug|\bfin\b|bastidor|telaio|chasis|chassi\b|podwoz|alvaz|şasi|sasi no|"
    r"车架|車台|車架|차대|шасси|кузов"
)

_DATE = re.compile(r"(?:19|20)\d\d-\d\d(?:-\d\d)?|(?:\d\d?-)?\d\d?-(?:19|20)\d\d")
_CLOSE = r")[^\n]{0,16}$"
_LICENCE_LABEL = re.compile("(?i:" + anycase(_LICENCE_WORD) + r"|licen[cs]e" + _CLOSE)
_PASSPORT_LABEL = re.compile("(?i:" + anycase(_PASSPORT_WORD) + _CLOSE)
"""Directly before it: then it is this, whatever else it looks like."""


def _licence(value: str, left: str) -> float:
    """Three digits at least: no word of a sentence in capitals."""
    plain, left = compact(value), left.replace("_", " ")
    if _DATE.fullmatch(value) or len(digits(value)) < 3 or len(plain) < 6 or checks.repeats(plain):
        return 0
    return 0.88 if _LICENCE_LABEL.search(left) else 0.72


def _passport(value: str, left: str) -> float:
    if len(digits(value)) < 2:
        return 0
    return 0.95 if _PASSPORT_LABEL.search(left.replace("_", " ")) else 0.8


def _coded(name: str, codes: str, check: Check) -> Pattern:
    """An identifier in a message of HL7 (CX): number, check digit, scheme, authority, type."""
    return personal(
        name,
        r"\b[A-Z0-9-]{5,20}\^[^\^|~\s]{0,6}\^[^\^|~\s]{0,6}\^(?:[^\^|~\n]{0,24}\^)?(?:"
        + codes
        + r")\b",
        trim=lambda value, left: value.index("^"),
        check=check,
    )


PAPERS = (
    _coded("nhs_number", "NHS|NH", numeric(checks.nhs, 0.98)),
    _coded("ssn", "SS", numeric(checks.ssn, 0.98)),
    _coded("driver_license", "DL", lambda value, left: 0.97 if len(digits(value)) > 2 else 0),
    _coded("passport", "PPN", lambda value, left: 0.97 if len(digits(value)) > 2 else 0),
    _coded(
        "national_id", "NI|NN[A-Z]{2,3}", lambda value, left: 0.97 if len(digits(value)) > 4 else 0
    ),
    _coded("tax_id", "TAX", lambda value, left: 0.97 if len(digits(value)) > 4 else 0),
    personal(
        "date_of_birth",
        fold(_DAY),
        near=_BIRTH_WORD,
        reach=96,
        after=r"\d|[-/.]\d",
        check=_born,
    ),
    personal(
        "date_of_birth",
        r"(?:19|20)\d{6}",
        lead=r"\bPID\|(?:[^|\n]{0,48}\|){6}",
        after=r"\d",
        check=_born,
        longest=384,
    ),
    personal(
        "date_of_birth",
        r"\d{2}[./-]\d{2}[./-]\d{4}",
        lead=r"\n3\.? ",
        near=_LICENCE_WORD,
        reach=96,
        after=r"\d",
        check=_born,
    ),
    personal(
        "passport",
        r"\b(?:[A-Z]{1,3}[ -]?\d{5,9}[A-Z]?|\d{7,9}|[A-Z0-9]{9}|[A-Z]\d{3}[A-Z]\d{4}|"
        r"\d{2} \d{7}|\d{2} ?\d{2} (?:№ ?)?\d{6}|[A-Z]{2}\d{2}[A-Z]{2}\d{3})\b",
        near=_PASSPORT_WORD,
        reach=48,
        after=r"[-_]\w",
        check=_passport,
    ),
    personal(
        "passport",
        r"\b[A-Z0-9<]{9}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}[0-9<]\d?",
        check=_machine,
    ),
    personal("passport", r"\bP[A-Z<][A-Z<]{3}[A-Z]{1,38}<[A-Z<]{5,40}", score=0.95),
    personal("vin", r"\b[A-HJ-NPR-Z0-9]{17}\b", not_before="-_", after=r"[-_]\w", check=_vin),
    personal("vin", r"\b[A-HJ-NPR-Z0-9]{13}\d{4}\b", not_before="-_", check=_vin_made),
    personal(
        "vin",
        r"(?i:\b[A-HJ-NPR-Z0-9]{13}\d{4}\b)",
        near=_VIN_WORD,
        reach=64,
        check=_vin_named,
    ),
    personal(
        "nhs_number",
        r"\b\d{3}[ -]?\d{3}[ -]?\d{4}\b",
        near=r"nhs|national health|patient|health (?:number|no|id)",
        reach=64,
        after=r"[-_.]\w",
        check=numeric(checks.nhs, 0.97),
    ),
    personal("nhs_number", r"\b\d{3} \d{3} \d{4}\b", after=r"[-_.]\w", check=_nhs_alone),
    personal(
        "driver_license",
        r"\b\d{5}/\d{2}/\d{4}\b|\b[A-Z0-9](?:[ *-]?[A-Z0-9]){4,19}\b",
        near=_LICENCE_WORD,
        reach=48,
        after=r"[-_]\w",
        check=_licence,
    ),
    personal(
        "driver_license",
        r"\b[A-Z9]{5} ?\d[0156]\d[0-3]\d\d ?[A-Z9]{2}[A-Z0-9]\d?[A-Z]{2}\b",
        score=0.85,
    ),
    personal(
        "driver_license",
        r"\b(?:[A-Z]\d{3}-\d{4}-\d{4}(?:-\d{2})?|[A-Z]\d{3}-\d{3}-\d{2}-\d{3}-\d|"
        r"[A-Z]-\d{3}-\d{3}-\d{3}-\d{3}|[A-Z]\d{4}-\d{5}-\d{5}|[A-Z]\d{4}-\d{6}-\d{2}|"
        r"[A-Z]\d{4} \d{5} \d{5}|WDL[A-Z0-9]{9}|[A-Z]{2}-?\d{2} ?(?:19|20)\d{2} ?\d{7})\b",
        not_before="._-",
        after=r"[-_]\w",
        score=0.75,
    ),
    personal(
        "driver_license",
        r"[A-Z]{1,2}\d{6,14}\b",
        lead=r"(?i:licen[cs]e)[\"']?(?: is|:|#| #| =|,|\|)? ?[\"']?",
        check=_licence,
    ),
    personal(
        "routing_number",
        r"\b\d{9} \(?(?:ABA|RTN)\b",
        not_before="._-",
        trim=lambda value, left: 9,
        check=numeric(checks.aba, 0.95),
    ),
    personal(
        "routing_number",
        r"\b\d{9}\b|\b\d{4}-\d{4}-\d\b",
        not_before="._-",
        after=r"[-_.]\w",
        near=_BANK_WORD,
        reach=64,
        check=numeric(checks.aba),
    ),
)
