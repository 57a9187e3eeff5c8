"""National identity numbers and tax numbers, by their check digits.

Where letters or a fixed separator make the shape rare, the check digit is enough. Bare digits
count only near a word that names the number: one in ten passes any check.
"""

from collections.abc import Callable

from octoplex.reflex.guard import checks
from octoplex.reflex.guard import states as s
from octoplex.reflex.guard.checks import compact
from octoplex.reflex.guard.finding import Check, Pattern

_ID = (
    r"national.?id|identity|\bid (?:no|number|card|#)|id-?nummer|identification|citizen|"
    r"personal (?:id|number|code|no)"
)
_TAX = r"\btax|\bvat\b|\btin\b|fiscal|steuer|\bust|impot|\biva\b|\bbtw\b"


def _checked(test: Callable[[str], bool], score: float) -> Check:
    return lambda value, left: score if test(compact(value)) else 0


def _national(regex: str, test: Callable[[str], bool], near: str = "", also: str = _ID) -> Pattern:
    return _number("national_id", regex, test, f"{near}|{also}" if near else "")


def _tax(regex: str, test: Callable[[str], bool], near: str = "", also: str = _TAX) -> Pattern:
    return _number("tax_id", regex, test, f"{near}|{also}" if near else "")


def _number(name: str, regex: str, test: Callable[[str], bool], near: str) -> Pattern:
    return Pattern(
        kind="pii",
        type=name,
        regex=rf"\b(?:{regex})\b",
        not_before="._-\\",
        after=r"[._-]?\w",
        near=near,
        check=_checked(test, 0.96 if near else 0.92),
    )


def _vat(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda code: test(code[2:])


def _shape(code: str) -> bool:
    return not checks.repeats(checks.digits(code))


def _pan(code: str) -> bool:
    """The fourth letter says what kind of holder."""
    return code[3] in "ABCFGHLJPT"


STATES = (
    # Letters, or separators that nothing else has
    _national(r"(?i:\d{8}[- ]?[A-Z]|[XYZ][- ]?\d{7}[- ]?[A-Z])", s.spain_dni),
    _national(
        r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
        s.france_nir,
    ),
    _national(
        r"(?i:[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z])",
        s.italy_code,
        r"carta d.identita|documento",
    ),
    _tax(r"(?i:[A-Z]{6} ?\d{2}[A-EHLMPRST]\d{2} ?[A-Z]\d{3}[A-Z])", s.italy_code),
    _national(r"\d{3}\.\d{3}\.\d{3}-\d{2}", s.brazil_cpf),
    _tax(r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", s.brazil_cnpj),
    _national(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", s.belgium_nrn),
    _national(r"756\.\d{4}\.\d{4}\.\d{2}", s.swiss_ahv),
    _national(r"(?i:[STFGM]\d{7}[A-Z])", s.singapore_nric),
    _national(r"[A-Z][12]\d{8}", s.taiwan_id),
    _national(r"[A-Z]{1,2}\d{6}\([0-9A]\)", s.hong_kong_id),
    _national(r"\d{6}[-+A-F]\d{3}[0-9A-Y]", s.finland_hetu),
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
    _tax(r"[ABCDEFGHJNPQRUVW]-?\d{7}[0-9A-J]", s.spain_cif),
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
    # Without a check digit that is known, only where it is called one
    _national(
        r"(?:[A-Z]{1,3}[ -]?)?\d[A-Z0-9]{5,12}|\d{1,3}(?:[ .-]\d{2,6}){2,4}(?:-[A-Z0-9])?",
        lambda code: len(checks.digits(code)) > 5 and _shape(code),
        r"national id(?:entity|entification)?(?: card)?|\bid card|identity card|personalausweis|"
        r"ausweisn|"
        r"carte (?:nationale )?d.identite|carta d.identita|documento de identidad|cedula|"
        r"dowod osobist|"
        r"citizen(?:ship)? (?:id|number|no)",
        also="身份证|주민등록",
    ),
    # Bare digits
    _national(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", s.brazil_cpf, r"\bcpf\b"),
    _national(r"\d{4}[ -]?\d{4}[ -]?\d{4}", s.aadhaar, r"aadhaa?r|uidai|आधार"),
    _national(
        r"\d{4}[ .-]?\d{2}[ .-]?\d{3}|\d{9}", s.netherlands_bsn, r"\bbsn\b|burgerservice|sofi"
    ),
    _national(
        r"\d{11}", s.belgium_nrn, r"rijksregister|registre national|\bnrn\b|\bniss\b|\binsz\b"
    ),
    _national(r"\d{11}", s.poland_pesel, r"\bpesel\b"),
    _national(r"756\d{10}", s.swiss_ahv, r"\bahv|\bavs\b"),
    _national(r"\d{4} ?\d{4} ?\d{4}", s.japan_number, r"my ?number|マイナンバー|個人番号"),
    _national(r"(?:19|20)?\d{6}[-+ ]?\d{4}", s.sweden_pin, r"personnummer|\bpnr\b"),
    _national(r"\d{6} ?\d{5}", s.norway_pin, r"fodselsnummer|personnummer|\bfnr\b"),
    _national(r"\d{6}[- ]?\d{4}", s.denmark_cpr, r"\bcpr\b"),
    _national(r"\d{13}", s.south_africa_id, r"\bsa id\b|south african"),
    _national(r"\d{11}", s.turkey_id, r"\bt\.?c\.? ?(?:kimlik|no)|kimlik|tckn"),
    _national(r"\d{7,8}-?[\dkK]", s.chile_rut, r"\brut\b|\brun\b"),
    _national(r"\d{13}", s.romania_cnp, r"\bcnp\b"),
    _national(r"\d{6}/?\d{4}", s.czech_rc, r"rodne cislo|\brc\b"),
    _national(r"\d{10}", s.bulgaria_egn, r"\begn\b|егн"),
    _national(r"\d{11}", s.iso11_10, r"\boib\b"),
    _national(r"\d{11}", s.greece_amka, r"\bamka\b"),
    _national(r"\d{11}", s.baltic_pin, r"isikukood|asmens kod"),
    _national(r"\d{9}", s.israel_id, r"teudat|israeli? id|תעודת"),
    _national(r"\d{9}", checks.luhn, r"\bsin\b|social insurance"),
    _national(r"\d{4} ?\d{5} ?\d(?:[ /-]?\d)?", s.australia_medicare, r"medicare"),
    _national(r"\d{7}[A-W][A-IW]?", s.ireland_pps, r"\bppsn?\b|personal public"),
    _tax(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", s.germany_id, r"steuer|idnr|identifikationsnummer|\btin\b"),
    _tax(r"\d{11}", checks.luhn, r"partita|p\.? ?iva"),
    _tax(r"\d{3} ?\d{3} ?\d{3}(?: ?\d{5})?", checks.luhn, r"siren|siret"),
    _tax(r"\d{3}-?\d{3}-?\d{2}-?\d{2}", s.poland_nip, r"\bnip\b"),
    _tax(r"\d{3} ?\d{3} ?\d{3}", s.portugal_nif, r"\bnif\b|contribuinte"),
    _tax(r"\d{14}", s.brazil_cnpj, r"\bcnpj\b"),
    _tax(r"\d{3}[ -]?\d{3}[ -]?\d{3}", s.australia_tfn, r"\btfn\b|tax file"),
    _tax(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", s.australia_abn, r"\babn\b|business number"),
    _tax(r"\d{11}", s.argentina_cuit, r"\bcui[tl]\b"),
    _tax(r"\d{2}-?\d{7}", _shape, r"(?:\b|_)f?ein(?:\b|_)|employer id|federal tax"),
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
