"""A `multipart/form-data` body that comes in pieces, with one file in it (RFC 7578).

    parts = Multipart(headers[b"content-type"])
    data = parts.feed(piece)          # what of it belongs to the part `file`
    parts.end()                       # then `fields` and `filename` are whole

Only the file may be large: names and values of the other parts are bounded, and so is their
number, so that nothing grows with what a caller sends.
"""

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from octoplex.wire.error import InvalidCall

FILE = "file"
MOST_PARTS, MOST_BYTES, LONGEST_NAME = 32, 16_384, 255


class Multipart:
    """Take it in pieces."""

    def __init__(self, content_type: bytes) -> None:
        """Begin.

        Raises:
            InvalidCall: it is no form.
        """
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
            raise InvalidCall(
                "A file is sent as multipart/form-data with the parts `file` and `purpose`."
            )
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        """Of the file; None: none has come."""
        self._parts = self._small_bytes = 0
        self._header, self._value = b"", b""
        self._name, self._is_file, self._part = "", False, b""
        self._file: list[bytes] = []
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part,
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> bytes:
        """Take a piece; what of it belongs to the file.

        Raises:
            InvalidCall: it is no form, or one of another kind.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise InvalidCall("The body is no valid multipart/form-data.") from None
        found, self._file = b"".join(self._file), []
        return found

    def end(self) -> None:
        """The body has ended.

        Raises:
            InvalidCall: its form has not, or there was no file in it.
        """
        if not self._ended:
            raise InvalidCall("The body ends within its multipart/form-data.")
        if self.filename is None:
            raise InvalidCall("The form has no part `file` with a file in it.", param=FILE)

    # What the parser calls.

    def _on_part(self) -> None:
        self._parts += 1
        self._name, self._is_file, self._part = "", False, b""
        if self._parts > MOST_PARTS:
            raise InvalidCall(f"The form has more than {MOST_PARTS} parts.")

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._header += self._small(data[start:end])

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._small(data[start:end])

    def _on_header(self) -> None:
        name, value = self._header.lower(), self._value
        self._header, self._value = b"", b""
        if name != b"content-disposition":
            return
        _, options = parse_options_header(value)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == FILE:
            if self.filename is not None:
                raise InvalidCall("The form has more than one part `file`.", param=FILE)
            given = options.get(b"filename", b"").decode("utf-8", "replace")
            self.filename = given[-LONGEST_NAME:] or "upload"
            self._is_file = True

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._file.append(data[start:end])
        else:
            self._part += self._small(data[start:end])

    def _on_part_end(self) -> None:
        if not self._is_file:
            self.fields[self._name] = self._part.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self._ended = True

    def _small(self, data: bytes) -> bytes:
        self._small_bytes += len(data)
        if self._small_bytes > MOST_BYTES:
            raise InvalidCall(f"The form has more than {MOST_BYTES:,} bytes beside its file.")
        return data


class FormValues(Multipart):
    """The values of a form's parts of one name; files and all other parts are read over."""

    def __init__(self, content_type: bytes, name: str) -> None:
        """Begin; raises as `Multipart` does."""
        super().__init__(content_type)
        self.values: list[str] = []
        self._wanted = name

    def _on_header(self) -> None:
        name, value = self._header.lower(), self._value
        self._header, self._value = b"", b""
        if name == b"content-disposition":
            _, options = parse_options_header(value)
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            self._is_file = self._name != self._wanted

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._part += self._small(data[start:end])

    def _on_part_end(self) -> None:
        if not self._is_file:
            self.values.append(self._part.decode("utf-8", "replace"))
