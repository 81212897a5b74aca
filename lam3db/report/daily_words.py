"""The words of the daily log, in Chinese and English; the section titles are the lab's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.store.issue_words import Language


@dataclass(frozen=True, slots=True)
class Words:
    """Everything the page says that is not in the database."""

    title: str
    sections: Mapping[str, str]
    parameters: tuple[str, ...]
    issues: tuple[str, ...]
    colon: str
    join: str
    person: str
    models: str
    datasets: str
    commit: str
    counts: str
    schema: str
    categories: Mapping[str, str]
    no_effect: str
    quantized: str
    only_unquantized: str
    runs: str
    answers: str
    scores: str
    numbers: str
    interval: str
    left_out: str
    clean: str
    dirty: str
    unknown: str
    to_submit: str
    nothing: str


_ZH = Words(
    title="# {day} LAM3 每日实验日志",
    sections={
        "overview": "概览",
        "parameters": "参数与运行配置",
        "progress": "当前进展与结果",
        "issues": "问题与风险追踪",
        "plan": "后续计划",
        "sync": "提交与同步",
    },
    parameters=("类别", "键", "值", "说明"),
    issues=("ID", "描述", "严重程度", "状态", "备注"),
    colon="：",  # noqa: RUF001 - the full-width colon of Chinese
    join="、",
    person="负责人",
    models="模型",
    datasets="数据集",
    commit="Git Commit",
    counts="当日数据",
    schema="数据库结构",
    categories={
        "dtype": "精度",
        "quantization": "量化",
        "precision": "精度",
        "device_map": "设备映射",
        "max_new_tokens": "解码参数",
        "min_new_tokens": "解码参数",
        "repetition_penalty": "解码参数",
        "do_sample": "采样",
        "temperature": "温度",
        "top_p": "top-p",
        "top_k": "top-k",
        "seed": "随机种子",
        "batch_size": "批大小",
        "source": "模型路径",
        "judge": "评测模块",
    },
    no_effect="采样关闭时不生效",
    quantized="量化时由 compute_dtype 决定，不生效",  # noqa: RUF001
    only_unquantized="非量化时生效",
    runs="运行记录",
    answers="{what}（{dataset}）：{planned} 条，缓存 {cached}，新增 {new}，失败 {failed}（run {run}，{status}）",  # noqa: RUF001, E501
    scores="{what}：待评 {planned} 条，已评 {new}，复用 {cached}，失败 {failed}（run {run}，{status}）",  # noqa: RUF001, E501
    numbers="指标（95 % 置信区间，按 behavior 聚类）",  # noqa: RUF001
    interval="judge {label} [{digest}]：{heading}{threshold}",  # noqa: RUF001
    left_out="另有 {n} 次运行未列出。",
    clean="工作区干净",
    dirty="有未提交修改",
    unknown="无版本库",
    to_submit="待提交",
    nothing="无。",
)
_EN = Words(
    title="# {day} LAM3 daily log",
    sections={
        "overview": "Overview",
        "parameters": "Parameters and configuration",
        "progress": "Progress and results",
        "issues": "Issues and risks",
        "plan": "Plan",
        "sync": "Commit and sync",
    },
    parameters=("category", "key", "value", "remark"),
    issues=("ID", "description", "severity", "status", "note"),
    colon=": ",
    join=", ",
    person="Person",
    models="Models",
    datasets="Datasets",
    commit="Git commit",
    counts="Made this day",
    schema="Schema",
    categories={
        "dtype": "precision",
        "quantization": "quantization",
        "precision": "precision",
        "device_map": "device",
        "max_new_tokens": "decoding",
        "min_new_tokens": "decoding",
        "repetition_penalty": "decoding",
        "do_sample": "sampling",
        "temperature": "sampling",
        "top_p": "sampling",
        "top_k": "sampling",
        "seed": "seed",
        "batch_size": "batch size",
        "source": "model",
        "judge": "judge",
    },
    no_effect="no effect: decoding is greedy",
    quantized="no effect: quantized, compute_dtype decides",
    only_unquantized="where not quantized",
    runs="Runs",
    answers="{what} on {dataset}: {planned} answers wanted, {cached} cached, {new} new, "
    "{failed} failed (run {run}, {status})",
    scores="{what}: {planned} pending, {new} scored, {cached} by findings already stored, "
    "{failed} failed (run {run}, {status})",
    numbers="Numbers (95 % intervals, clustered by behavior)",
    interval="judge {label} [{digest}]: {heading}{threshold}",
    left_out="{n} further runs are not listed.",
    clean="clean",
    dirty="with uncommitted changes",
    unknown="no repository",
    to_submit="to be submitted",
    nothing="None.",
)
WORDS: Mapping[Language, Words] = {"zh": _ZH, "en": _EN}
