"""Bring `locale/<language>.po` up to date with the texts of the pages: `python -m streams.console.catalog`.

It collects `_("…")` from templates and Python, and the names of the model (names.py); texts that are no longer used
are dropped, new ones are written without a translation and listed. `--check` writes nothing. Exit code 1 while a text
is not translated.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from streams.console.languages import DEFAULT, LANGUAGES, LOCALE
from streams.console.names import model_names

FOLDER = Path(__file__).parent
METHODS = [("**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
PLACEHOLDER = re.compile(r"\{(\w*)[^}]*\}")

HEADER = """\
# Texts of the console. Written by `python -m streams.console.catalog`; translate `msgstr`, keep the names in braces.
# Terms, as a business user says them (more in docs/glossary.md):
#   customer 客户 · contact 联系人 · product 产品 · opportunity 商机 · won 赢单 · lost 丢单 · order 订单
#   sales order 销售订单 · shipment 发货单 · shipped 已发货 · delivered 已送达 · invoice 发票 · payment 收款
#   paid 已收款 · open amount 未清金额 · receivables 应收账款 · overdue 逾期 · promised date 承诺交期
#   service request 服务请求 · stock 库存
#   order flow 订单业务流 · stage 阶段 · stuck 滞留 · golden record 黄金记录 · conflict 冲突 · match 匹配 · merge 合并
#   unmerge 拆分 · approval 审批 · approve 批准 · reject 驳回 · dead letter 死信 · parked 排队等待 · retry 重试
#   drop 放弃 · write-back 回写 · intent 回写意图 · capture 采集 · source 来源系统 · lag 滞后
#   fresh 新鲜度 · snapshot 快照
#   viewer 查看者 · operator 运维员 · approver 审批人 · steward 数据管家 · admin 管理员
msgid ""
msgstr "Language: zh_CN\\nContent-Type: text/plain; charset=utf-8\\n"

"""


def texts() -> Iterator[str]:
    """Every text that a page can show in another language than English."""
    messages = extract_from_dir(FOLDER, METHODS, OPTIONS, keywords={"_": None}, comment_tags=())
    for _, _, message, _, _ in messages:
        if isinstance(message, str) and message:
            yield message
    yield from model_names()


def load_catalog(language: str) -> Catalog:
    """The catalog as it is written; empty where there is no file yet."""
    path = LOCALE / f"{language}.po"
    if not path.exists():
        return Catalog(locale={"zh": "zh_Hans_CN"}.get(language, language))
    with path.open("rb") as file:
        return read_po(file)


def update_catalog(catalog: Catalog, wanted: set[str]) -> Catalog:
    """The catalog with exactly the wanted texts; translations that exist are kept."""
    updated = Catalog(locale=catalog.locale, fuzzy=False)
    for text in sorted(wanted):
        known = catalog.get(text)
        updated.add(text, known.string if known else "")
    return updated


def save_catalog(language: str, catalog: Catalog) -> None:
    """Write the file, in alphabetical order and without dates, so that a change shows only what changed."""
    LOCALE.mkdir(exist_ok=True)
    with (LOCALE / f"{language}.po").open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalog, width=0, no_location=True, omit_header=True, sort_output=True)


def findings(catalog: Catalog, wanted: set[str]) -> list[str]:
    """What is wrong: texts without a translation, and translations with other names in braces than their text."""
    wrong = []
    for text in sorted(wanted):
        known = catalog.get(text)
        if known is None or not known.string:
            wrong.append(f"not translated: {text!r}")
        elif sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(str(known.string))):
            wrong.append(f"other names in braces: {text!r} and {known.string!r}")
    return wrong


def main(arguments: list[str]) -> int:
    """Update, or with --check compare, the catalog of each language but the one of the texts themselves."""
    wanted = set(texts())
    wrong: list[str] = []
    for language in LANGUAGES:
        if language == DEFAULT:
            continue
        catalog = load_catalog(language)
        wrong += [f"{language}: {finding}" for finding in findings(catalog, wanted)]
        if "--check" not in arguments:
            save_catalog(language, update_catalog(catalog, wanted))
    print("\n".join(wrong) or f"{len(wanted)} texts, all translated")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
