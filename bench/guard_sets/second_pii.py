"""The texts of the second set that hold data on persons.

``<<type>>`` or ``<<type.variant>>`` is a labelled value, ``<<filler>>`` an unlabelled one. Under
a number stands how often each text of the block is made.
"""

from __future__ import annotations

# ruff: noqa: E501

MIXED = (
    "Hi <<given>>,\n\nplease change my address on order <<order>>. You can reach me at <<email>> or after six on <<phone.us>>.\n\nBest,\n<<person>>",
    "Sehr geehrte Damen und Herren,\nhiermit kündige ich meinen Vertrag. Erstattung bitte auf <<iban.de>> (Inhaber <<person>>).\nRückfragen: <<phone.de>>, <<email>>",
    "Bonjour, je m'appelle <<person>>, née le <<date_of_birth.fr>>, joignable au <<phone.fr>>. Mon IBAN : <<iban.fr>>. Merci !",
    "id;name;mail;tel;iban\n1;<<person>>;<<email>>;<<phone.it>>;<<iban.it_plain>>\n2;<<person>>;<<email>>;<<phone.it>>;<<iban.it_plain>>",
    '{"customer": {"name": "<<person>>", "email": "<<email>>", "phone": "<<phone.es>>", "birthDate": "<<date_of_birth.iso>>"}, "orderId": "<<uuid>>"}',
    "[<<iso>>] agent: can you confirm the card?\n[<<iso>>] customer: sure its <<credit_card.visa_groups>> exp 04/29\n[<<iso>>] customer: and mail is <<email>>",
    "<<syslog>> edge1 sshd[<<int>>]: Accepted publickey for deploy from <<ip.v4>> port <<port>> ssh2",
    '<<ip.v4>> - - [<<iso>>] "GET /shop/<<n>>?ref=mail HTTP/1.1" 200 <<int>> "-" "Mozilla/5.0"',
    "DHCPACK on <<priv>> to <<mac.colon>> (android-<<nano>>) via eth1",
    "ticket <<order>>: Kunde <<person>>, geb. <<date_of_birth.dot>>, meldet doppelte Abbuchung auf <<iban.at>>. Rückruf <<phone.at>>.",
    "Guest registration\nName: <<person>>\nDate of birth: <<date_of_birth.long>>\nPassport No: <<passport.us_new>>\nTel: <<phone.uk>>\nRoom: <<n>>",
    "INSERT INTO drivers (name, dob, licence_no, mobile) VALUES ('<<person>>', '<<date_of_birth.iso>>', '<<driver_license.uk>>', '<<phone.uk>>');",
    "Olá, o meu NIF é <<tax_id.pt>> e o telemóvel <<phone.pt>>. Podem enviar a fatura para <<email>>?",
    "wire details: ABA <<routing_number.east>>, acct name <<person>>, ref <<invoice>>. ping me at <<email>>",
    "Applicant: <<person>> | SSN: <<ssn.dash>> | DOB: <<date_of_birth.us>> | Driver's license (OH): <<driver_license.oh>>",
    "Patient <<person>>, NHS No. <<nhs_number.space>>, d.o.b. <<date_of_birth.eu>>, seen in clinic on <<date>>. GP letter cc <<email>>.",
    "Hej! Mitt personnummer är <<national_id.se>> och mobilen <<phone.se>>. Hälsningar <<person>>",
    "Fahrzeugschein: FIN <<vin.eu>>, Halter <<person>>, Tel. <<phone.de>>, Erstzulassung <<date>>",
    "claim <<order>>: 2019 pickup, VIN <<vin.us>>, insured's license no. <<driver_license.mi>>, cell <<phone.us>>",
    "<<given>> paid me back in eth at <<crypto_address.eth>>, the rest by card ending in 4471. Her number is <<phone.ca>>.",
)

# One block for each type: sentences that surround it in many ways.
PHONE = (
    "My Dutch number is <<phone.nl>>, the Belgian one <<phone.be>>.",
    "Bitte rufen Sie mich zurück: <<phone.ch>>",
    "kontakt: <<person>>, tel. <<phone.pl>>",
    "call me on my mobile <<phone.ie>> not the landline",
    "Zavolejte mi prosím na <<phone.cz>>.",
    "Ring meg på <<phone.no>>, eller <<phone.dk>> hvis jeg er i København.",
    "puhelin: <<phone.fi>>",
    "Τηλέφωνο επικοινωνίας: <<phone.gr>>",
    "whatsapp <<phone.in>> or <<phone.ae>>, I am in Dubai next week",
    "请打我的手机:<<phone.cn>>",
    "電話番号は<<phone.jp>>です。よろしくお願いします。",
    "제 연락처는 <<phone.kr>> 입니다",
    "Meu WhatsApp é <<phone.br>>, pode chamar.",
    "Mi celular es <<phone.mx>>; en Buenos Aires, <<phone.ar>>.",
    "ring the farm on <<phone.au>>, or my sister in Otago <<phone.nz>>",
    "Sipho: <<phone.za>>\nChidi: <<phone.ng>>\nTan: <<phone.sg>>",
    "cep: <<phone.tr>>",
    "Тел.: <<phone.ru>>, спросить Ольгу. Киев: <<phone.ua>>",
    "הטלפון שלי <<phone.il>>",
    "Text <<phone.us>> when you're outside!",
)
MAIL = (
    "you can write me at <<email>>", "Cc: <<person>> <<<email>>>", "mailto:<<email>>?subject=<<order>>", "login=<<email>>&remember=1", "Meine E-Mail-Adresse hat sich geändert: <<email>>",
    "<<given>>,<<email>>,<<date>>,active", "mon adresse : <<email>>, merci", "escríbeme a <<email>>", "bounce for <<email>>: 550 mailbox unavailable", "to=<<<email>>>, relay=mx.example.net, dsn=2.0.0",
    "メールは<<email>>までお願いします。", "邮箱:<<email>>", "Author: <<person>> <<<email>>>", "user '<<email>>' not found in tenant <<uuid>>", "Invite <<email>> and <<email>> to the board please",
)
BANK = (
    "Überweisung von <<money>> EUR an <<iban.de_plain>>, Verwendungszweck <<invoice>>",
    "Betaal aan <<person>>, <<iban.nl>> o.v.v. <<invoice>>",
    "konto: <<iban.pl>>", "Konto do zwrotu <<iban.pl_plain>> proszę",
    "please settle to <<iban.gb>> or our Irish account <<iban.ie>>",
    "Domiciliación en <<iban.es>>, titular <<person>>",
    "bonifico su <<iban.it>> entro venerdì",
    "versement : <<iban.be>> (compte joint) / <<iban.lu>>",
    "IBAN CH-Konto: <<iban.ch>>", "utbetalning till <<iban.se>>; från Norge <<iban.no>>",
    "maksu tilille <<iban.fi>>", "transferência para <<iban.pt_plain>>",
    '{"payee":"<<person>>","account":"<<iban.cz_plain>>","currency":"CZK"}',
    "számlaszám (IBAN): <<iban.hu>>", "Λογαριασμός <<iban.gr>>",
    "acc LT: <<iban.lt>>, LV: <<iban.lv_plain>>, EE: <<iban.ee>>",
    "uplata na <<iban.hr_plain>>, <<iban.si>>", "плащане към <<iban.bg>>",
    "<<date>>,<<person>>,<<iban.dk>>,<<money>>,DKK", "havale: <<iban.tr>>", "salary to <<iban.ae_plain>>",
)
CARD = (
    "card number <<credit_card>>, valid thru 11/28, name <<person>>",
    "it got declined again?? <<credit_card.master_groups>>",
    'POST /v1/pay {"pan":"<<credit_card.visa_plain>>","exp":"0728","amount":<<money>>}',
    "Kreditkarte: <<credit_card.amex_groups>>", "numéro de carte <<credit_card.visa_dash>> svp",
    "PAN;<<credit_card>>;<<date>>;OK", "mi tarjeta es la <<credit_card.discover>>",
    "card on file <<credit_card.master_plain>> cvv on request", "カード番号: <<credit_card.jcb>>", "номер карты <<credit_card.visa_groups>>", "kortnummer <<credit_card.master_two>>", "refund to amex <<credit_card.amex_dash>> (<<person>>)",
    "<td>Card</td><td><<credit_card.visa_groups>></td>", "<<stamp>> DEBUG payload cc=<<credit_card.visa_plain>>&zip=83702", "il numero è <<credit_card.diners>>", "银联卡号 <<credit_card.unionpay>>",
    "I read it over the phone: <<credit_card>>. Please do not charge twice, order <<order>>.",
)
US = (
    "SSN <<ssn.dash>>", "my social is <<ssn.space>>, let me know if you need the card",
    "Employee <<person>> (social security number <<ssn.plain>>) started on <<usdate>>.",
    '"ssn": "<<ssn>>", "employer": "<<firm>>"', "name,ssn,state\n<<person>>,<<ssn.dash>>,OH\n<<person>>,<<ssn.dash>>,TX",
    "W-2 box a: <<ssn.dash>>   box 1: <<money>>", "Taxpayer's Social Security No. ..... <<ssn.dash>>",
    "spouse: <<person>>, SS# <<ssn>>", "he typed <<ssn.dash>> into the name field lol",
    "ITIN: <<itin.dash>>", "The W-7 came back, her ITIN is <<itin>>.",
    "Form 1040-NR identifying number <<itin.dash>>", "individual taxpayer identification number <<itin.plain>>",
    '{"tin_type":"ITIN","tin":"<<itin>>"}', "Mi ITIN es <<itin.dash>>, todavía no tengo seguro social.",
    "dependents: <<person>> (<<itin.dash>>), <<person>> (<<itin.dash>>)", "itin <<itin.space>> exp. end of <<year>>",
    "Routing number <<routing_number>>", "direct deposit — routing: <<routing_number.west>>, checking",
    "ABA routing/transit: <<routing_number>>", "rtn=<<routing_number>> type=savings", "my bank's aba is <<routing_number.mid>> i think",
    '"routingNumber": "<<routing_number>>", "accountHolder": "<<person>>"', "For ACH use <<routing_number.south>> (routing) and the account on file.",
    "bank,routing_no\nFirst Prairie,<<routing_number.mid>>\nCascade CU,<<routing_number.thrift>>",
)
NET = (
    "blocked <<ip.v4>> after <<n>> tries, see <<order>>", "AAAA record now <<ip.v6>>, A record <<ip.v4>>",
    "X-Forwarded-For: <<ip.v4>>, <<priv>>", "client=<<ip.v6>> upstream=<<priv>>:<<port>> took=<<ms>>ms",
    "my home ip is <<ip.v4>>, can you whitelist it?", "Login von <<ip.v4>> (Chrome, Windows) um <<stamp>>",
    "traceroute: 3  <<priv>>  <<ms>> ms  4  <<ip.v4>>  <<ms>> ms", "ssh root@<<ip.v4>> -p 2222",
    '{"src":"<<ip.v4>>","dst":"<<priv>>","bytes":<<int>>}', "deny from <<ip.v4>>\ndeny from <<ip.v6>>\nallow from <<priv>>",
    "<<stamp>> wg0: handshake with peer at [<<ip.v6>>]:51820", "seen <<doc>> in the docs but the real one was <<ip.v4>>",
    "wlan0 HWaddr <<mac.colon>>", "Device <<mac.dash>> joined VLAN <<n>>", "sticky mac <<mac.cisco>> on Gi1/0/<<n>>",
    'the printer (<<mac.upper>>) drops off wifi every night', "host tv { hardware ethernet <<mac.colon>>; fixed-address <<priv>>; }",
    "? (<<priv>>) at <<mac.colon>> [ether] on en0", "mac,vendor,seen\n<<mac.upper>>,Espressif,<<date>>\n<<mac.colon>>,Apple,<<date>>",
)
COIN = (
    "send it to <<crypto_address.btc>> please", "donations: <<crypto_address.btc_segwit>> (BTC) / <<crypto_address.eth>> (ETH)",
    "withdrawal of 0.<<n>> to <<crypto_address>> is pending since <<stamp>>", "USDT TRC20: <<crypto_address.tron>>",
    "my taproot wallet <<crypto_address.btc_taproot>>", "ltc <<crypto_address.ltc>>, doge <<crypto_address.doge>>",
    "Phantom / Solana wallet address: <<crypto_address.sol>>", '{"to":"<<crypto_address.eth_small>>","value":"0x0","nonce":<<n>>}',
    "Bitte auf die Bitcoin-Adresse <<crypto_address.btc_script>> überweisen.", "multisig at <<crypto_address.btc_script_segwit>>, ask <<person>>",
)
BIRTH = (
    "I was born on <<date_of_birth.long>> in <<town>>.", "DOB <<date_of_birth.us_loose>>", "birthday: <<date_of_birth.ordinal>>",
    "geboren am <<date_of_birth.de>> in <<town>>", "Geburtsdatum: <<date_of_birth.dot_loose>>", "né(e) le <<date_of_birth.eu>> à <<town>>",
    "fecha de nacimiento: <<date_of_birth.es>>", "geboortedatum <<date_of_birth.dash>>", "data de nascimento: <<date_of_birth.pt>>",
    "född <<date_of_birth.sv>>", "生年月日:<<date_of_birth.ja>>", "date of birth (dd/mm/yy): <<date_of_birth.two>>",
    '"dob": "<<date_of_birth.compact>>"', "my son (b. <<date_of_birth.abbr>>) needs a new card", "first_name,birthdate\n<<given>>,<<date_of_birth.slash_iso>>",
    "Happy to confirm: date of birth <<date_of_birth.ordinal_us>>, postcode on file.", "birth_date=<<date_of_birth.iso>>", "D.O.B.: <<date_of_birth.abbr_us>>",
)
PAPERS = (
    "US passport <<passport.us>>, expires <<date>>", "Reisepass Nr. <<passport.de>>", "passport number: <<passport.uk>> (British)",
    "N° de passeport : <<passport.fr>>", "passaporto <<passport.it>> rilasciato a Torino", "pasaporte <<passport.es>>", "护照号码:<<passport.cn>>",
    "パスポート番号 <<passport.jp>>", "passport no. <<passport.in>>, Indian", "paspoortnummer <<passport.nl>>", "Irish passport, no. <<passport.ie>>",
    "my Aussie passport is <<passport.au>> and hers, Canadian, is <<passport.ca>>", '{"docType":"PASSPORT","docNumber":"<<passport.se>>","country":"SWE"}',
    "CH-Pass: Passnummer <<passport.ch>>", "numer paszportu: <<passport.pl>>", "загранпаспорт <<passport.ru>>",
    "California driver license <<driver_license.ca>>", "DL# <<driver_license.fl>> (FL)", "license number: <<driver_license.il>>",
    "Führerscheinnummer: <<driver_license.de>>", "driving licence <<driver_license.uk>> photocard", "NJ DL <<driver_license.nj>>",
    "driver's licence no <<driver_license.on>> (Ontario)", "rijbewijsnummer <<driver_license.nl>>", '"driverLicense": "<<driver_license.md>>"',
    "renter showed licence <<driver_license.va>>, Virginia", "patente di guida <<driver_license.it>>", "DL No: <<driver_license.in>>", "numéro de permis de conduire : <<driver_license.fr>>",
)
CARS = (
    "VIN: <<vin.us>>", "chassis number <<vin.eu>>", "Fahrgestellnummer <<vin.eu>>", "just bought it, vin is <<vin.us>>, any recalls?",
    '{"vin":"<<vin>>","odo":<<int>>}', "numéro de série (VIN) <<vin.eu>>", "lot,vin,km\n4,<<vin.us>>,<<int>>\n5,<<vin.eu>>,<<int>>", "bastidor: <<vin.eu>>",
    "Parts for <<vin.us>>? It's the one <<person>> brought in on <<usdate>>.", "telaio <<vin.eu>>, targa da verificare",
)
HEALTH = (
    "NHS number <<nhs_number>>", "nhs no: <<nhs_number.dash>>", "pt <<person>> (NHS <<nhs_number.plain>>) DNA'd", '"nhsNumber":"<<nhs_number.plain>>"',
    "My NHS Number's <<nhs_number.six>>, I moved GP in <<town>>.", "surname,nhs_number,ward\nPugh,<<nhs_number.plain>>,7B\nEk,<<nhs_number.plain>>,7C",
    "PID|1||<<nhs_number.plain>>^^^NHS^NH||<<person>>", "referral for NHS-number <<nhs_number.space>>, urgent", "Please quote your NHS No. (<<nhs_number.space>>) when you call.",
)
STATE = (
    "PESEL: <<national_id.pl>>", "BSN <<national_id.nl_spaced>>", "burgerservicenummer: <<national_id.nl>>", "Aadhaar <<national_id.in>>", "mi DNI es <<national_id.es>>",
    "hetu <<national_id.fi>>", "fødselsnummer: <<national_id.no>>", "身份证号<<national_id.cn>>", "주민등록번호 <<national_id.kr>>", "TC kimlik no: <<national_id.tr>>",
    "ID number (SA): <<national_id.za>>", "n° de sécurité sociale <<national_id.fr_spaced>>", "NIR : <<national_id.fr_tight>>", "rijksregisternummer <<national_id.be>>",
    "RUT <<national_id.cl>>", "NRIC <<national_id.sg>>", "CURP: <<national_id.mx>>", "CNP <<national_id.ro>>", "マイナンバー:<<national_id.jp>>", "AHV-Nr. <<national_id.ch>>",
    "SIN: <<national_id.ca>>", "CPR-nr. <<national_id.dk>>", "เลขบัตรประชาชน <<national_id.th>>", "ЕГН <<national_id.bg>>", "PPS number <<national_id.ie>>", "rodné číslo <<national_id.cz>>",
    "NI number: <<national_id.uk_tight>>", "National Insurance no. <<national_id.uk>>", "תעודת זהות <<national_id.il>>",
    "CPF <<tax_id.br>>", "cpf do titular: <<tax_id.br_plain>>", "CNPJ: <<tax_id.br_company>>", "Steuer-ID: <<tax_id.de>>", "Steueridentifikationsnummer <<tax_id.de_plain>>", "USt-IdNr. <<tax_id.de_vat>>",
    "TVA intracommunautaire <<tax_id.fr_vat>>", "PAN card <<tax_id.in>>", "NIF: <<tax_id.pt>>", "codice fiscale <<tax_id.it>>", "TFN <<tax_id.au>>", "NIP: <<tax_id.pl>>",
    "ИНН <<tax_id.ru>>", "CUIT <<tax_id.ar>>", "EIN: <<tax_id.us_ein>>", "btw-nummer <<tax_id.nl_vat>>", "Partita IVA: <<tax_id.it_vat>>", "UTR (self assessment) <<tax_id.uk_utr>>",
)
AROUND = (
    "{}", "{}\n\nThanks\n<<person>>", "> On <<date>> <<person>> wrote:\n> {}\n\nnoted, will do.", "[<<stamp>>] user<<n>>: {}", "Note to file <<order>>: {}",
    "Re: <<invoice>>\n\n{}\n\nTracking <<track>>, version <<ver>>.", "{} Can you check why the form rejects it?", "- {}\n- ref <<uuid>>\n- <<date>>", "form.comment = \"\"\"{}\"\"\"",
    "<<person>>: hi\n<<person>>: hello, what do you need\n<<person>>: {}", "Please translate into English: {}", "ok so {} and the other thing is order <<order>>",
)
DECOYS = (
    "Reply to user@example.com; docs use <<doc>> and ::1, the pod has <<priv>>. Build <<ver>>, commit <<sha1>>.",
    "ISBN <<isbn>>, order <<order>>, invoice <<invoice>>, parcel <<track>>.",
    "request <<uuid>> finished at <<iso>> in <<ms>> ms (etag <<md5>>)",
    "fe80::1%eth0 is link-local, <<priv>> is not public, 0.0.0.0 means all.",
    "Please put your card number (XXXX-XXXX-XXXX-1234) nowhere. Ticket <<order>>.",
)
TIMES = (
    (MIXED, 8, False), (PHONE, 8, True), (BANK, 5, True), (CARD, 6, True), (MAIL, 6, True), (US, 10, True), (NET, 10, True), (COIN, 9, True), (BIRTH, 5, True),
    (PAPERS, 7, True), (CARS, 9, True), (HEALTH, 9, True), (STATE, 5, True), (DECOYS, 12, False),
)
