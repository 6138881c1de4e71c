#!/usr/bin/env python3
"""Draws docs/session.svg: a real terminal session, as tmux saw it.

Runs the commands below in a terminal of tmux, in a folder with a node's data directory made of a fixture, and renders the
captured screen, colours included, with rich (pip install rich). The ekvsnap that is drawn is the one in PATH.

    PATH="$PWD/target/release:$PATH" scripts/picture.py
"""

import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PICTURE = REPOSITORY / "docs" / "session.svg"
COLUMNS, LINES = 108, 70
SESSION = [
    "ekvsnap decode n1 --output dump --staging dump.db",
    "jq -c .fields dump/redis/db_0/hashes/a%3Ahash%3A970449.json",
    "ekvsnap keys dump.db --match 'a:*' --sort size --limit 3",
    'ekvsnap sql dump.db "SELECT type, count(*) AS keys, sum(bytes) AS bytes FROM keys GROUP BY type"',
    "ekvsnap verify dump --against n1",
    "printf x >> dump/redis/db_0/strings_ttl.jsonl; ekvsnap verify dump",
]
PROMPT = r"\[\e[1;32m\]$\[\e[0m\] "
THEME = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [(24, 26, 31), (224, 108, 117), (152, 195, 121), (229, 192, 123)]
    + [(97, 175, 239), (198, 120, 221), (86, 182, 194), (220, 223, 228)],
    [(124, 130, 142), (224, 108, 117), (152, 195, 121), (229, 192, 123)]
    + [(97, 175, 239), (198, 120, 221), (86, 182, 194), (255, 255, 255)],
)


def node(folder):
    """A data directory as a node leaves it."""
    for snapshot in (REPOSITORY / "tests/fixtures/redis-two-groups").glob("group-*/*.fsm"):
        place = folder / "n1" / snapshot.parent.name / "fsm-snap"
        place.mkdir(parents=True)
        shutil.copy(snapshot, place)


def tmux(socket, *arguments):
    return subprocess.run(["tmux", "-S", socket, *arguments], check=True, capture_output=True, text=True).stdout


def record(folder):
    """What the screen shows after the session, with its colours as escape sequences."""
    socket = str(folder / "tmux")
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    shell = ["-e", f"PS1={PROMPT}", "bash", "--norc", "--noprofile"]
    tmux(socket, "-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), *shell)
    try:
        for done, command in enumerate(SESSION, start=1):
            wait(socket, done)
            tmux(socket, "send-keys", "-l", command)
            tmux(socket, "send-keys", "Enter")
        wait(socket, len(SESSION) + 1)
        return tmux(socket, "capture-pane", "-e", "-p")
    finally:
        tmux(socket, "kill-server")


def wait(socket, prompts):
    for _ in range(300):
        if sum(line.startswith("$") for line in tmux(socket, "capture-pane", "-p").splitlines()) >= prompts:
            return
        time.sleep(0.1)
    raise SystemExit("a command does not end:\n" + tmux(socket, "capture-pane", "-p"))


def draw(screen):
    lines = screen.rstrip().splitlines()
    # The last prompt is the one that waits.
    text = Text.from_ansi("\n".join(lines[:-1]))
    console = Console(record=True, width=COLUMNS, file=open("/dev/null", "w"), force_terminal=True, legacy_windows=False)
    console.print(text, soft_wrap=True)
    svg = console.export_svg(title="ekvsnap", theme=THEME)
    # Without the fonts of another server: a picture in a README loads nothing.
    svg = svg.replace("<svg ", "<svg xml:space=\"preserve\" ", 1)
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        node(folder)
        PICTURE.write_text(draw(record(folder)))


if __name__ == "__main__":
    main()
