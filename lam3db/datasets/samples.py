"""One row of a file to one sample.

Rules. Images come before the prompt, in their order. A sample is posed by its ``prompt``
(with ``image`` or ``images``) or by ``messages``: a list of ``{"role": ..., "text": ...}``,
each with ``image`` or ``images`` if it has some, or of ``{"role": ..., "content": ...}`` as chat
interfaces write them (:mod:`lam3db.datasets.content_parts`), the last by the user. A prompt
that is empty is allowed where there is an image and a behavior; in JSONL it must be written
(``""`` or null), so that a misspelt key is no image-only sample. Without a behavior the prompt
is its own. Columns of no field are metadata, with their JSON types; empty CSV cells are left out.

What must hold: a value is taken as it stands or named as a fault; no field is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db import hashing
from lam3db.datasets.content_parts import ContentError, ImageName, read_message, read_role
from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.results.stand_ins import is_doubtful
from lam3db.errors import MediaError
from lam3db.records import Attack, Behavior, ImagePart, Message, Sample, TextPart, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.columns import Columns
    from lam3db.datasets.images import ImageFolder
    from lam3db.datasets.lines import Row

MAX_PROMPT = 1_000_000
"""Characters of one text."""
MAX_NAME = 200
"""Characters of a key, a category or an attack's name."""
_BENIGN = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "benign", "harmless", "safe"), True),
    **dict.fromkeys(("是", "真", "无害", "安全"), True),
    **dict.fromkeys(("false", "0", "0.0", "no", "harmful", "unsafe"), False),
    **dict.fromkeys(("否", "假", "有害", "不安全"), False),
}


@dataclass(frozen=True, slots=True)
class SampleReader:
    """Makes samples of rows; what is wrong goes to ``faults``."""

    columns: Columns
    images: ImageFolder
    faults: Faults
    is_table: bool

    def read(self, row: Row) -> tuple[str | None, Sample] | None:
        """Return (key if the row has one, sample), or None after noting each fault."""
        before = self.faults.count
        fields = _Fields(self, row)
        key = fields.key()
        messages = fields.messages()
        behavior = fields.behavior(messages, is_posed=self.faults.count == before)
        attack, target = fields.attack(), fields.text("target", MAX_PROMPT)
        metadata = fields.metadata()
        if self.faults.count > before or behavior is None:
            return None
        return key, Sample(messages, behavior, attack, target, metadata)


class _Fields:
    """The fields of one row."""

    def __init__(self, reader: SampleReader, row: Row) -> None:
        self._reader = reader
        self._row = row

    def key(self) -> str | None:
        before = self._reader.faults.count
        key = self.name("key")
        is_told = self._reader.faults.count > before
        if key is None and "key" in self._reader.columns.of and not is_told:
            self._fault("key", "missing")
        return key

    def messages(self) -> tuple[Message, ...]:
        several = self._listed("messages")
        if several is None:
            parts = self._parts(
                "prompt", self._prompt(), self._value("image"), self._listed("images")
            )
            return (Message("user", parts),)
        if any(self._value(name) for name in ("prompt", "image", "images")):
            self._fault("messages", "given beside a prompt or an image: put them into messages")
        if not isinstance(several, list) or not several:
            self._fault("messages", f"a list of messages is wanted, not {shown(several)}")
            return ()
        found = tuple(self._message(index, item) for index, item in enumerate(several, 1))
        if found[-1].role != "user":
            self._fault("messages", f"the last is by {found[-1].role!r}: the user's is answered")
        return found

    def behavior(self, messages: tuple[Message, ...], *, is_posed: bool) -> Behavior | None:
        text = self.text("behavior", MAX_PROMPT) or text_of(messages)
        category = self.name("category") or ""
        benign = self.benign()
        if not text.strip():
            if is_posed:
                self._fault("behavior", "missing, and there is no prompt to take its place")
            return None
        return Behavior(text, category, is_benign=benign)

    def attack(self) -> Attack:
        value = self._value("attack")
        if not isinstance(value, dict):
            label = self.name("attack") or "none"
            return Attack() if label.casefold() == "none" else Attack(label)
        name, parameters = value.get("name"), value.get("parameters", {})
        if value.keys() - {"name", "parameters"} or not isinstance(parameters, dict):
            self._fault("attack", 'an object has "name" and "parameters" (an object), no more')
        elif not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
            self._fault("attack", f"no name: {shown(name)}")
        elif self._is_json("attack", parameters):
            return Attack(name, parameters)
        return Attack()

    def metadata(self) -> dict[str, Any]:
        used = set(self._reader.columns.of.values())
        found = {name: value for name, value in self._row.values.items() if name not in used}
        if self._reader.is_table:
            return {name: value for name, value in found.items() if value != ""}
        inner = found.get("metadata")
        if isinstance(inner, dict):
            del found["metadata"]
            for name in sorted(inner.keys() & found.keys()):
                self._fault("metadata", f"{shown(name)} stands inside and beside it")
            found |= inner
        return found if self._is_json("metadata", found) else {}

    def text(self, field: str, limit: int) -> str | None:
        """Return a text, None where there is none."""
        value = self._value(field)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self._fault(field, f"text is wanted, not {shown(value)}")
            return None
        if len(value) > limit:
            self._fault(field, f"{len(value)} characters, more than {limit}")
            return None
        return value

    def name(self, field: str) -> str | None:
        """Return a short text that is not blank; a whole number is taken as its digits."""
        value = self._value(field)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # as pandas writes whole numbers of a column with gaps
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        text = self.text(field, MAX_NAME)
        if text is not None and not text.strip():
            self._fault(field, f"blank: {shown(text)}")
        return text

    def benign(self) -> bool:
        """Return whether answering is right, by the rule or by the column's word."""
        rule, remarks = self._reader.columns.benign, self._reader.faults.remarks
        if rule is not None:
            word = rule.word_of(self._row.values)
            is_benign = word in rule.words
            remarks.note(f"{rule.column} {word!r} is {'' if is_benign else 'not '}benign")
            return is_benign
        value = self._value("benign")
        if value is None or value == "":
            if "benign" in self._reader.columns.of:
                remarks.note("samples without a word for benign are taken as not benign")
            return False
        is_word = isinstance(value, str | int | float)
        known = _BENIGN.get(str(value).strip().lower()) if is_word else None
        if known is None:
            what = "true or false (1/0, yes/no, 是/否, safe/unsafe, harmless/harmful) is wanted"
            cure = "or name the words that mean benign: --map 'benign=COLUMN:WORD|WORD'"
            self._fault("benign", f"{what}, not {shown(value)}; {cure}")
        return bool(known)

    def _prompt(self) -> str | None:
        column = self._reader.columns.of.get("prompt")
        if column is not None and column not in self._row.values:
            self._fault("prompt", 'missing (write "prompt": "" for a sample of images alone)')
        text = self.text("prompt", MAX_PROMPT)
        if text is not None and is_doubtful(text):
            word = shown(text.strip())
            what = f"prompts that read {word} are taken as such: leave rows out that have none"
            self._reader.faults.remarks.note(what)
        return text

    def _message(self, index: int, value: Any) -> Message:
        field = f"messages[{index}]"
        if isinstance(value, dict) and "content" in value:
            return self._message_of_parts(field, value)
        if not isinstance(value, dict) or value.keys() - {"role", "text", "image", "images"}:
            what = f'"role" with "content", or with "text", "image", "images", not {shown(value)}'
            self._fault(field, what)
            return Message("user", ())
        role, text = "user", value.get("text")
        try:
            role = read_role(value.get("role"), self._reader.faults.remarks)
        except ContentError as error:
            self._fault(field, str(error))
        if text is not None and (not isinstance(text, str) or len(text) > MAX_PROMPT):
            self._fault(field, f"text of at most {MAX_PROMPT} characters, not {shown(text)}")
            text = None
        return Message(role, self._parts(field, text, value.get("image"), value.get("images")))

    def _message_of_parts(self, field: str, value: Mapping[str, Any]) -> Message:
        """Return a message whose content chat interfaces write, its parts in their order."""
        if value.keys() & {"text", "image", "images"}:
            self._fault(field, '"content" holds the whole message: no text or image beside it')
        try:
            role, pieces = read_message(value, self._reader.faults.remarks)
        except ContentError as error:
            self._fault(field, str(error))
            return Message("user", ())
        size = sum(len(piece.text) for piece in pieces if isinstance(piece, TextPart))
        if size > MAX_PROMPT:
            self._fault(field, f"text of at most {MAX_PROMPT} characters, not {size}")
        if not any(isinstance(piece, ImageName) or piece.text.strip() for piece in pieces):
            self._fault(field, "neither text nor image")
        return Message(role, tuple(part for piece in pieces for part in self._part(piece)))

    def _part(self, piece: TextPart | ImageName) -> tuple[TextPart | ImagePart, ...]:
        """Return the part, or none after noting that its image cannot be used."""
        if isinstance(piece, TextPart):
            return (piece,)
        images, remarks = self._reader.images, self._reader.faults.remarks
        try:
            return (ImagePart(images.take(piece.name, remarks).sha256),)
        except MediaError as error:
            self._fault("image", f"{shown(piece.name)}: {error}")
            return ()

    def _listed(self, field: str) -> Any:
        """Return a field that holds a list; in a cell of a table it is written as JSON."""
        value = self._value(field)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return parse_json(value)
        except ValueError:
            self._fault(field, f"a JSON list is wanted, not {shown(value)}")
            return None

    def _parts(
        self, field: str, text: str | None, image: Any, images: Any
    ) -> tuple[TextPart | ImagePart, ...]:
        if image not in (None, "", []) and images not in (None, "", []):
            self._fault(field, '"image" and "images" are both given')
        names = self._names(field, image) + self._names(field, images)
        if not names and not (text and text.strip()):
            self._fault(field, "neither text nor image")
        parts = [part for name in names for part in self._part(ImageName(name))]
        return (*parts, TextPart(text)) if text else tuple(parts)

    def _names(self, field: str, value: Any) -> list[str]:
        names = value if isinstance(value, list) else [value]
        found = [name for name in names if isinstance(name, str) and name]
        if len(found) < len(names) and value not in (None, "", []):
            self._fault(field, f"paths of images are wanted, not {shown(value)}")
        return found

    def _is_json(self, field: str, value: Mapping[str, Any]) -> bool:
        try:
            hashing.canonical_json(value)
        except (TypeError, ValueError) as error:
            self._fault(field, str(error))
            return False
        return True

    def _value(self, field: str) -> Any:
        column = self._reader.columns.of.get(field)
        return None if column is None else self._row.values.get(column)

    def _fault(self, field: str, what: str) -> None:
        column = self._reader.columns.of.get(field, field)
        shown_as = field if column == field else f"{field} (column {column!r})"
        self._reader.faults.add(self._row.line, shown_as, what, self._row.place)
