"""Load a talk: every beat and plan of a folder, validated; an error names the file, the line and what fixes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deputize.errors import UsageError
from talk.script.beat import Beat, read_beat, resolve
from talk.script.plan import Plan, PlannedBeat, Section, read_plan
from talk.script.source import Problem, Source, nearest

__all__ = ["DEFAULT_PLAN", "Beat", "Plan", "PlannedBeat", "Section", "Talk", "load_talk", "template"]

DEFAULT_PLAN = "problem-first"
"""The plan where none is named, in a talk that has it."""

BUNDLED = Path(__file__).parent.parent
"""The folder of the talk that comes with the package."""


@dataclass(frozen=True)
class Talk:
    """A talk's beats and plans by id. `folder` is where it was loaded from; None for the bundled one."""

    beats: Mapping[str, Beat]
    plans: Mapping[str, Plan]
    folder: Path | None = None

    @property
    def default(self) -> str:
        """The id of the plan that is played where none is named."""
        return DEFAULT_PLAN if DEFAULT_PLAN in self.plans else next(iter(self.plans))

    def plan(self, plan_id: str) -> Plan:
        """The plan called `plan_id`.

        Raises:
            UsageError: there is none; the message lists those there are.
        """
        if plan_id not in self.plans:
            do = f"choose one of: {', '.join(self.plans)}{nearest(plan_id, self.plans)}"
            raise UsageError(f"there is no plan '{plan_id}'", do=do)
        return self.plans[plan_id]

    def beat(self, beat_id: str) -> Beat:
        """The beat called `beat_id`.

        Raises:
            UsageError: there is none; the message offers what is close.
        """
        if beat_id not in self.beats:
            do = f"choose one of: {', '.join(self.beats)}{nearest(beat_id, self.beats)}"
            raise UsageError(f"there is no beat '{beat_id}'", do=do)
        return self.beats[beat_id]


def load_talk(folder: Path | None = None, *, whole: bool = True) -> Talk:
    """Load the talk in `folder`, with its beats in `beats/*.md` and its plans in `plans/*.toml`.

    Args:
        folder: the talk's folder; None for the bundled talk.
        whole: whether all of it is read and checked now. Else a beat is read when it is first asked for, with those
            that it needs, and is refused only then: `demo next` has no time for the others.

    Raises:
        UsageError: something in it is wrong. The first problem is named, and how many others there are.
    """
    root = (folder or BUNDLED).resolve()
    if not root.is_dir():
        raise UsageError(f"there is no folder {folder}", do="name a folder with beats/ and plans/ in it")
    problems: list[Problem] = []
    read = _Beats(root, problems)
    beats = MappingProxyType({name: read.checked(name) for name in read}) if whole else read
    plans: dict[str, Plan] = {}
    for path in _files(root, "plans", "*.toml"):
        shown = _shown(path, root)
        text = _text(path, shown, problems)
        plan = read_plan(path, shown, text, beats, problems, whole=whole) if text is not None else None
        if plan is not None:
            plans[path.stem] = plan
    if problems:
        raise _refusal(problems)
    return Talk(beats, MappingProxyType(plans), None if folder is None else root)


def template() -> Mapping[str, str]:
    """The files of a talk to begin with, by their paths in its folder; `TITLE` stands for the talk's title."""
    root = BUNDLED / "template"
    found = sorted(path for path in root.rglob("*") if path.suffix in (".md", ".toml"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in found}


class _Beats(Mapping[str, Beat]):
    """The beats of a talk's folder, each read when it is first asked for.

    Args:
        root: the folder.
        problems: where what is wrong with a beat is added.
    """

    def __init__(self, root: Path, problems: list[Problem]) -> None:
        self._root, self._problems = root, problems
        self._paths = {path.stem: path for path in _files(root, "beats", "*.md")}
        self._read: dict[str, tuple[Beat, Source | None]] = {}
        self._checked: dict[str, Beat] = {}

    def __getitem__(self, name: str) -> Beat:
        found = self.checked(name)
        if self._problems:
            raise _refusal(self._problems)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def checked(self, name: str) -> Beat:
        """A beat, held against those that it needs; every problem is noted.

        Raises:
            KeyError: there is none of this name.
        """
        if name not in self._checked:
            beat, source = self._as_written(name)
            needed = {need: self._as_written(need)[0] for need in beat.needs if need in self._paths}
            self._checked[name] = resolve(beat, source, needed, known=self._paths) if source is not None else beat
        return self._checked[name]

    def _as_written(self, name: str) -> tuple[Beat, Source | None]:
        if name not in self._read:
            path = self._paths[name]
            shown = _shown(path, self._root)
            text = _text(path, shown, self._problems)
            read = read_beat(path, shown, text, self._problems) if text is not None else None
            # Its own problem is noted; that plans and other beats name it is no second one.
            self._read[name] = read or (Beat(name, name, (), "", (), (), "", path), None)
        return self._read[name]


def _files(root: Path, name: str, pattern: str) -> list[Path]:
    # A Mac leaves ._one.md beside one.md on a disk that is not its own, and editors theirs.
    found = sorted(path for path in (root / name).glob(pattern) if path.is_file() and not path.name.startswith("."))
    if not found:
        what = f"no {name} in {_shown(root / name, root)}"
        raise UsageError(what, do=f"put at least one {pattern} file there, or name another talk's folder")
    return found


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root.parent).as_posix()


def _text(path: Path, shown: str, problems: list[Problem]) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(shown, 1, "cannot be read", "save it as UTF-8 text that may be read", str(error)))
        return None


def _refusal(problems: list[Problem]) -> UsageError:
    first, *others = sorted(problems)
    more = f"{len(others)} more problem{'s' * (len(others) > 1)} in this talk's files" if others else ""
    why = ". ".join(part for part in (first.why, more) if part)
    return UsageError(f"{first.file}:{first.line}: {first.what}", why=why, do=first.do)
