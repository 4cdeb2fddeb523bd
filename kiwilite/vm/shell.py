"""Frames a command so that its output and status survive a noisy console.

A serial console gives no structure: the terminal echoes what is typed, line
editors redraw it, the kernel writes wherever it likes, in the middle of a line
too. So a command is sent as

    { (eval "$(printf %b 'COMMAND')") 2>&1; ... } | sed -e 's/^/'TOK'EN|/' ...

Every line of its output comes back between two tokens that no one else writes,
and the status comes three times. No token stands in what is typed, because
there it is cut in two by quotes. A kernel message inside a line is known by its
time stamp, and by the end token it lacks, and taken out.

Pure functions; the shell must be POSIX, with printf and sed.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

# Of the command, in one line: busybox' line editor takes 1023 characters.
_CHUNK = 600
_PLAIN = frozenset(string.ascii_letters + string.digits + string.punctuation + " ") - set("'\\!")
_COPIES = 3
# The kernel's time stamp; behind it may follow the caller, "[    T1]".
_STAMP = r"\[ *[0-9]+\.[0-9]{6}\](?=[ \[])"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command printed, standard error included, and its exit status."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The tokens of one command; each has two halves."""

    token: tuple[str, str]
    end: tuple[str, str]

    @classmethod
    def fresh(cls) -> Frame:
        """A frame that was not used before."""

        def half() -> str:
            return secrets.token_hex(3)

        return cls(("o" + half(), half() + "o"), ("e" + half(), half() + "e"))

    def lines(self, command: str) -> list[str]:
        """What to type, line by line, to run `command`.

        After each line but the last, wait for `acknowledged`.
        """
        text = _escape(command)
        if len(text) <= _CHUNK:
            return [self._final(f"'{text}'")]
        chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
        told = f"printf '%s%s;\\n' {self.token[0]} {self.token[1]}"
        return [
            f"kiwilite_run=; {told}",
            *(f"kiwilite_run=\"${{kiwilite_run}}\"'{chunk}'; {told}" for chunk in chunks),
            self._final('"$kiwilite_run"'),
        ]

    @property
    def acknowledged(self) -> re.Pattern[str]:
        """Appears when a line but the last has been run."""
        return re.compile(f"{''.join(self.token)};")

    @property
    def ended(self) -> re.Pattern[str]:
        """Appears when the command has ended: its status, and the number of the copy."""
        return re.compile(f"{''.join(self.end)}:([0-9]+);([0-9]);")

    @property
    def settled(self) -> re.Pattern[str]:
        """Appears behind the last copy of the status."""
        return re.compile(f"{''.join(self.end)}:[0-9]+;{_COPIES};")

    def output(self, text: str) -> str:
        """The output of the command in `text`, which was read up to its end.

        What others wrote between its lines is left out, and what the kernel wrote
        into them.
        """
        token, lines, broken = "".join(self.token), [], 0
        for line in self._without_kernel(text).split("\n"):
            ended = self.ended.search(line)
            if ended:
                # Copies before this one were cut by noise, and look like output;
                # so does this one, if it was cut right behind its token.
                broken = int(ended.group(2)) - 1 + (ended.start() == 0)
                break
            _, found, content = line.partition(f"{token}|")
            if found:
                lines.append(content.removesuffix(f"|{token}"))
        return "\n".join(lines[: len(lines) - broken])

    def _without_kernel(self, text: str) -> str:
        # A line of output that looks like a message has the end token; and where
        # such a line was cut, the message is what stands behind the last stamp.
        inside = rf"(?!\|{''.join(self.token)}|{_STAMP})[^\n]"
        return re.sub(rf"{_STAMP}(?:{inside})*\n", "", text)

    def _final(self, quoted: str) -> str:
        begin, end = self.token
        copies = " ".join(str(number + 1) for number in range(_COPIES))
        return (
            f'{{ (eval "$(printf %b {quoted})") 2>&1; s=$?; echo; '
            f"for i in {copies}; do printf '%s%s:%s;%s;\\n' {self.end[0]} {self.end[1]} $s $i; "
            f"done; }} | sed -e 's/^/'{begin}'{end}|/' -e 's/$/|'{begin}'{end}/'"
        )


def _escape(command: str) -> str:
    # All but plain characters as octal: nothing that quoting, history, completion
    # or the terminal could see, whatever the command is.
    return "".join(
        character
        if character in _PLAIN
        else "".join(f"\\0{byte:03o}" for byte in character.encode())
        for character in command
    )
