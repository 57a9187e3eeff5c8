"""What a person's key may do at `/admin`: as its tenant's `roles` say, inside that tenant alone.

    realm = realm_of(caller, settings)        None: the key has a role of the file, for everything
    realm.check_look("spend")
    realm.sees(tenant, user), realm.reads(tenant), await realm.ids(gateway)
    await realm.bounded(order, caller, gateway)

In every team the role counts that the person has there, else in the organisation, at each
request as the file in force says it. An owner may do all that concerns keys; an admin too, but
for keys of owners and of other admins, with which they could do more; a member may have keys of
their own; a viewer reads what was used. What lies outside is as absent as what does not exist.

No key of a member leads to another that may more: a new one is bound as the one that asks for it,
and not made where that has limits of its own, which a second would double; and a key is given
another secret with itself alone.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from octoplex.gateway import Gateway
from octoplex.ledger.audit import Line
from octoplex.ledger.period import levels
from octoplex.ledger.rows import KeyRow
from octoplex.reflex.limit import NO_LIMITS
from octoplex.reflex.tenants import Role, TenantTable, role_of
from octoplex.settings import Settings
from octoplex.wire.ask import Caller
from octoplex.wire.error import Forbidden, NotFound

RULERS = frozenset({"owner", "admin"})
READERS = RULERS | {"viewer"}
LOOKS: Mapping[Role, frozenset[str]] = {
    "owner": frozenset({"keys", "spend", "requests", "tenants", "audit"}),
    "admin": frozenset({"keys", "spend", "requests", "tenants"}),
    "member": frozenset({"keys", "spend", "requests"}),
    "viewer": frozenset({"spend", "requests", "tenants"}),
}


class Realm(Struct, frozen=True):
    """A person with a key of a tenant, and what everybody is in which tenant."""

    user: str
    tenant: str
    tables: Mapping[str, TenantTable]
    role: Role
    """Theirs in the tenant of the key."""

    def role_in(self, tenant: str) -> Role | None:
        """What they are in a tenant; nothing outside of their key's."""
        inside = self.tenant in levels(tenant)
        return role_of(self.tables, tenant, self.user) if inside else None

    def reads(self, tenant: str) -> bool:
        """Whether what all of a tenant's keys used is theirs to see."""
        return self.role_in(tenant) in READERS

    def sees(self, tenant: str, user: str) -> bool:
        """Whether keys of a tenant, made for this person, are theirs to see."""
        role = self.role_in(tenant)
        return role in RULERS or (role == "member" and user == self.user)

    def may(self, tenant: str, user: str) -> bool:
        """Whether they may make such keys, replace and revoke them."""
        role = self.role_in(tenant)
        if role == "owner" or user == self.user:
            return role in RULERS or role == "member"
        return role == "admin" and not self._rules(tenant, user)

    def _rules(self, tenant: str, user: str) -> bool:
        """Whether somebody is owner or admin in a tenant, or in a team of it."""
        teams = [name for name in self.tables if tenant in levels(name)]
        return any(role_of(self.tables, name, user) in RULERS for name in (tenant, *teams))

    def check_look(self, name: str) -> None:
        """Refuse to show what is not this role's.

        Raises:
            Forbidden: naming what is.
        """
        if name not in LOOKS[self.role]:
            there = ", ".join(sorted(LOOKS[self.role]))
            raise Forbidden(f"{self.said()}, which opens {there} of it, not /admin/{name}.")

    def said(self) -> str:
        """Who this is, for a refusal."""
        return f"{self.user} is {self.role} in {self.tenant}"

    def noted(self, line: Line) -> bool:
        """Whether a line of the audit log is about keys that are theirs to see."""
        told = [one for one in (line.before, line.after) if isinstance(one, dict)]
        whose = next((one["tenant"] for one in told if "tenant" in one), "")
        return line.what.startswith("keys.") and self.role_in(whose) == "owner"

    async def ids(self, gateway: Gateway) -> tuple[str, ...]:
        """The keys, also revoked ones, whose use is theirs to see."""
        found = [(name, key.tenant, key.user) for name, key in gateway.settings.keys.items()]
        found += [(row.id, row.tenant, row.user) for row in await gateway.store.keys()]
        return tuple([id_ for id_, t, user in found if self.reads(t) or self.sees(t, user)])

    async def bounded(
        self, order: dict[str, Any], caller: Caller, gateway: Gateway
    ) -> dict[str, Any]:
        """An order of theirs, as it may be carried out.

        Raises:
            Forbidden: it may not.
            NotFound: there is no such key that they see.
        """
        match order.get("do"):
            case "keys.new":
                return self._new(order, caller, gateway)
            case "keys.rotate" | "keys.revoke" as do:
                row = await self._row(order["name"], gateway)
                self._check(row.tenant, row.user)
                member = self.role_in(row.tenant) == "member"
                if do == "keys.rotate" and member and row.id != caller.id:
                    raise Forbidden(f"{self.said()}; a key is given another secret with itself.")
                return order | {"name": row.id}
        raise Forbidden(f"{self.said()}; this is for keys with a role of the file alone.")

    def _check(self, tenant: str, user: str) -> None:
        if not self.may(tenant, user):
            whom = f" of {user}" if user else ""
            raise Forbidden(f"{self.said()}, and may not change keys{whom} in {tenant}.")

    async def _row(self, name: str, gateway: Gateway) -> KeyRow:
        """A key in use of this id, else of this name."""
        rows = [row for row in await gateway.store.keys() if row.revoked_at_ms is None]
        for row in sorted(rows, key=lambda row: row.id != name):
            if name in (row.id, row.name) and self.sees(row.tenant, row.user):
                return row
        raise NotFound(f'There is no key "{name[:200]}" in use that {self.user} could change.')

    def _new(self, order: dict[str, Any], caller: Caller, gateway: Gateway) -> dict[str, Any]:
        tenant = order["tenant"] or self.tenant
        role = self.role_in(tenant)
        user = order["user"] or (self.user if role == "member" else "")
        self._check(tenant, user)
        order = order | {"tenant": tenant, "user": user}
        return order if role in RULERS else self._as_bound(order, caller, gateway)

    def _as_bound(self, order: dict[str, Any], caller: Caller, gateway: Gateway) -> dict[str, Any]:
        """A member's key opens nothing, and lasts no longer, than the one that asks for it."""
        own = gateway.key_of(caller)
        if own is None or own.limits != NO_LIMITS:
            raise Forbidden(f"{self.said()}; a key with limits of its own makes no second one.")
        models, most = order["models"] or own.models.patterns, own.models.patterns
        if most and not set(models) <= set(most):
            raise Forbidden(
                f"{self.said()}; this key is for {', '.join(most)}, and so is its like."
            )
        if order["region"] not in ("", caller.region) and caller.region:
            raise Forbidden(f"{self.said()}; this key is for {caller.region}, and so is its like.")
        ends = [one for one in (order["expires_at_ms"], _ms(own.expires_at)) if one is not None]
        return order | {
            "models": models,
            "region": order["region"] or caller.region,
            "expires_at_ms": min(ends, default=None),
        }


def _ms(at_s: float | None) -> int | None:
    return None if at_s is None else int(at_s * 1000)


def realm_of(caller: Caller, settings: Settings) -> Realm | None:
    """The realm of a person's key; None for a key with a role of the file.

    Raises:
        Forbidden: the person has no role any more.
    """
    if caller.role:
        return None
    role = role_of(settings.tenants, caller.tenant, caller.user) if caller.user else None
    if role is None:
        raise Forbidden(
            f"{caller.user or 'This key'} has no role in {caller.tenant or 'a tenant'}."
        )
    return Realm(caller.user, caller.tenant, settings.tenants, role)
