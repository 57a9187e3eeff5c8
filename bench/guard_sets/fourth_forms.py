"""Records of the fourth set, as tools, databases and exports return them.

A schema is a list of fields, each with its words in plain English; a way of writing puts the words
into its own case and the values into its own syntax. Every schema is written in every way, each
time with another selection of its fields.
"""

# ruff: noqa: E501, RUF001 (texts in one line, in all letters)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

Field = tuple[str, str]

SCHEMAS: dict[str, Sequence[Field]] = {
    "patient": (
        ("full name", "<<_name>>"),
        ("date of birth", "<<date_of_birth:iso>>"),
        ("nhs number", "<<nhs_number>>"),
        ("mobile", "<<phone:uk>>"),
        ("gp email", "<<email:sub>>"),
        ("admitted at", "<<_time:%Y-%m-%d %H:%M>>"),
        ("ward", "B<<_digits:2>>"),
    ),
    "employee": (
        ("employee no", "<<_num:6>>"),
        ("surname", "<<_of:Ferrante|Okonjo|Solberg|Wrona>>"),
        ("ssn", "<<ssn:dash>>"),
        ("birth date", "<<date_of_birth:us>>"),
        ("home phone", "<<phone:us>>"),
        ("personal email", "<<email:plain>>"),
        ("bank routing number", "<<routing_number>>"),
        ("hired on", "<<_time:%Y-%m-%d>>"),
    ),
    "driver": (
        ("driver name", "<<_name>>"),
        ("driver license number", "<<driver_license:ca>>"),
        ("license state", "CA"),
        ("dob", "<<date_of_birth:us>>"),
        ("vin", "<<vin:plain>>"),
        ("contact phone", "<<phone:us>>"),
        ("policy no", "PL-<<_num:7>>"),
    ),
    "traveller": (
        ("name", "<<_name>>"),
        ("passport number", "<<passport:de>>"),
        ("nationality", "DEU"),
        ("date of birth", "<<date_of_birth:iso>>"),
        ("email", "<<email:plain>>"),
        ("phone number", "<<phone:e164>>"),
        ("booking ref", "<<_up:6>>"),
    ),
    "second traveller": (
        ("name", "<<_name>>"),
        ("passport no", "<<passport:in>>"),
        ("passport expiry", "<<_time:%d %b %Y>>"),
        ("birthdate", "<<date_of_birth:short>>"),
        ("emergency contact", "<<phone:in>>"),
        ("seat", "<<_range:40>>C"),
    ),
    "payment": (
        ("payment id", "pay_<<_low:14>>"),
        ("card number", "<<credit_card>>"),
        ("expiry", "<<_of:04/28|11/27|09/29>>"),
        ("cardholder", "<<_name>>"),
        ("customer ip", "<<ip:v4>>"),
        ("receipt email", "<<email:tag>>"),
        ("amount", "<<_amount>>"),
    ),
    "transfer": (
        ("beneficiary", "<<_name>>"),
        ("beneficiary iban", "<<iban>>"),
        ("bic", "<<_of:COBADEFFXXX|BNPAFRPPXXX|INGBNL2A>>"),
        ("amount", "<<_amount>>"),
        ("reference", "INV <<_num:5>>"),
        ("notify", "<<email:plain>>"),
        ("vat id", "<<tax_id:de_vat>>"),
    ),
    "device": (
        ("hostname", "<<_of:lt|ws|prn>>-<<_num:4>>"),
        ("mac address", "<<mac>>"),
        ("wan ip", "<<ip:v4>>"),
        ("ipv6", "<<ip:v6>>"),
        ("owner", "<<email:plain>>"),
        ("firmware", "<<_ver>>"),
        ("last seen", "<<_time>>"),
    ),
    "wallet": (
        ("wallet label", "<<_of:cold|hot|payouts>>"),
        ("btc address", "<<crypto_address:btc_segwit>>"),
        ("eth address", "<<crypto_address:eth>>"),
        ("trx address", "<<crypto_address:tron>>"),
        ("owner email", "<<email:plain>>"),
        ("last login ip", "<<ip:v4>>"),
        ("balance", "<<_amount>>"),
    ),
    "resident": (
        ("nome", "<<_name>>"),
        ("cpf", "<<tax_id:br>>"),
        ("telefone", "<<phone:br>>"),
        ("data nascimento", "<<date_of_birth:slash>>"),
        ("correio", "<<email:plain>>"),
        ("pedido", "<<_num:8>>"),
    ),
    "cittadino": (
        ("cognome", "<<_of:Bassi|Neri|Fontana>>"),
        ("codice fiscale", "<<tax_id:it>>"),
        ("data di nascita", "<<date_of_birth:slash>>"),
        ("cellulare", "<<phone:it>>"),
        ("iban", "<<iban:it>>"),
        ("polizza", "<<_num:9>>"),
    ),
    "mieter": (
        ("nachname", "<<_of:Vogt|Seidel|Krämer>>"),
        ("geburtsdatum", "<<date_of_birth:dots>>"),
        ("steuer id", "<<tax_id:de_plain>>"),
        ("telefon", "<<phone:de>>"),
        ("iban", "<<iban:de>>"),
        ("kaltmiete", "<<_amount>>"),
    ),
    "applicant": (
        ("applicant", "<<_name>>"),
        ("aadhaar number", "<<national_id:in>>"),
        ("pan", "<<tax_id:in>>"),
        ("mobile number", "<<phone:in>>"),
        ("dob", "<<date_of_birth:slash>>"),
        ("application no", "<<_num:10>>"),
    ),
    "cliente": (
        ("razon social", "<<_firm>>"),
        ("dni", "<<national_id:es>>"),
        ("telefono", "<<phone:es>>"),
        ("fecha nacimiento", "<<date_of_birth:slash>>"),
        ("iban", "<<iban:es>>"),
        ("correo electronico", "<<email:plain>>"),
    ),
    "taxpayer": (
        ("taxpayer name", "<<_name>>"),
        ("itin", "<<itin:dash>>"),
        ("employer ein", "<<tax_id:us>>"),
        ("daytime phone", "<<phone:us>>"),
        ("refund routing number", "<<routing_number>>"),
        ("filing year", "<<_of:2021|2022|2023|2024>>"),
    ),
    "kunde": (
        ("kundenavn", "<<_name>>"),
        ("fodselsnummer", "<<national_id:no>>"),
        ("mobil", "<<phone:no>>"),
        ("epost", "<<email:plain>>"),
        ("konto iban", "<<iban:no>>"),
        ("ordrenummer", "<<_num:7>>"),
    ),
    "klant": (
        ("klantnaam", "<<_name>>"),
        ("bsn", "<<national_id:nl>>"),
        ("geboortedatum", "<<date_of_birth:dash>>"),
        ("telefoonnummer", "<<phone:nl>>"),
        ("rekeningnummer", "<<iban:nl>>"),
        ("polisnummer", "<<_num:8>>"),
    ),
    "klient": (
        ("imie i nazwisko", "<<_name>>"),
        ("pesel", "<<national_id:pl>>"),
        ("nip", "<<tax_id:pl>>"),
        ("telefon kontaktowy", "<<phone:pl>>"),
        ("adres email", "<<email:plain>>"),
        ("numer zamowienia", "<<_num:7>>"),
    ),
    "fleet": (
        ("unit", "<<_num:3>>"),
        ("chassis vin", "<<vin:plain>>"),
        ("assigned driver phone", "<<phone:us_intl>>"),
        ("driver licence", "<<driver_license:uk>>"),
        ("telematics mac", "<<mac:upper>>"),
        ("odometer", "<<_num:6>>"),
    ),
    "login": (
        ("event id", "<<_uuid>>"),
        ("user email", "<<email:plain>>"),
        ("source ip", "<<ip:v4>>"),
        ("remote address", "<<ip:v6_full>>"),
        ("device mac", "<<mac:colon>>"),
        ("user agent", "Mozilla/5.0"),
        ("duration ms", "<<_range:900>>"),
    ),
}


def snake(words: str) -> str:
    return words.replace(" ", "_")


def camel(words: str) -> str:
    first, *rest = words.split()
    return first + "".join(w.title() for w in rest)


def pascal(words: str) -> str:
    return words.title().replace(" ", "")


def as_json(fields: Sequence[Field], name: str) -> str:
    body = ",".join(f'"{camel(k)}":"{v}"' for k, v in fields)
    return f'{{"ok":true,"{camel(name)}":{{{body}}},"took_ms":<<_range:90>>}}'


def as_wide_json(fields: Sequence[Field], name: str) -> str:
    body = ",\n".join(f'    "{snake(k)}": "{v}"' for k, v in fields)
    return f'[\n  {{\n    "kind": "{name}",\n{body}\n  }}\n]'


def as_quoted_json(fields: Sequence[Field], name: str) -> str:
    body = ", ".join(f'\\"{snake(k)}\\": \\"{v}\\"' for k, v in fields)
    return f'{{"tool_call_id":"call_<<_alnum:16>>","content":"{{{body}}}"}}'


def as_yaml(fields: Sequence[Field], name: str) -> str:
    return f"{snake(name)}:\n" + "\n".join(f"  {snake(k)}: {v}" for k, v in fields)


def as_xml(fields: Sequence[Field], name: str) -> str:
    tag = pascal(name)
    return f"<{tag}>" + "".join(f"<{pascal(k)}>{v}</{pascal(k)}>" for k, v in fields) + f"</{tag}>"


def as_csv(fields: Sequence[Field], name: str) -> str:
    rows = "\n".join(",".join(v for _, v in fields) for _ in "abc")
    return ",".join(snake(k) for k, _ in fields) + "\n" + rows


def as_semicolons(fields: Sequence[Field], name: str) -> str:
    rows = "\n".join(";".join(f'"{v}"' for _, v in fields) for _ in "ab")
    return ";".join(f'"{k.title()}"' for k, _ in fields) + "\n" + rows


def as_tabs(fields: Sequence[Field], name: str) -> str:
    rows = "\n".join("\t".join(v for _, v in fields) for _ in "ab")
    return "\t".join(k.upper() for k, _ in fields) + "\n" + rows


def as_markdown(fields: Sequence[Field], name: str) -> str:
    head = " | ".join(k.capitalize() for k, _ in fields)
    rows = "\n".join("| " + " | ".join(v for _, v in fields) + " |" for _ in "ab")
    return f"### {name.title()} export\n\n| {head} |\n|{'---|' * len(fields)}\n{rows}"


def as_sql(fields: Sequence[Field], name: str) -> str:
    keys = ", ".join(snake(k) for k, _ in fields)
    rows = ",\n  ".join("(" + ", ".join(f"'{v}'" for _, v in fields) + ")" for _ in "ab")
    return f"INSERT INTO {snake(name)}s ({keys}) VALUES\n  {rows};"


def as_update(fields: Sequence[Field], name: str) -> str:
    sets = ", ".join(f"{snake(k)} = '{v}'" for k, v in fields)
    return f"UPDATE crm.{snake(name)} SET {sets} WHERE id = <<_num:5>>;"


def as_psql(fields: Sequence[Field], name: str) -> str:
    rows = "\n".join(f"{snake(k):24}| {v}" for k, v in fields)
    return f"-[ RECORD 1 ]{'-' * 11}+{'-' * 20}\n{rows}"


def as_log(fields: Sequence[Field], name: str) -> str:
    pairs = " ".join(f"{snake(k)}={v}" for k, v in fields if " " not in v or "<<_name" in v)
    return f"<<_time>> INFO {snake(name)}.saved {pairs} trace=<<_hex:16>>"


def as_python(fields: Sequence[Field], name: str) -> str:
    pairs = ", ".join(f"{snake(k)}='{v}'" for k, v in fields)
    return f"DEBUG:crm:saving {pascal(name)}({pairs})"


def as_html(fields: Sequence[Field], name: str) -> str:
    cells = "".join(f"<tr><th>{k.title()}</th><td>{v}</td></tr>" for k, v in fields)
    return f'<table class="{name}"><tbody>{cells}</tbody></table>'


def as_form(fields: Sequence[Field], name: str) -> str:
    return f"{name.upper()} FORM\n" + "\n".join(f"{k.title() + ' ':.<28} {v}" for k, v in fields)


def as_lines(fields: Sequence[Field], name: str) -> str:
    return f"Subject: new {name}\n\n" + "\n".join(f"* {k.capitalize()} – {v}" for k, v in fields)


def as_chat(fields: Sequence[Field], name: str) -> str:
    said = "; ".join(f"{k} {v}" for k, v in fields)
    return f"[<<_time:%H:%M>>] agent: could you read me the {name}'s details?\n[<<_time:%H:%M>>] me: sure. {said}"


WAYS: tuple[Callable[[Sequence[Field], str], str], ...] = (
    as_json,
    as_wide_json,
    as_quoted_json,
    as_yaml,
    as_xml,
    as_csv,
    as_semicolons,
    as_tabs,
    as_markdown,
    as_sql,
    as_update,
    as_psql,
    as_log,
    as_python,
    as_html,
    as_form,
    as_lines,
    as_chat,
)


def records() -> Iterator[str]:
    """Write every schema in every second way, four to six of its fields in their order."""
    rng = random.Random("records")
    for turn, (name, fields) in enumerate(SCHEMAS.items()):
        for way in WAYS[turn % 2 :: 2]:
            count = min(len(fields), rng.randrange(4, 7))
            chosen = sorted(rng.sample(range(len(fields)), count))
            yield way([fields[i] for i in chosen], name)
