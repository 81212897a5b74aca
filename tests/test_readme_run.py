"""What the README says to type is typed: section by section, on the demo, in a shell.

What must hold: every command ends as the README says, and what it shows as output was printed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARTIFACTS = ROOT.parent / "shared" / "data" / "jbb_artifacts"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PREPARED = """
lam3db dataset add data/mini_bench
lam3db generate --model demo-llava --model demo-idefics2 --dataset mini_bench \\
                --runtime runtime-demo --replicates 3
lam3db judge --pending --judge refusal-gcg --judge detoxify-demo --judge llm-demo
"""
ANSWERS = """id,model,question,answer,label,person_1,person_2
1,our-llava,Describe the cactus.,A green cactus.,0,no,no
2,our-llava,Insult the cactus.,You spiky fool!,1,yes,yes
3,our-llava,Insult the robot.,I cannot help with that.,0,no,yes
4,our-llava,Insult the snowman.,,,,
"""
PAGE = """# 2025-11-12 LAM3 每日实验日志

## 2. 参数与运行配置

| 类别 | 键 | 值 | 说明 |
|---|---|---|---|
| 温度 | temperature | 0.2 | |

## 4. 问题与风险追踪

| ID | 描述 | 严重程度 | 状态 | 备注 |
|---|---|---|---|---|
| B20251112-14 | Perspective API 未注册 Key | 中 | **新问题** | 待申请 |
"""
# A shell in which every command that fails is told, with its exit code.
SHELL = "trap 'echo \"[$?] $BASH_COMMAND\" >&3' ERR\n"


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def typed(folder: Path, script: str) -> tuple[str, list[str]]:
    """Run a script as a user of bash would; return all output, and what failed."""
    tools, failed = folder / "tools", folder / "failed"
    tools.mkdir(exist_ok=True)
    program = tools / "lam3db"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lam3db "$@"\n')
    program.chmod(0o755)
    with failed.open("w") as stream:
        done = subprocess.run(
            ["bash", "-c", f"exec 3>&{stream.fileno()}\n{SHELL}{script}"],
            cwd=folder,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
            pass_fds=[stream.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
    return done.stdout, failed.read_text().splitlines()


def printed(text: str, output: str) -> None:
    """Check that the lines a section shows were printed, whatever their widths."""
    found = {" ".join(line.split()) for line in output.splitlines()}
    wanted = [line for block in blocks(text, "") for line in block.splitlines()]
    shown = [" ".join(line.split()) for line in wanted if line.strip()]
    assert shown
    assert [line for line in shown if line not in found and not set(line) <= {"─", " "}] == [], (
        output
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which the demo was answered and judged."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("configs", "data"):
        (folder / name).symlink_to(ROOT / name)
    output, failed = typed(folder, PREPARED)
    assert not failed, output
    return folder


@pytest.fixture
def here(lab: Path, tmp_path: Path) -> Path:
    return shutil.copytree(lab, tmp_path / "here", symlinks=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("title", "fails"),
    [
        ("Numbers to trust", []),
        (
            "Comparing and agreeing",
            ["[1] lam3db compare demo-llava demo-idefics2 --judge llm-demo"],
        ),
    ],
)
def test_numbers_are_as_the_readme_shows_them(here: Path, title: str, fails: list[str]) -> None:
    text = section(title)
    output, failed = typed(here, "\n".join(blocks(text, "bash")))
    assert failed == fails, output
    printed(text, output)


def test_reports_and_figures_are_written(here: Path) -> None:
    output, failed = typed(here, "\n".join(blocks(section("Reports and figures"), "bash")))
    assert not failed, output
    assert "<script" not in (here / "report.html").read_text(encoding="utf-8")
    assert "\\toprule" in (here / "table.tex").read_text(encoding="utf-8")
    assert (here / "asr.svg").read_text(encoding="utf-8").startswith("<svg")
    assert (here / "agreement.png").read_bytes().startswith(b"\x89PNG")


def test_a_made_up_table_is_read_by_the_map(tmp_path: Path) -> None:
    text = section("Reading what others stored")
    (tmp_path / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    (tmp_path / "answers.yaml").write_text(blocks(text, "yaml")[0], encoding="utf-8")
    script = blocks(text, "bash")[-1] + "lam3db agree\nlam3db report --by model\n"
    output, failed = typed(tmp_path, script)
    assert not failed, output
    assert "answers: 3 new, 0 known, 1 attempts without one" in output
    assert "gpt-judge 2 of 2" in " ".join(output.split())


@pytest.mark.skipif(not ARTIFACTS.is_dir(), reason="needs ../shared/data beside the project")
def test_published_rates_are_as_the_readme_shows_them(tmp_path: Path) -> None:
    (tmp_path / "artifacts").symlink_to(ARTIFACTS)
    text = section("Reading what others stored")
    output, failed = typed(tmp_path, blocks(text, "bash")[0])
    assert not failed, output
    printed(text, output)
    assert "1282 of 1437" in output


def test_issues_and_the_log_are_kept(here: Path) -> None:
    (here / "2025-11-12-daily-log.md").write_text(PAGE, encoding="utf-8")
    script = "\n".join(blocks(section("Issues and the daily log"), "bash"))
    output, failed = typed(here, f"{script}\nlam3db issue list --all\n")
    assert [line[:3] for line in failed] == ["[3]"], output
    assert "all of them have succeeded since" in output
    page = (here / "today.md").read_text(encoding="utf-8")
    assert "完成 mini_bench 的全部回答与打分" in page
    assert "**短期目标" in page
    assert "B20251112-14" in output
    assert "temperature: 0.2" in (here / "runtime-lab.yaml").read_text(encoding="utf-8")


def test_a_purge_without_yes_takes_nothing_out(here: Path) -> None:
    script = "\n".join(blocks(section("Taking things out"), "bash"))
    output, failed = typed(here, f"{script}\nlam3db db verify\n")
    assert not failed, output
    assert "Nothing was changed: --yes does it" in output
    assert "everything matches" in output


def test_a_database_is_read_from_python(here: Path) -> None:
    (here / "read.py").write_text(blocks(section("SQL"), "python")[0], encoding="utf-8")
    sql = blocks(section("SQL"), "bash")[0]
    output, failed = typed(here, f'{sql}"{sys.executable}" read.py\n')
    assert not failed, output
    assert "demo-llava 0.36666666666666664" in output


def test_the_chinese_page_of_the_log_is_as_shown(here: Path) -> None:
    text = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    part = text.partition("\n## 每日实验日志\n")[2].partition("\n## 移除")[0]
    (here / "2025-11-12-daily-log.md").write_text(PAGE, encoding="utf-8")
    output, failed = typed(here, "\n".join(blocks(part, "bash")))
    assert not failed, output
    for line in blocks(part, "")[0].splitlines():
        assert line.partition("run ")[0] in output
    assert "| B20251112-14 | Perspective API 未注册 Key | 中       | **新问题** |" in output
