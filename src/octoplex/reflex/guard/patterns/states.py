"""National identity numbers and tax numbers, by their check digits.

Where letters or a fixed separator make the shape rare, the check digit is enough. Bare digits
count only near a word that names the number: one in ten passes any check.
"""

import re
from collections.abc import Callable

from msgspec.structs import replace

from octoplex.reflex.guard import checks
from octoplex.reflex.guard import states as s
from octoplex.reflex.guard.checks import compact
from octoplex.reflex.guard.finding import Check, Pattern
from octoplex.reflex.guard.normal import anycase

_ID = (
    r"national.?id|identity|\bid (?:no|number|card|#)|id-?nummer|identification|citizen|"
    r"personal (?:id|number|code|no)"
)
_TAX = r"\btax|\bvat\b|\btin\b|fiscal|steuer|\bust|impot|\biva\b|\bbtw\b"


_OMO = r"[\dLMNP-V]"
"""A digit, or the letter that stands for it in an Italian code."""
SURE, NAMED, VAGUE = 0.96, 0.92, 0.8
"""Near a word that names just this number; by its form and check digit; near a word for many."""


def _checked(test: Callable[[str], bool], near: str) -> Check:
    """One in ten passes a check digit: a word that names the number says more."""
    if not near:
        return lambda value, left: NAMED if test(compact(value)) else 0
    word = re.compile(anycase(near), re.IGNORECASE)

    def check(value: str, left: str) -> float:
        if not test(compact(value)):
            return 0
        return SURE if word.search(left.replace("_", " ")) else VAGUE

    return check


def _national(regex: str, test: Callable[[str], bool], near: str = "", also: str = _ID) -> Pattern:
    return _number("national_id", regex, test, near, also)


def _tax(regex: str, test: Callable[[str], bool], near: str = "", also: str = _TAX) -> Pattern:
    return _number("tax_id", regex, test, near, also)


def _number(name: str, regex: str, test: Callable[[str], bool], near: str, also: str) -> Pattern:
    return Pattern(
        kind="pii",
        type=name,
        regex=rf"\b(?:{regex})\b",
        not_before="._-\\+",
        after=r"[._-]?\w",
        near=near and f"{near}|{also}",
        check=_checked(test, near),
    )


def _runs(regex: str, *ways: tuple[str, Callable[[str], bool]]) -> Pattern:
    """Digits of one length that many states have: near the word of one, by its check digit."""
    words = [(re.compile(anycase(near), re.IGNORECASE), test) for near, test in ways]
    anyone = re.compile(_ID, re.IGNORECASE)

    def check(value: str, left: str) -> float:
        number = compact(value)
        passed = [word for word, test in words if test(number)]
        left = left.replace("_", " ")
        if any(word.search(left) for word in passed):
            return SURE
        return VAGUE if passed and anyone.search(left) else 0

    near = "|".join([near for near, _ in ways] + [_ID])
    return replace(_number("national_id", regex, _shape, "", ""), near=near, check=check)


def _vat(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda code: test(code[2:])


def _shape(code: str) -> bool:
    return not checks.repeats(checks.digits(code))


def _pan(code: str) -> bool:
    """The fourth letter says what kind of holder."""
    return code[3] in "ABCFGHLJPT"


def _loosely(regex: str, near: str) -> Pattern:
    """Of any form, near a word that names it: the least certain."""

    def check(value: str, left: str) -> float:
        return 0.7 if len(checks.digits(value)) > 5 and _shape(value) else 0

    return replace(_number("national_id", regex, _shape, "", ""), near=near, check=check)


STATES = (
    # Letters, or separators that nothing else has
    _national(
        r"(?i:(?:\d{8}|\d{1,2}\.\d{3}\.\d{3})[- ]?[A-Z]|[XYZ][- ]?\d{7}[- ]?[A-Z])", s.spain_dni
    ),
    _national(
        r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
        s.france_nir,
    ),
    _national(
        r"(?i:[A-Z]{6}" + _OMO + r"{2}[A-EHLMPRST]" + _OMO + r"{2}[A-Z]" + _OMO + r"{3}[A-Z])",
        s.italy_code,
        r"carta d.identita|documento",
    ),
    _tax(
        r"(?i:[A-Z]{6} ?" + _OMO + r"{2}[A-EHLMPRST]" + _OMO + r"{2} ?[A-Z]" + _OMO + r"{3}[A-Z])",
        lambda code: len(checks.digits(code)) > 1 and s.italy_code(code),
    ),
    _national(r"\d{3}\.\d{3}\.\d{3}-\d{2}", s.brazil_cpf),
    _tax(r"[\dA-Z]{2}\.[\dA-Z]{3}\.[\dA-Z]{3}/[\dA-Z]{4}-\d{2}", s.brazil_cnpj),
    _national(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", s.belgium_nrn),
    _national(r"756\.\d{4}\.\d{4}\.\d{2}", s.swiss_ahv),
    _national(r"(?i:[STFGM]\d{7}[A-Z])", s.singapore_nric),
    _national(r"[A-Z][12]\d{8}", s.taiwan_id),
    replace(
        _national("", s.hong_kong_id), regex=r"\b[A-Z]{1,2}\d{6}\([0-9A]\)"
    ),  # no border of a word behind it
    _national(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", s.finland_hetu),
    _national(r"\d{2}[0-1]\d[0-3]\d-\d{7}", s.korea_rrn),
    _national(r"[1-9]\d{5}(?:19|20)\d{9}[\dX]", s.china_id),
    _national(r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", s.chile_rut),
    _national(r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d", s.mexico_curp),
    _national(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _shape),
    _national(r"[2-9]\d{3} \d{4} \d{4}", s.aadhaar),
    _national(r"\d{3} \d{3} \d{3}|\d{3}-\d{3}-\d{3}", checks.luhn, r"\bsin\b|social insurance"),
    _tax(r"[A-Z]{5}\d{4}[A-Z]", _pan),
    _tax(r"\d{2}[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]", s.india_gstin),
    _tax(r"(?:20|2[347]|30|33)-\d{8}-\d", s.argentina_cuit),
    _tax(r"[ABCDEFGHJNPQRUVW]-?\d{7}[0-9A-J]", s.spain_cif, r"\bcif\b|\bnif\b"),
    _tax(r"DE ?\d{3} ?\d{3} ?\d{3}", _vat(s.iso11_10)),
    _tax(r"ATU ?\d{8}", lambda code: s.austria_vat(code[3:])),
    _tax(r"BE ?[01]\d{3}[ .]?\d{3}[ .]?\d{3}", _vat(s.belgium_vat)),
    _tax(r"NL ?\d{9} ?B\d{2}", lambda code: s.netherlands_bsn(code[2:11]) or s.iban_like(code)),
    _tax(r"FR ?[0-9A-HJ-NP-Z]{2} ?\d{3} ?\d{3} ?\d{3}", _vat(s.france_vat)),
    _tax(r"IT ?\d{11}|LU ?\d{8}", lambda code: code[0] == "L" or checks.luhn(code[2:])),
    _tax(r"ES ?[A-Z]\d{7}[0-9A-J]", _vat(s.spain_cif)),
    _tax(r"PL ?\d{3}-?\d{3}-?\d{2}-?\d{2}", _vat(s.poland_nip)),
    _tax(r"PT ?\d{9}", _vat(s.portugal_nif)),
    _tax(r"FI ?\d{8}", _vat(s.finland_vat)),
    _tax(r"DK ?\d{2} ?\d{2} ?\d{2} ?\d{2}", _vat(s.denmark_vat)),
    _tax(r"SE ?\d{10}01", lambda code: checks.luhn(code[2:12])),
    _tax(r"CHE-?\d{3}\.?\d{3}\.?\d{3}", _shape),
    _national(
        r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        _shape,
        r"\bnino?\b|national insurance",
        also=r"\bni (?:no|number)",
    ),
    _national(r"[1-8]-\d{4}-\d{5}-\d{2}-\d|[1-8] \d{4} \d{5} \d{2} \d", s.thailand_id),
    _national(r"784-\d{4}-\d{7}-\d", s.emirates_id),
    _national(r"[1-7]\d{4}-\d{7}-\d|GHA-\d{9}-\d", _shape),
    _national(r"\d{3}-\d{3}-\d{3}[ -]\d{2}", s.russia_snils),
    _national(r"\d\.\d{3}\.\d{3}-\d", s.uruguay_id),
    _national(
        r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
        s.germany_insurance,
        r"versicherung|\b(?:sv|rv)-?(?:nr|nummer)|\bsvnr|\brvnr",
    ),
    _national(
        r"\d{6}-\d{2}-\d{4}",
        s.dated_id,
        r"my ?kad|\bnric\b|\bi\.?c\.? ?(?:no|number)|kad pengenalan|malaysia|\bic\b",
    ),
    _national(r"\d{6}-\d{5}", s.latvia_id, r"person(?:as|al) (?:kod|code)|latvia|p\.k\."),
    _national(r"\d{6}-?\d{4}", s.iceland_id, r"kennitala|\bkt\b"),
    # Without a check digit that is known, only where it is called one
    _national(
        r"(?:\d{9}[VX]|\d{8}|\d{2}\.\d{3}\.\d{3})",
        _shape,
        r"\bdni\b|\bnic\b|documento nacional",
        also=r"sri lanka",
    ),
    _loosely(
        r"(?:[A-Z]{1,3}[ -]?)?\d[A-Z0-9]{5,12}|"
        r"(?:[A-Z]-)?\d{1,3}(?:[ .-]\d{2,6}){2,4}(?:-[A-Z0-9])?",
        r"national id(?:entity|entification)?(?: card)?|\bid card|identity card|personalausweis|"
        r"ausweisn|"
        r"carte (?:nationale )?d.identite|carta d.identita|documento de identidad|cedula|"
        r"dowod osobist|"
        r"citizen(?:ship)? (?:id|number|no)|身份证|주민등록",
    ),
    # Bare digits
    _national(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", s.brazil_cpf, r"\bcpf\b"),
    _national(r"\d{4}[ -]?\d{4}[ -]?\d{4}", s.aadhaar, r"aadhaa?r|uidai|आधार"),
    _national(
        r"\d{4}[ .-]?\d{2}[ .-]?\d{3}|\d{9}|\d{3}[ .-]\d{3}[ .-]\d{3}",
        s.netherlands_bsn,
        r"\bbsn\b|burgerservice|sofi",
    ),
    _runs(
        r"\d{9}",
        (r"teudat|israeli? id|תעודת|זהות", s.israel_id),
        (r"\bsin\b|social insurance", checks.luhn),
        (r"\btaj\b", s.hungary_taj),
    ),
    _runs(
        r"\d{10}",
        (r"\begn\b|егн|единен граждански", s.bulgaria_egn),
        (r"\biran|melli|کد ملی|كد ملي|ملی", s.iran_id),
        (r"cedula|ecuador", s.ecuador_id),
        (r"iqama|saudi|هوية|الهوية|اقامة", lambda n: n[0] in "12" and checks.luhn(n)),
    ),
    _runs(
        r"\d{11}",
        (r"rijksregister|registre national|\bnrn\b|\bniss\b|\binsz\b", s.belgium_nrn),
        (r"\bpesel\b", s.poland_pesel),
        (r"\bt\.?c\.? ?(?:kimlik|no)|kimlik|tckn", s.turkey_id),
        (r"\boib\b", s.iso11_10),
        (r"\bamka\b|αμκα", s.greece_amka),
        (r"isikukood|asmens kod", s.baltic_pin),
        (r"\bnin\b|\bbvn\b", _shape),
    ),
    _runs(
        r"\d{12}",
        (r"\biin\b|жсн|иин", s.kazakhstan_id),
        (r"\bcccd\b|can cuoc|\bcmnd\b|vietnam", lambda n: n[:3] < "097" and _shape(n)),
    ),
    _runs(
        r"\d{13}|\d{6} \d{4} \d{3}",
        (r"\bsa id\b|south african|\bid[ -]?(?:nommer|number|no\b)", s.south_africa_id),
        (r"\bcnp\b|cod numeric", s.romania_cnp),
        (r"\bjmbg\b|\bemso\b|матичн|maticn", s.balkan_id),
        (r"thai|ประชาชน", s.thailand_id),
        (r"matricule|luxemb", _shape),
    ),
    _runs(r"\d{14}", (r"egypt|القومي", s.egypt_id)),
    _runs(r"\d{15}", (r"emirates|\buae\b|الإمارات", s.emirates_id)),
    _runs(r"\d{16}", (r"\bnik\b|\bktp\b", s.indonesia_id)),
    _runs(
        r"\d{4} \d{6}",
        (r"versicherungs|\bsvnr|\bsv-?(?:nr|nummer)|e-?card", s.austria_insurance),
    ),
    _national(r"756\d{10}", s.swiss_ahv, r"\bahv|\bavs\b"),
    _national(r"\d{4}[ -]?\d{4}[ -]?\d{4}", s.japan_number, r"my ?number|マイナンバー|個人番号"),
    _national(r"(?:19|20)?\d{6}[-+ ]?\d{4}", s.sweden_pin, r"personn(?:umme)?r\b|\bpnr\b"),
    _national(r"\d{6} ?\d{5}", s.norway_pin, r"fodselsn|personn(?:umme)?r\b|\bfnr\b"),
    _national(r"\d{6}[- ]?\d{4}", s.denmark_cpr, r"\bcpr\b"),
    _national(r"\d{7,8}-?[\dkK]", s.chile_rut, r"\brut\b|\brun\b"),
    _national(r"\d{6}/?\d{4}", s.czech_rc, r"rodne cislo|\brc\b"),
    _national(r"\d{4} ?\d{5} ?\d(?:[ /-]?\d)?", s.australia_medicare, r"medicare"),
    _national(r"\d{7}[A-W][A-IW]?", s.ireland_pps, r"\bppsn?\b|\bpsp\b|personal public"),
    _tax(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", s.germany_id, r"steuer|idnr|identifikationsnummer|\btin\b"),
    _tax(r"\d{11}", checks.luhn, r"partita|p\.? ?iva"),
    _tax(r"\d{3} ?\d{3} ?\d{3}(?: ?\d{5})?", checks.luhn, r"siren|siret"),
    _tax(r"\d{3}-?\d{3}-?\d{2}-?\d{2}", s.poland_nip, r"\bnip\b"),
    _tax(r"\d{3} ?\d{3} ?\d{3}", s.portugal_nif, r"\bnif\b|contribuinte"),
    _tax(r"[\dA-Z]{12}\d{2}", s.brazil_cnpj, r"\bcnpj\b"),
    _tax(r"\d{9}", s.greece_afm, r"\bafm\b|αφμ|α.φ.μ"),  # noqa: RUF001
    _tax(r"\d{3}[ -]?\d{3}[ -]?\d{3}", s.australia_tfn, r"\btfn\b|tax file"),
    _tax(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", s.australia_abn, r"\babn\b|business number"),
    _tax(r"\d{11}", s.argentina_cuit, r"\bcui[tl]\b"),
    _tax(r"\d{2}-?\d{7}", _shape, r"(?:\b|_)f?ein(?:\b|_)|employer ?(?:id|ein)|federal tax"),
    _tax(r"\d{7}-\d", s.finland_vat, r"y-?tunnus|fo-?nummer|business id"),
    _tax(r"\d{3}\.?\d{3}\.?\d{3}-?\d", s.colombia_nit, r"\bnit\b"),
    _tax(r"[12]\d{10}", s.peru_ruc, r"\bruc\b"),
    _tax(r"\d{3}-?\d{2}-?\d{5}", s.korea_business, r"사업자|business registration"),
    _tax(r"\d{10}", s.ukraine_tax, r"рнокпп|іпн|\bipn\b|rnokpp"),
    _tax(r"\d{2,3}-?\d{3}-?\d{3}", _shape, r"\bird\b", also="new zealand"),
    _tax(r"\d{10}|\d{12}", s.russia_inn, r"инн|ИНН|(?:\b|_)inn(?:\b|_)", also=r"tax(?:payer)? id"),
    _tax(r"GB ?\d{3} ?\d{4} ?\d{2}(?: ?\d{3})?", _shape, r"vat"),
    _tax(
        r"(?:AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI|"
        r"CHE|NO) ?[A-Z0-9][ .-]?[0-9](?:[ .-]?[A-Z0-9]){5,10}",
        lambda code: len(checks.digits(code)) > 6 and _shape(code),
        r"vat|ust|tva|iva|btw|moms|alv|nds|dic\b|dph|mwst",
    ),
    _tax(r"\d{5} ?\d{5}", _shape, r"\butr\b|unique taxpayer"),
    _tax(r"\d{2,3}/\d{3}/\d{4,5}", _shape, r"steuernummer|st\.?-?nr"),
    _tax(r"[A-Z&]{3,4}\d{6}[A-Z0-9]{3}", _shape, r"\brfc\b"),
    _tax(
        r"\d{13}|[A-Z0-9]\d{7}[A-Z]",
        lambda code: code[:-1].isdigit() or s.spain_dni(code),
        r"\bnif\b",
    ),
)
