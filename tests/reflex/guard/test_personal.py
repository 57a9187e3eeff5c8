"""Personal data: true ones, and near misses of them. Numbers are invented or from documentation."""

import pytest

from tests.reflex.guard.found import found

TRUE = [
    (
        "email",
        "Write to <ana.lopez+news@mail.acme.example> today.",
        "ana.lopez+news@mail.acme.example",
    ),
    ("email", "mailto:bob_smith@example.co.uk?subject=hi", "bob_smith@example.co.uk"),
    ("email", '{"to":"x1@sub-domain.example.org"}', "x1@sub-domain.example.org"),
    ("phone", "Call me at +1 (415) 555-2671.", "+1 (415) 555-2671"),
    ("phone", "office 415-555-2671 ext. 12", "415-555-2671 ext. 12"),
    ("phone", "(202) 555-0147 works", "(202) 555-0147"),
    ("phone", "London 020 7946 0958 is it", "020 7946 0958"),
    ("phone", "Büro: +49 30 901820, danke", "+49 30 901820"),
    ("phone", "joignable au 06 12 34 56 78.", "06 12 34 56 78"),
    ("phone", "Handy 0171 5551234", "0171 5551234"),
    ("phone", "teléfono 612 345 678", "612 345 678"),
    ("phone", "手机 13812345678", "13812345678"),
    ("phone", "ring 0044 20 7946 0958 now", "0044 20 7946 0958"),
    ("phone", "+91 98765 43210 and +81 90-1234-5678", "+91 98765 43210"),
    ("phone", "WhatsApp: +55 11 91234-5678", "+55 11 91234-5678"),
    ("phone", "(11) 91234-5678", "(11) 91234-5678"),
    ("phone", "phone 555-0123", "555-0123"),
    ("phone", "Ruf 04412 345678 an", "04412 345678"),
    ("credit_card", "card 4111 1111 1111 1111 exp 12/27", "4111 1111 1111 1111"),
    ("credit_card", "4111 1111 1111 1111 123", "4111 1111 1111 1111"),
    ("credit_card", "amex 3782-822463-10005", "3782-822463-10005"),
    ("credit_card", "diners 30569309025904.", "30569309025904"),
    ("credit_card", "jcb=3530111333300000;", "3530111333300000"),
    ("credit_card", "mc 5555555555554444,", "5555555555554444"),
    ("credit_card", "unionpay 6200000000000005", "6200000000000005"),
    ("credit_card", "maestro 6759649826438453", "6759649826438453"),
    ("credit_card", "visa 4222222222222", "4222222222222"),
    ("iban", "IBAN DE89 3704 0044 0532 0130 00, BIC COBADEFF", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB82WEST12345698765432", "GB82WEST12345698765432"),
    ("iban", "FR14 2004 1010 0505 0001 3M02 606 AND", "FR14 2004 1010 0505 0001 3M02 606"),
    ("iban", "no9386011117947", "no9386011117947"),
    ("ssn", "SSN 536-22-1234.", "536-22-1234"),
    ("ssn", "social security number: 536221234", "536221234"),
    ("itin", "ITIN 912-70-1234", "912-70-1234"),
    ("routing_number", "routing number 021000021", "021000021"),
    ("ip", "from 203.0.113.42 at noon", "203.0.113.42"),
    ("ip", "host 192.168.1.45:8080 up", "192.168.1.45"),
    ("ip", "addr 2001:db8:85a3::8a2e:370:7334 ok", "2001:db8:85a3::8a2e:370:7334"),
    ("mac", "nic 00:1A:2B:3C:4D:5E up", "00:1A:2B:3C:4D:5E"),
    ("mac", "001a.2b3c.4d5e", "001a.2b3c.4d5e"),
    ("crypto_address", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    (
        "crypto_address",
        "to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 now",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ),
    (
        "crypto_address",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed!",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    ),
    ("crypto_address", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
    ("passport", "passport no. C01X00T47", "C01X00T47"),
    ("passport", "My passport number is 123456789", "123456789"),
    ("vin", "the car 1HGCM82633A004352 is", "1HGCM82633A004352"),
    ("vin", "VIN WVWZZZ1JZXW000001", "WVWZZZ1JZXW000001"),
    ("date_of_birth", "born on March 12, 1990 in Rome", "March 12, 1990"),
    ("date_of_birth", "DOB: 1990-03-12", "1990-03-12"),
    ("date_of_birth", "geboren am 12.03.1990", "12.03.1990"),
    ("date_of_birth", "née le 3 mars 1985", "3 mars 1985"),
    ("date_of_birth", "date of birth 07/04/1976", "07/04/1976"),
    ("nhs_number", "NHS number 943 476 5919", "943 476 5919"),
    ("driver_license", "driver's license D1234567", "D1234567"),
    ("driver_license", "driving licence MORGA657054SM9IJ", "MORGA657054SM9IJ"),
    ("national_id", "DNI 12345678Z", "12345678Z"),
    ("national_id", "CPF 390.533.447-05", "390.533.447-05"),
    ("national_id", "PESEL 44051401359", "44051401359"),
    ("national_id", "BSN: 111222333", "111222333"),
    ("national_id", "Aadhaar 2341 2341 2346", "2341 2341 2346"),
    ("national_id", "numéro 2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
    ("national_id", "rijksregisternummer 85.07.30-033.28", "85.07.30-033.28"),
    ("national_id", "NINO AB 12 34 56 C", "AB 12 34 56 C"),
    ("national_id", "hetu 131052-308T", "131052-308T"),
    ("tax_id", "codice fiscale RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("tax_id", "Steuer-ID 86 095 742 719", "86 095 742 719"),
    ("tax_id", "USt-IdNr. DE136695976", "DE136695976"),
    ("tax_id", "CNPJ 11.222.333/0001-81", "11.222.333/0001-81"),
    ("tax_id", "NIF 501964843", "501964843"),
    ("tax_id", "PAN ABCPE1234F", "ABCPE1234F"),
    ("tax_id", "NIP 123-456-32-18", "123-456-32-18"),
    ("tax_id", "EIN 12-3456789", "12-3456789"),
]

FALSE = [
    "4111 1111 1111 1112",  # the check digit
    "order 4111111111111111222333444",  # inside a longer number
    "0.4111111111111111",
    "id_4111111111111111",
    "9999999999999995",  # no issuer
    "IBAN DE89 3704 0044 0532 0130 01",
    "XX82WEST12345698765432",
    "666-22-1234 and 000-12-3456",
    "part 1536-22-12345",
    "536221234",  # no word before it
    "021000021",
    "routing number 021000022",
    "1HGCM82633A004353",
    "943 476 5919 9",
    "NHS number 943 476 5918",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
    "0x0000000000000000000000000000000000000000",
    "CPF 390.533.447-06",
    "DNI 12345678A",
    "PESEL 44051401358",
    "111222333",
    "1990-03-12",
    "released on March 12, 1990",
    "born in 1990",
    "DOB: 1990-13-41",
    "logo@2x.png and user@host and git@github.com:acme/tool.git",
    "npm i lodash@4.17.21 @types/node@20.1.0",
    "https://user@example.com/path",
    "version 1.2.3.4, Chrome/120.0.0.0, pip install x==1.2.3.4",
    "127.0.0.1 0.0.0.0 255.255.255.0 ::1 8.8.8.8",
    "10.0.0.0/8 and 300.1.2.3",
    "std::vector dead::beef a::b 12:30:45",
    "de:ad:be:ef:00:11:22:33 00:00:00:00:00:00",
    "SHA256 fingerprint 16:27:AC:A5:76:28:2D:36:63:1B:56:4D:EB:DF:A6:48",
    "2024-01-15T10:20:30.123456Z 20240115102030 1705314030123",
    "on 01.02.2024 and 2023-2024",
    "passport control is on level 2",
    "license: MIT, license number of seats 5",
    "C01X00T47",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    "3.14159265358979 1e-10 1,234,567,890",
    "ISBN 978-3-16-148410-0",
    "total 12 34 56 78 90 rows",
    "error 0x80070005 at 00007FF6A1B2C3D4",
]


@pytest.mark.parametrize(("name", "text", "expected"), TRUE)
def test_what_is_personal_is_found(name: str, text: str, expected: str) -> None:
    assert (name, expected) in found(text, "pii")


@pytest.mark.parametrize("text", FALSE)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert found(text, "pii") == []


def test_every_type_has_an_example() -> None:
    from octoplex.reflex.guard.scan import patterns

    assert {name for name, _, _ in TRUE} == {p.type for p in patterns(["pii"])}
