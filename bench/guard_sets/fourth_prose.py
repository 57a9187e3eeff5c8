"""Prose of the fourth set: ordinary sentences in many languages, with numbers and years, nothing to find."""

# ruff: noqa: E501, RUF001 (texts in one line, in all letters)

from __future__ import annotations

import random
from collections.abc import Iterator

_SENTENCES = {
    "en": (
        "The ferry left at <<_time:%H:%M>> with <<_range:400>> people and a cow on board.",
        "Since <<_of:1887|1923|1956|1974>> the mill has belonged to the same family.",
        "She counted <<_num:4>> steps from the harbour to the chapel.",
        "A loaf cost <<_range:9>>.<<_digits:2>> pounds, which nobody thought cheap.",
        "By evening the wind had turned and the washing was dry.",
        "The recipe asks for <<_num:3>> g of flour, two eggs and patience.",
        "In chapter <<_range:30>> the detective finds the second glove.",
        "They walked along the canal and talked about nothing in particular.",
        "Flight <<_up:2>> <<_num:3>> was late, gate B<<_range:40>> was empty.",
        "Population rose from <<_num:5>> to <<_num:6>> in twenty years.",
    ),
    "de": (
        "Im Sommer <<_of:1911|1968|1999>> war der Fluss so flach, dass man hindurchgehen konnte.",
        "Das Brot kostet <<_range:9>>,<<_digits:2>> Euro und reicht zwei Tage.",
        "Um <<_range:23>> Uhr begann der Chor, und der Saal wurde still.",
        "Die Strecke ist <<_num:3>> km lang und steigt kaum an.",
        "Niemand wusste mehr, wer den Baum gepflanzt hatte.",
        "Auf Seite <<_num:3>> steht, wie man Quitten einmacht.",
    ),
    "fr": (
        "La librairie a ouvert en <<_of:1902|1951|1987>> et n'a jamais changé d'enseigne.",
        "Il faut <<_num:3>> g de beurre et une nuit de repos.",
        "Le train de <<_range:23>> h <<_of:05|20|45>> était presque vide.",
        "Personne ne se souvenait du nom de la rivière.",
        "Le marché compte <<_range:90>> étals le samedi.",
    ),
    "es": (
        "El puente se terminó en <<_of:1894|1932|1965>> y aún se usa.",
        "Compró <<_range:9>> kilos de naranjas por <<_range:20>> euros.",
        "A las <<_range:23>> sonó la campana y todos callaron.",
        "Nadie recordaba quién había pintado la puerta.",
    ),
    "it": (
        "La fontana risale al <<_of:1611|1743|1890>> e funziona ancora.",
        "Servono <<_num:3>> g di farina e tre uova.",
        "Il sentiero <<_num:3>> porta al rifugio in due ore.",
        "La sera il paese si riempie di musica.",
    ),
    "pt": (
        "A ponte abriu em <<_of:1886|1940|1998>> e liga as duas margens.",
        "O café custa <<_range:3>>,<<_digits:2>> euros na praça.",
        "Às <<_range:23>> horas o mercado já estava fechado.",
    ),
    "nl": (
        "De molen uit <<_of:1702|1850>> draait nog elke zaterdag.",
        "Het pad is <<_range:30>> kilometer lang en meestal vlak.",
        "Om <<_range:23>> uur ging het licht uit.",
    ),
    "pl": (
        "Most zbudowano w <<_of:1903|1938|1975>> roku.",
        "Chleb kosztuje <<_range:9>>,<<_digits:2>> zł i pachnie kminkiem.",
        "O godzinie <<_range:23>> zaczął padać śnieg.",
    ),
    "cs": (
        "Nádraží bylo otevřeno v roce <<_of:1871|1929>>.",
        "Cesta trvá <<_range:9>> hodin a vede lesem.",
    ),
    "hu": (
        "A könyvtár <<_of:1893|1961>> óta áll a téren.",
        "A kenyér <<_num:3>> forintba kerül.",
    ),
    "ro": (
        "Podul a fost construit în <<_of:1895|1934>>.",
        "Piața are <<_range:90>> de tarabe sâmbăta.",
    ),
    "sv": (
        "Fyren byggdes <<_of:1874|1906>> och är fortfarande bebodd.",
        "Båten går klockan <<_range:23>> och tar <<_num:3>> personer.",
    ),
    "no": ("Hytta ligger <<_num:3>> meter over havet.", "Veien ble åpnet i <<_of:1937|1969>>."),
    "fi": ("Sauna lämpiää <<_range:3>> tunnissa.", "Kirkko rakennettiin vuonna <<_of:1765|1886>>."),
    "da": (
        "Broen åbnede i <<_of:1935|1970>>.",
        "Turen er <<_range:40>> kilometer og går langs vandet.",
    ),
    "el": (
        "Το καφενείο άνοιξε το <<_of:1922|1954>>.",
        "Το ψωμί κοστίζει <<_range:3>>,<<_digits:2>> ευρώ.",
    ),
    "tr": ("Köprü <<_of:1894|1973>> yılında açıldı.", "Vapur saat <<_range:23>>'de kalkıyor."),
    "ru": (
        "Мост построили в <<_of:1896|1932|1961>> году.",
        "До деревни <<_range:90>> километров по лесу.",
        "В зале было <<_num:3>> мест, и все заняты.",
    ),
    "uk": ("Млин стоїть тут з <<_of:1887|1911>> року.", "Хліб коштує <<_range:90>> гривень."),
    "ar": ("بُني الجسر عام <<_of:1932|1968>>.", "المسافة <<_num:3>> كيلومتر تقريبا."),
    "he": ("הגשר נבנה בשנת <<_of:1925|1971>>.", "הלחם עולה <<_range:20>> שקלים."),
    "hi": ("यह पुल <<_of:1911|1954>> में बना था।", "गाँव यहाँ से <<_range:90>> किलोमीटर दूर है।"),
    "zh": (
        "这座桥建于<<_of:1921|1957|1988>>年。",
        "从车站走到湖边要<<_range:50>>分钟。",
        "面粉<<_num:3>>克，鸡蛋两个。",
    ),
    "ja": (
        "この橋は<<_of:1923|1964>>年に完成した。",
        "駅から湖まで<<_range:50>>分ほど歩く。",
        "小麦粉<<_num:3>>グラムを量る。",
    ),
    "ko": ("이 다리는 <<_of:1935|1978>>년에 세워졌다.", "역에서 호수까지 <<_range:50>>분 걸린다."),
    "vi": ("Cây cầu được xây năm <<_of:1902|1954>>.", "Bánh mì giá <<_num:2>> nghìn đồng."),
    "id": (
        "Jembatan itu dibangun pada tahun <<_of:1931|1972>>.",
        "Jaraknya sekitar <<_num:2>> kilometer.",
    ),
    "th": ("สะพานนี้สร้างในปี <<_of:2475|2511>>", "ระยะทางประมาณ <<_num:2>> กิโลเมตร"),
}


def _prose() -> Iterator[str]:
    rng = random.Random("prose")
    for _ in range(12):
        for language, sentences in _SENTENCES.items():
            count = min(len(sentences), rng.randrange(2, 5))
            yield ("" if language in {"zh", "ja"} else " ").join(rng.sample(sentences, count))


PROSE = tuple(dict.fromkeys(_prose()))
