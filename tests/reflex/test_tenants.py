"""What binds a key from above: models, rates, regions, roles."""

import pytest

from octoplex.catalog.regions import narrower
from octoplex.ledger import Cap
from octoplex.reflex import Hasher, KeySpec, Models, from_config
from octoplex.reflex.keys import Entry, Keyring
from octoplex.reflex.limit import Buckets, parse
from octoplex.reflex.tenants import Tenant, TenantTable, flat, placed, role_of
from octoplex.wire.error import BadConfig, TooFast, TooLarge, Unauthorized


def test_models_of_every_level_must_allow_a_name() -> None:
    own = Models(("main", "gpt-5*"))
    both = own.within([Models(("main", "openai/*")), Models()])
    assert both.allows("main")
    assert not both.allows("gpt-5-mini")
    assert not both.allows("openai/gpt-5-mini")
    assert both.allows("gpt-5-mini", "openai/gpt-5-mini")  # two names of one model
    assert not both.every
    assert str(both) == "main, gpt-5*; of these only: main, openai/*"
    everything = Models().within([Models(), Models(("*",))])
    assert everything.every
    assert str(Models().within([Models(("a",))])) == "a"
    assert not Models(("*",)).within([Models(("a",))]).allows("b")
    assert own.allows("main")
    assert not own.allows("other")


def test_buckets_of_a_tenant_are_shared_and_named() -> None:
    now = [0]
    team = Buckets(parse("3 req/min, 1k tok/min").rates, lambda: now[0], "acme.web")
    one, two = (Buckets(parse(text).rates, lambda: now[0]) for text in ("9 req/min", ""))
    one.share(team)
    two.share(team)
    one.take(10)
    two.take(10)
    two.settle(10, 5, 900)
    with pytest.raises(TooFast, match=r"The team acme.web's limit of 1,000 tok/min is reached"):
        one.take(200)
    one.take(10)
    with pytest.raises(TooFast, match=r"The team acme.web's limit of 3 req/min"):
        two.take(0)
    with pytest.raises(TooLarge, match=r"the team acme.web's limit is 1,000 tok/min"):
        one.take(2_000)
    shown = [(f.tenant, f.unit, f.remaining) for f in one.figures()]
    assert shown == [("", "req", 7), ("acme.web", "req", 0), ("acme.web", "tok", 75)]


def test_budgets_have_short_windows_too() -> None:
    caps = parse("$1/min, $2/hour, $3 per day").caps
    assert caps == (Cap("minute", 10**9), Cap("hour", 2 * 10**9), Cap("day", 3 * 10**9))
    with pytest.raises(ValueError, match="min, hour, day"):
        parse("$1/sec")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("", "", ""),
        ("eu", "", "eu"),
        ("", "de", "de"),
        ("eu", "de", "de"),
        ("eu-central-1", "eu", "eu-central-1"),
        ("us", "eu", None),
        ("de", "se", None),
        ("my-own", "eu", None),
    ],
)
def test_the_narrower_of_two_areas(one: str, other: str, both: str | None) -> None:
    assert narrower(one, other) == both


def test_a_key_is_bound_by_all_above_it() -> None:
    spec = KeySpec(name="app", tenant="acme.web", limits="9 req/min")
    key = from_config(spec, "x" * 20, Hasher(b"p" * 32)).key
    tenants = {
        "acme": Tenant(name="acme", limits=parse("$5/day"), region="eu"),
        "acme.web": Tenant(name="acme.web", limits=parse("2 req/s"), models=Models(("m",))),
    }
    made = placed(key, tenants)
    assert (made.caller.budgeted, made.caller.region, made.rated) == (True, "eu", True)
    assert [name for name, _ in made.above] == ["acme.web", "acme"]
    assert (made.allows("m"), made.allows("n")) == (True, False)
    with pytest.raises(BadConfig, match=r'no tenant "acme\.web"'):
        placed(key, {"other": Tenant(name="other")})
    alone = from_config(KeySpec(name="b"), "y" * 20, Hasher(b"p" * 32)).key
    assert placed(alone, tenants) is alone


def test_teams_are_told_from_settings() -> None:
    tree = {"acme": {"limits": "$5/day", "roles": {"a@b": "admin"}, "web": {"limits": "$1/day"}}}
    assert flat(tree, "f") == {
        "acme": {"limits": "$5/day", "roles": {"a@b": "admin"}},
        "acme.web": {"limits": "$1/day"},
    }
    # A team may have a name that is close to a setting's, if it says what teams say.
    assert "acme.alert" in flat({"acme": {"alert": {"limits": "$1/day"}}}, "f")
    with pytest.raises(BadConfig, match='did you mean "roles"'):
        flat({"acme": {"role": {"ana@acme.example": "admin"}}}, "f")


def test_a_role_of_the_organisation_counts_in_its_teams() -> None:
    tables = {
        "acme": TenantTable(roles={"ana": "admin", "bob": "owner"}),
        "acme.web": TenantTable(roles={"bob": "viewer"}),
    }
    assert role_of(tables, "acme.web", "ana") == "admin"
    assert role_of(tables, "acme.web", "bob") == "viewer"
    assert role_of(tables, "acme", "bob") == "owner"
    assert role_of(tables, "acme.web", "eve") is None


def test_two_secrets_open_one_key_until_the_old_one_ends() -> None:
    hasher, now = Hasher(b"p" * 32), [100.0]
    key = from_config(KeySpec(name="app"), "new" * 8, hasher).key
    entry = Entry(hasher.hash(b"new" * 8), key, hasher.hash(b"old" * 8), 200.0)
    ring = Keyring(hasher, [entry], lambda: now[0])
    assert ring.find(b"old" * 8).id == ring.find(b"new" * 8).id == "app"
    assert len(ring) == 1
    now[0] = 200.0
    with pytest.raises(Unauthorized):
        ring.find(b"old" * 8)
    assert ring.find(b"new" * 8) == key
    taken = from_config(KeySpec(name="b"), "old" * 8, hasher)
    with pytest.raises(BadConfig, match="same secret"):
        ring.replace([entry, taken])
