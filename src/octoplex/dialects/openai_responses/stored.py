"""What must be kept of a response, and how a later request goes on from it: the pure part.

Whoever stores keeps, under the id of the response, three things: the body of the response
(for GET), the items of its *input* (`input_items`, for the list of input items), and the
items of its *output* (`output_items`). A request with `previous_response_id` is then
the same request with `joined(items, input)` as its `input` and without that member, where
`items` are input and output of the stored one, whose input already holds everything
before it. `instructions` are not carried over; that is the dialect's own rule. An
`item_reference` is replaced by `resolved`.

After that the request is an ordinary one: it passes verbatim to a provider of this
dialect, or is understood for any other. What the provider sees is `store: false` only
where the caller asked for that.

Reference: https://developers.openai.com/api/docs/guides/conversation-state

Not promised: retention, ownership and unguessable ids; those are the store's.
"""

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects import sse
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_responses.items import Ids
from octoplex.dialects.openai_responses.shapes import NOTHING
from octoplex.dialects.readers import complaint
from octoplex.wire.error import NotFound

_ENDS = (b"response.completed", b"response.incomplete")
_NEED_NO_ID = frozenset({"message", "function_call"})
_KINDS = {"reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}


class _Kind(Struct):
    type: str | None = None
    id: str | None = None
    role: str | None = None


class _Proof(Struct):
    encrypted_content: str | None = None


class _Message(Struct):
    role: str | None = None
    content: str | list[Raw] = []


class _Body(Struct):
    output: list[Raw]


class _End(Struct):
    response: Raw = NOTHING


_input = msgspec.json.Decoder(str | list[Raw]).decode
_kind = msgspec.json.Decoder(_Kind).decode
_proof = msgspec.json.Decoder(_Proof).decode
_message = msgspec.json.Decoder(_Message).decode
_item = msgspec.json.Decoder(dict[str, Raw]).decode
_body = msgspec.json.Decoder(_Body).decode
_end = msgspec.json.Decoder(_End).decode
_json = msgspec.json.Encoder().encode


def input_items(input_: Raw, response_id: str) -> list[Raw]:
    """The items of a request's `input`, each with a type and an id; text is a user's message.

    Raises:
        InvalidCall: it is neither text nor a list of items.
    """
    try:
        found = _input(input_)
        if isinstance(found, str):
            part = {"type": "input_text", "text": found}
            found = [Raw(_json({"type": "message", "role": "user", "content": [part]}))]
        ids = Ids(response_id)
        return [_named(raw, ids, number) for number, raw in enumerate(found)]
    except UNREADABLE as error:
        raise complaint(error, "input") from None


def _named(raw: Raw, ids: Ids, number: int) -> Raw:
    kind = _kind(raw)
    if kind.id and kind.type:
        return raw
    type_ = kind.type or "message"
    made = {"type": type_, "id": ids.item(f"{_KINDS.get(type_, 'msg')}_in", number)}
    return Raw(_json({**made, **_item(raw)}))


def output_items(body: bytes) -> list[Raw]:
    """The items of a response's output; none where the body is not a response."""
    try:
        return _body(body).output
    except UNREADABLE:
        return []


def ids_of(items: Iterable[Raw]) -> list[str]:
    """The id of every item; "" where it has none."""
    return [_kind(raw).id or "" for raw in items]


def by_id(items: Iterable[Raw]) -> dict[str, Raw]:
    """Items by their ids; without those that have none and those that only refer to another."""
    kinds = ((_kind(raw), raw) for raw in items)
    return {kind.id: raw for kind, raw in kinds if kind.id and not _is_reference(kind)}


def listed(item: Raw) -> Raw:
    """An item as lists of input items show it: the text of a message is one of its parts."""
    try:
        message = _message(item)
        text = message.content
        if _kind(item).type != "message" or not isinstance(text, str):
            return item
        part: dict[str, object] = {"type": "input_text", "text": text}
        if message.role == "assistant":
            part = {"type": "output_text", "text": text, "annotations": []}
        return Raw(_json({**_item(item), "content": [part]}))
    except UNREADABLE:
        return item


def portable(input_: Raw) -> Raw:
    """The input for a provider that did not make all of it.

    Reasoning without a cipher is known only where it lies stored, so it is left out; then
    the ids of messages and calls are too, which would be looked up together with it.
    """
    items = _input(input_)
    if isinstance(items, str):
        return input_
    kinds = [_kind(raw).type for raw in items]
    bare = [
        kind == "reasoning" and not _proof(raw).encrypted_content
        for raw, kind in zip(items, kinds, strict=True)
    ]
    if not any(bare):
        return input_
    return Raw(
        _json(
            [
                _without_id(raw) if kind in _NEED_NO_ID else raw
                for raw, kind, left_out in zip(items, kinds, bare, strict=True)
                if not left_out
            ]
        )
    )


def _without_id(raw: Raw) -> dict[str, Raw]:
    members = _item(raw)
    members.pop("id", None)
    return members


def final_response(wire: bytes) -> bytes | None:
    """The response in the terminal event of a stream, if these events hold it."""
    if not any(mark in wire for mark in _ENDS):
        return None
    for name, data in sse.events(wire):
        if name.encode() in _ENDS:
            try:
                return bytes(_end(data).response) or None
            except UNREADABLE:
                return None
    return None


def joined(stored: Iterable[Raw], input_: Raw | None) -> Raw:
    """The `input` that goes on from stored items.

    Raises:
        InvalidCall: the new input is neither text nor a list of items.
    """
    try:
        found = _input(input_) if input_ is not None else []
    except UNREADABLE as error:
        raise complaint(error, "input") from None
    if isinstance(found, str):
        found = [Raw(_json({"type": "message", "role": "user", "content": found}))]
    return Raw(_json([*stored, *found]))


def referred(input_: Raw) -> list[str]:
    """The ids of the items that an input refers to.

    Raises:
        InvalidCall: it is neither text nor a list of items.
    """
    try:
        found = _input(input_)
        kinds = [] if isinstance(found, str) else [_kind(raw) for raw in found]
    except UNREADABLE as error:
        raise complaint(error, "input") from None
    return [kind.id or "" for kind in kinds if _is_reference(kind)]


def _is_reference(kind: _Kind) -> bool:
    return kind.type in (None, "item_reference") and kind.role is None


def resolved(input_: Raw, find: Callable[[str], Raw | None]) -> Raw:
    """The input with every `item_reference` replaced by the item that `find` knows.

    Raises:
        InvalidCall: the input is neither text nor a list of items.
        NotFound: nobody kept the item. Fact: `param`.
    """
    try:
        found = _input(input_)
        if isinstance(found, str):
            return input_
        items = [_resolve(raw, f"input[{number}]", find) for number, raw in enumerate(found)]
    except UNREADABLE as error:
        raise complaint(error, "input") from None
    return Raw(_json(items))


def _resolve(raw: Raw, path: str, find: Callable[[str], Raw | None]) -> Raw:
    kind = _kind(raw)
    if not _is_reference(kind):
        return raw
    item = find(kind.id or "")
    if item is None:
        raise NotFound(f"`{path}`: no item {kind.id!r} is kept here; send it.", param=path)
    return item
