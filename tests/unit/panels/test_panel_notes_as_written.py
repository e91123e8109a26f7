"""A code block of the speaker's notes stands as it was written; long words of any script are all there."""

from __future__ import annotations

from demo import panels
from demo.panels.fit import drawn

CODE = """Say this:

```
def  two( spaces ):
    return   {"a":    1}
        # eight
```

    indented   too
"""


def test_spaces_in_code_are_kept() -> None:
    lines = drawn(panels.notes(CODE), 80)
    text = "\n".join(lines)
    for line in ("def  two( spaces ):", '    return   {"a":    1}', "        # eight", "indented   too"):
        assert line in text
    first = next(line for line in lines if "def  two" in line)
    deeper = next(line for line in lines if "# eight" in line)
    assert len(deeper) - len(deeper.lstrip()) == len(first) - len(first.lstrip()) + 8


def test_prose_without_spaces_is_not_cut() -> None:
    said = "人間が同意し代理が働く" * 12
    assert said in "".join("".join(drawn(panels.notes(said), 80)).split())
