"""Texts of the fourth set with personal data in languages other than English."""

# ruff: noqa: E501, RUF001 (texts in one line, in all letters)

from __future__ import annotations

TONGUES = (
    # German
    "Sehr geehrte Damen und Herren,\n\nich möchte meinen Vertrag umziehen. Geboren bin ich am <<date_of_birth:de>>, meine Steuer-ID lautet <<tax_id:de>>. Lastschrift bitte künftig von <<iban:de>>. Rückruf unter <<phone:de>>.\n\n<<_name>>",
    "Aufnahmebogen\nName: <<_name>>\nGeb.-Datum: <<date_of_birth:dots>>\nPersonalausweis/Reisepass-Nr.: <<passport:de>>\nFührerschein-Nr.: <<driver_license:de>>\nHandy: <<phone:de_intl>>\nE-Mail: <<email:plain>>",
    "AHV-Nr. <<national_id:ch>>, geb. <<date_of_birth:dots>>, Natel <<phone:ch>>, Konto <<iban:ch>>",
    "Wer hat die Nummer vom Installateur? – Ja, <<phone:at>>, oder per Mail <<email:plain>>. Konto für die Anzahlung: <<iban:at>>",
    # French
    "Bonjour,\nje suis née le <<date_of_birth:fr>> et mon numéro de sécurité sociale est le <<national_id:fr_spaced>>. Vous pouvez me joindre au <<phone:fr>>.\nCordialement",
    "Demande de remboursement n° <<_num:7>>\nNIR : <<national_id:fr>>\nIBAN : <<iban:fr>>\nDate de naissance : <<date_of_birth:slash>>\nCourriel : <<email:plain>>\nTél. portable : <<phone:fr_intl>>",
    "Permis de conduire n° <<driver_license:fr>>, passeport n° <<passport:fr>> ; le conducteur est né le <<date_of_birth:slash>>.",
    "Registre national : <<national_id:be>> – GSM <<phone:be>> – compte <<iban:be>>",
    # Spanish
    "Hola, soy <<_name>>, DNI <<national_id:es>>, nacida el <<date_of_birth:es>>. Quiero cambiar la cuenta a <<iban:es>>. Mi móvil es <<phone:es>>.",
    "PARTE DE SINIESTRO\nAsegurado: <<_name>>\nNIE/NIF: <<national_id:es>>\nPasaporte: <<passport:es>>\nBastidor: <<vin:eu>>\nCorreo: <<email:plain>>\nTeléfono: <<phone:es>>",
    "Estimados: mi CURP es <<national_id:mx>> y mi RFC <<tax_id:mx>>; fecha de nacimiento <<date_of_birth:slash>>; celular <<phone:mx>>.",
    "RUT <<national_id:cl>>, fono <<phone:cl>>, correo <<email:plain>>. Despacho pendiente pedido <<_num:7>>.",
    "CUIT <<tax_id:ar>>, DNI <<national_id:ar>>, tel. <<phone:ar>>. Gracias por la factura.",
    "Cédula <<national_id:uy>>; cédula ecuatoriana <<national_id:ec>>; DNI peruano <<national_id:pe>>; celular <<phone:co>>",
    # Portuguese
    "Olá, comprei uma cafeteira e não chegou. CPF <<tax_id:br>>, telefone <<phone:br>>, e-mail <<email:plain>>. Nascimento: <<date_of_birth:slash>>.",
    "Empresa: <<_firm>>\nCNPJ: <<tax_id:br_company>>\nContato: <<phone:br>>\nPIX (e-mail): <<email:plain>>",
    "Chamo-me <<_name>>, nascido a <<date_of_birth:pt>>, NIF <<tax_id:pt>>, passaporte <<passport:pt>>, telemóvel <<phone:pt>>, IBAN <<iban:pt>>.",
    "CNH <<driver_license:br>> vencida; CPF do condutor <<tax_id:br_plain>>; data de nascimento <<date_of_birth:slash>>.",
    # Italian
    "Gentile assistenza, sono nato il <<date_of_birth:it>>, codice fiscale <<tax_id:it>>. Il bonifico va su <<iban:it>>. Mi chiami al <<phone:it>>.",
    "MODULO DI ISCRIZIONE\nNata il: <<date_of_birth:slash>>\nC.F.: <<tax_id:it>>\nPassaporto n.: <<passport:it>>\nPatente: <<driver_license:it>>\nEmail: <<email:plain>>",
    # Dutch
    "Beste helpdesk, mijn BSN is <<national_id:nl>>, geboren op <<date_of_birth:nl>>. Graag terugbellen op <<phone:nl>>. Rekening: <<iban:nl>>.",
    "Paspoortnummer: <<passport:nl>>\nRijbewijs: <<driver_license:nl>>\nGeboortedatum: <<date_of_birth:dash>>\nMobiel: <<phone:nl>>",
    # Polish
    "Dzień dobry, PESEL <<national_id:pl>>, urodzona <<date_of_birth:pl>>, tel. <<phone:pl>>. Proszę o zwrot na konto <<iban:pl>>.",
    "Data urodzenia: <<date_of_birth:dots>>\nNr paszportu: <<passport:pl>>\nPrawo jazdy: <<driver_license:pl>>\nNIP: <<tax_id:pl>>\nE-mail: <<email:plain>>",
    # Czech, Slovak
    "Dobrý den, rodné číslo <<national_id:cz>>, narozena <<date_of_birth:cs>>, mobil <<phone:cz>>, účet <<iban:cz>>.",
    "Dobrý deň, číslo účtu je <<iban:cz>>, telefón <<phone:cz>>, rodné číslo <<national_id:cz>>, mail <<email:plain>>.",
    # Hungarian
    "Tisztelt Ügyfélszolgálat! Születési dátumom <<date_of_birth:dot_ymd>>, telefonszámom <<phone:hu>>, bankszámlaszám: <<iban:hu>>, e-mail: <<email:plain>>.",
    # Romanian
    "Bună ziua, CNP <<national_id:ro>>, născut la data de <<date_of_birth:dots>>, telefon <<phone:ro>>, cont <<iban:ro>>, pașaport <<passport:ro>>.",
    # Bulgarian, Serbian, Croatian
    "Здравейте, ЕГН <<national_id:bg>>, роден на <<date_of_birth:dots>>, телефон <<phone:bg>>, имейл <<email:plain>>.",
    "Poštovani, JMBG <<national_id:rs>>, datum rođenja <<date_of_birth:dots>>, e-pošta <<email:plain>>.",
    "Molim promjenu podataka: OIB <<national_id:hr>>, rođen <<date_of_birth:dots>>, IBAN <<iban:hr>>.",
    # Greek
    "Καλησπέρα, ΑΜΚΑ <<national_id:gr>>, ΑΦΜ <<tax_id:gr>>, ημερομηνία γέννησης <<date_of_birth:slash>>, τηλέφωνο <<phone:gr>>, IBAN <<iban:gr>>, διαβατήριο <<passport:gr>>.",
    # Turkish
    "Merhaba, T.C. kimlik numaram <<national_id:tr>>, doğum tarihim <<date_of_birth:tr>>, cep telefonum <<phone:tr>>, IBAN: <<iban:tr>>.",
    "Pasaport no: <<passport:tr>>\nDoğum tarihi: <<date_of_birth:dots>>\nE-posta: <<email:plain>>",
    # Russian, Ukrainian, Kazakh
    "Здравствуйте! Я <<_name>>, родился <<date_of_birth:ru>>, ИНН <<tax_id:ru>>, загранпаспорт <<passport:ru>>, телефон <<phone:ru>>, почта <<email:plain>>.",
    "Дата рождения: <<date_of_birth:dots>>\nПаспорт: <<passport:ru>>\nКонтактный телефон: <<phone:ru>>",
    "Доброго дня, народилася <<date_of_birth:dots>>, РНОКПП <<tax_id:ua>>, паспорт <<passport:ua>>, тел. <<phone:ua>>.",
    "ИИН <<national_id:kz>>, туған күні <<date_of_birth:dots>>, пошта <<email:plain>>",
    # Nordic
    "Hej! Mitt personnummer är <<national_id:se>>, född <<date_of_birth:iso>>, mobil <<phone:se>>, konto <<iban:se>>, passnummer <<passport:se>>.",
    "Hei, fødselsnummer <<national_id:no>>, født <<date_of_birth:dots>>, tlf <<phone:no>>, kontonummer <<iban:no>>.",
    "Hej, CPR-nr. <<national_id:dk>>, født <<date_of_birth:dash>>, telefon <<phone:dk>>, IBAN <<iban:dk>>, mail <<email:plain>>.",
    "Moi, henkilötunnus <<national_id:fi>>, syntymäaika <<date_of_birth:dots>>, puhelin <<phone:fi>>, tilinumero <<iban:fi>>.",
    "Góðan dag, kennitala <<national_id:is>>, netfang <<email:plain>>, takk fyrir.",
    # Baltic
    "Tere, isikukood <<national_id:ee>>, sündinud <<date_of_birth:dots>>, konto <<iban:ee>>. Labas, asmens kodas <<national_id:ee>>, sąskaita <<iban:lt>>.",
    # Arabic, Hebrew, Persian, Urdu
    "مرحبا، تاريخ الميلاد <<date_of_birth:slash>>، رقم الجوال <<phone:sa>>، الآيبان <<iban:sa>>، البريد <<email:plain>>.",
    "الرقم القومي <<national_id:eg>>، هاتف <<phone:eg>>، تاريخ الميلاد: <<date_of_birth:iso>>",
    'שלום, תעודת זהות <<national_id:il>>, תאריך לידה <<date_of_birth:slash>>, נייד <<phone:il>>, דוא"ל <<email:plain>>.',
    "شناختی کارڈ نمبر <<national_id:pk>>، موبائل <<phone:pk>>، ای میل <<email:plain>>",
    # Hindi
    "नमस्ते, मेरा आधार नंबर <<national_id:in>> है, जन्म तिथि <<date_of_birth:slash>>, मोबाइल <<phone:in>>, पैन <<tax_id:in>>.",
    # Chinese, Japanese, Korean
    "您好，我叫陈立，身份证号<<national_id:cn>>，出生日期<<date_of_birth:cjk>>，手机<<phone:cn>>，护照号<<passport:cn>>。",
    "敬啟者：身分證字號<<national_id:tw>>，生日<<date_of_birth:slash_ymd>>，電話<<phone:tw>>，電郵<<email:plain>>。",
    "お問い合わせ\n氏名：荒井 恵子\n生年月日：<<date_of_birth:cjk>>\nマイナンバー：<<national_id:jp>>\n電話番号：<<phone:jp>>\n旅券番号：<<passport:jp>>",
    "生年月日 <<date_of_birth:showa>>、運転免許証番号 <<driver_license:jp>>、携帯 <<phone:jp>>",
    "안녕하세요, 주민등록번호 <<national_id:kr>>, 생년월일 <<date_of_birth:kr>>, 휴대폰 <<phone:kr>>, 여권번호 <<passport:kr>>, 운전면허 <<driver_license:kr>>.",
    # South-East Asia
    "Chào anh, số CCCD <<national_id:vn>>, ngày sinh <<date_of_birth:slash>>, số điện thoại <<phone:vn>>, hộ chiếu <<passport:vn>>.",
    "สวัสดีค่ะ เลขบัตรประชาชน <<national_id:th>> วันเกิด <<date_of_birth:slash>> โทร <<phone:th>> หนังสือเดินทาง <<passport:th>>",
    "Halo, NIK <<national_id:id>>, tanggal lahir <<date_of_birth:dash>>, nomor HP <<phone:id>>, paspor <<passport:id>>.",
    "Kumusta, petsa ng kapanganakan <<date_of_birth:slash>>, cellphone <<phone:ph>>, pasaporte <<passport:ph>>.",
    "Salam, no. kad pengenalan <<national_id:my>>, telefon <<phone:my>>, e-mel <<email:plain>>.",
    # Africa
    "Habari, namba yangu ya simu ni <<phone:ke>>, tarehe ya kuzaliwa <<date_of_birth:slash>>, barua pepe <<email:plain>>.",
    "Goeie dag, my ID-nommer is <<national_id:za>>, selfoon <<phone:za>>, paspoort <<passport:za>>, gebore <<date_of_birth:iso>>.",
    "Good day sir, my NIN is <<national_id:ng>>, phone <<phone:ng>>, date of birth <<date_of_birth:day_first>>.",
    # Irish and British
    "Dia duit, uimhir PSP <<national_id:ie>>, guthán <<phone:ie>>, dáta breithe <<date_of_birth:slash>>, ríomhphost <<email:quote>>.",
    "Driver number <<driver_license:uk>>; NHS number <<nhs_number:spaced>>; National Insurance no <<national_id:uk>>; passport <<passport:uk>>",
)
