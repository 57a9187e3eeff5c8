"""Where a target answers: yes only where something says so."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octoplex.catalog import regions as module
from octoplex.catalog.provider import Provider, catalogue
from octoplex.catalog.regions import answers_in, region_names, regions, spread
from octoplex.wire.error import BadConfig

UNION = {
    *("at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hr", "hu"),
    *("ie", "it", "lt", "lu", "lv", "mt", "nl", "pl", "pt", "ro", "se", "si", "sk"),
}


def row(**more: Any) -> Provider:
    plain: dict[str, Any] = {
        "title": "X",
        "docs": "https://x.test",
        "base_url": "https://x.test/v1",
        "dialects": {"openai-chat": ""},
        "modalities": ["chat"],
        "evidence": "listed",
    }
    return msgspec.convert(plain | more, Provider)


@pytest.mark.parametrize(
    ("id_", "region", "wanted", "yes"),
    [
        ("mistral", "eu", "eu", True),
        ("mistral", "us", "eu", False),
        ("mistral", "us", "us", True),
        ("mistral", None, "eu", False),  # the global host says nothing
        ("openai", "eu", "eu", True),
        ("lighton", None, "fr", True),
        ("lighton", None, "eu", True),
        ("lighton", None, "de", False),
        ("maritaca", None, "br", True),
        ("bedrock", "eu-central-1", "eu", True),
        ("bedrock", "eu-central-1", "de", True),
        ("bedrock", "eu-central-1", "eu-central-1", True),
        ("bedrock", "eu-west-2", "eu", False),  # London
        ("bedrock", "eu-central-2", "eu", False),  # Zurich
        ("bedrock", "mars-1", "eu", False),
        ("vertex", "europe-west6", "eu", False),  # Zurich
        ("vertex", "europe-west9", "fr", True),
        ("vertex", "global", "us", False),
        ("azure-openai", "swedencentral", "eu", True),
        ("azure-openai", "uksouth", "eu", False),
        ("azure-openai", None, "eu", False),
        ("watsonx", "eu-gb", "eu", False),
        ("watsonx", "eu-de", "eu", True),
        ("watsonx", "ap-south-1", "in", True),
        ("xai", "us", "us", True),
        ("xai", "eu-west-1", "eu", False),  # the newest page names no such host
        ("openai", "us", "us", True),
        ("together", "us", "us", True),
        ("together", "ca", "ca", True),
        ("together", None, "us", False),
        ("assemblyai", None, "us", True),
        ("assemblyai", "eu", "eu", True),
        ("alibaba", "cn", "cn", True),
        ("alibaba", None, "sg", False),
        ("alibaba", "virginia", "us", False),  # the data rest there, models run anywhere
        ("requesty", "eu", "eu", False),  # the host is there, who answers is not known
        ("stepfun", "intl", "cn", False),
        ("ollama", None, "eu", False),  # its URL decides, not its row
        ("litellm-proxy", None, "eu", False),
    ],
)
def test_answers_in(id_: str, region: str | None, wanted: str, yes: bool) -> None:
    assert answers_in(catalogue()[id_], region, wanted) is yes


DEPLOYED = "one's own deployment answers where its owner put it, which its URL does not say"
WEIGHTS = "open weights: the server is the operator's, and so is `region`"
NOTHING = "no page of the vendor's that was found says where it answers"
SILENT = {
    "beam": DEPLOYED,
    "byteplus": "the host names ap-southeast, and no page a country",
    "cerebrium": DEPLOYED,
    "compactifai": "hosts for the EU and the US are told of, on no page of the vendor's own",
    "crusoe": NOTHING,
    "digitalocean": "its table of regions has its other products, not the shared models",
    "edenai": "it hands requests on",
    "inception": NOTHING,
    "kakao": WEIGHTS,
    "latamgpt": WEIGHTS,
    "lemonfox": NOTHING,
    "lg-exaone": "Friendli serves it, who does not say where",
    "llama-api": "nobody can use it",
    "meta-ai": NOTHING,
    "mixedbread": NOTHING,
    "modal": DEPLOYED,
    "morph": NOTHING,
    "nebius": "its hosts are those of one's own endpoints; of the shared models nothing is said",
    "nlp-cloud": "nobody can use it",
    "nomic": NOTHING,
    "nova-api": NOTHING,
    "nscale": "others call it European; no page of its own that was found does",
    "plamo": NOTHING,
    "sakana": NOTHING,
    "sap-ai-core": "nobody can use it",
    "sea-lion": NOTHING,
    "silo-ai": WEIGHTS,
    "swiss-ai": "Public AI serves it, who does not say where",
    "tilde": WEIGHTS,
    "twelve-labs": "nobody can use it",
    "upstage": "the terms name Korean law, not where models run",
    "wandb": NOTHING,
    "xiaomi-mimo": "hosts by region are those of another plan",
}
"""Rows of vendors whose home is known, which is not where they answer."""


@pytest.mark.parametrize("id_", SILENT)
def test_the_home_of_a_vendor_is_not_where_it_answers(id_: str) -> None:
    known = catalogue()[id_]
    assert not known.residency
    assert not known.regions
    assert (SILENT[id_] == "nobody can use it") == bool(known.unusable)
    assert (SILENT[id_] == "it hands requests on") == known.forwards
    assert SILENT[id_] != WEIGHTS or known.base_url == "{server}"


def test_a_region_that_is_not_the_rows_says_nothing() -> None:
    assert not answers_in(row(), "eu", "eu")
    assert answers_in(row(regions={"eu": "https://eu.x.test"}), "eu", "eu")
    assert not answers_in(row(cloud="gcp"), "eu-central-1", "eu")


@pytest.mark.parametrize(
    ("model", "wide"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", None),
        ("zai.glm-4.7", None),
        ("arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-pro-v1:0", None),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "eu"),
        ("us.amazon.nova-pro-v1:0", "us"),
        ("us-gov.anthropic.claude-3-5-sonnet-20240620-v1:0", "us"),
        ("jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "jp"),
        ("apac.amazon.nova-pro-v1:0", ""),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", ""),
        ("xq.anthropic.claude-sonnet-4-5-20250929-v1:0", ""),
        ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0", "eu"),
        ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/ab1c", ""),
        ("arn:aws:bedrock:eu-west-1:1:default-prompt-router/anthropic.claude:1", ""),
    ],
)
def test_a_profile_in_a_models_id_is_wider_than_its_region(model: str, wide: str | None) -> None:
    assert spread(catalogue()["bedrock"], model) == wide
    assert spread(catalogue()["vertex"], model) is None


def test_a_named_region_comes_before_the_residency() -> None:
    both = row(regions={"us": "https://us.x.test"}, residency=["eu", "fr"])
    assert not answers_in(both, "us", "eu")
    assert answers_in(both, "", "eu")


def test_regions_are_the_rows_own_and_its_clouds() -> None:
    assert region_names(catalogue()["mistral"]) == ("eu", "us")
    assert "eu-central-1" in region_names(catalogue()["bedrock"])
    assert region_names(catalogue()["vertex"])[0] == "global"
    assert region_names(catalogue()["anthropic"]) == ()


def test_an_area_is_a_country_or_the_union() -> None:
    for name, areas in [r for cloud in regions().values() for r in cloud.items()]:
        assert all(re.fullmatch(r"[a-z]{2}", code) for code in areas), name
        countries = set(areas) - {"eu"}
        if countries:
            assert ("eu" in areas) == bool(countries & UNION), name
    for known in catalogue().values():
        assert set(region_names(known)) <= {n for cloud in regions().values() for n in cloud}
        countries = set(known.residency) - {"eu"}
        assert ("eu" in known.residency) == bool(countries & UNION), known.id


def test_a_region_has_the_same_areas_whichever_cloud_names_it() -> None:
    named: dict[str, tuple[str, ...]] = {}
    for cloud in regions().values():
        for name, areas in cloud.items():
            assert named.setdefault(name, areas) == areas


def test_a_wrong_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "regions.toml"
    wrong.write_text('[aws]\neu-central-1 = "de"\n')
    monkeypatch.setattr(module, "FILE", wrong)
    with pytest.raises(BadConfig, match=r"regions\.toml"):
        regions.__wrapped__()
