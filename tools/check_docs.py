"""Check the project's Markdown: links lead somewhere, Python blocks compile, versions agree.

python tools/check_docs.py
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "benchmarks" / "page.md"  # becomes docs/benchmarks.md, where its links lead
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def main() -> int:
    """Print every problem; fail if there is one."""
    problems = [problem for path in pages() for problem in check_page(path)]
    problems += check_version()
    for problem in problems:
        print(problem)
    print(f"docs: {len(pages())} pages, {len(problems)} problems")
    return 1 if problems else 0


def pages() -> list[Path]:
    """List the Markdown files that git knows or would take."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found = [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]
    return [path for path in found if path != SOURCE]


def check_page(path: Path) -> list[str]:
    """Check one page."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    problems = []
    for kind, code in BLOCK.findall(text):
        if kind == "python" and ">>>" not in code:
            try:
                compile(code, str(name), "exec")
            except SyntaxError as error:
                problems.append(f"{name}: a Python block does not compile: {error}")
    prose = BLOCK.sub("", text)
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        page = path.parent / file if file else path
        if not page.exists():
            problems.append(f"{name}: no such file: {target}")
        elif anchor and anchor not in anchors(page.read_text(encoding="utf-8")):
            problems.append(f"{name}: no such heading: {target}")
    return problems


def anchors(text: str) -> set[str]:
    """Headings as links name them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def check_version() -> list[str]:
    """The package's version must head the changelog."""
    source = (ROOT / "src/crossalign/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    version = found.group(1) if found else "?"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    if first is None or first.group(1) != version:
        return [f"CHANGELOG.md does not begin with version {version} of crossalign/__init__.py"]
    return []


if __name__ == "__main__":
    sys.exit(main())
