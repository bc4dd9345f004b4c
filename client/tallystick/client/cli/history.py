"""A credit history as a credit officer reads it, in English or in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console

from tallystick.client.cli.output import table
from tallystick.client.cli.words import Words
from tallystick.credit.codes import (
    describe,
    describe_account_type,
    describe_disposition,
    describe_purpose,
    describe_status,
    disposition_code,
    format_amount,
)
from tallystick.credit.decisions import Decision
from tallystick.credit.enums import AccountType, AssetQuality, Disposition, Purpose
from tallystick.credit.history import CreditHistory, ReportedAccount
from tallystick.credit.languages import Language, in_chinese, status_in_chinese
from tallystick.credit.screening import Screening

_MONTHS_SHOWN = 24
_INQUIRIES_SHOWN = 10

CHINESE: Final[Mapping[str, str]] = {
    "Decision: {decision}   (as of {time} UTC)": "决定：{decision}（截至{time} UTC）",
    "Reasons": "理由",
    "calls for": "要求",
    "rule": "规则",
    "why": "原因",
    "No record: no member has reported an account of this subject.": "无记录：没有成员机构报送过该主体的账户。",
    "Accounts": "账户",
    "institution": "机构",
    "account": "账户类型",
    "status": "状态",
    "quality": "五级分类",
    "balance": "余额",
    "overdue now": "当前逾期",
    "months, newest first": "各月状态（最近月份在前）",
    "More accounts are reported than these: those with overdue come first, and others were left out.": (
        "已报送的账户多于此处所列：有逾期的账户在前，其余未列出。"
    ),
    "{number} (own)": "{number}（本机构）",
    "not known": "未知",
    "{days} days": "{days}天",
    "Overdue": "逾期",
    "within": "期间",
    "months overdue": "逾期月数",
    "accounts": "账户数",
    "worst": "最差",
    "{months} months": "{months}个月",
    "none": "无",
    "Worst ever: {worst} in {month}": "历史最差：{worst}（{month}）",
    "Inquiries by others: {one} within a month, {six} within six months by {institutions} institutions": (
        "其他机构查询：一个月内{one}次，六个月内{institutions}家机构共{six}次"
    ),
    " (at least: of so many inquiries only the newest of each institution are counted)": (
        "（至少：查询过多，每家机构只计最近的查询）"
    ),
    "Latest inquiries": "最近查询",
    "day": "日期",
    "purpose": "查询原因",
}
"""By the English text."""
_DECISIONS: Final[Mapping[Decision, str]] = {Decision.APPROVE: "通过", Decision.REFER: "人工审核", Decision.DECLINE: "拒绝"}


def print_history(console: Console, history: CreditHistory, screening: Screening, language: Language) -> None:
    """Prints decision, reasons, accounts, overdue and inquiries. Names that a policy gives its rules stand as they are."""
    words = _HistoryWords(language)
    decision = words.decision(screening.decision)
    console.print(words("Decision: {decision}   (as of {time} UTC)", decision=decision, time=f"{history.as_of:%Y-%m-%d %H:%M}"))
    if screening.reasons:
        rows = [(words.decision(reason.decision), reason.rule, reason.told(language)) for reason in screening.reasons]
        console.print(table(words("Reasons"), words.all("calls for", "rule", "why"), rows))
    if not history.accounts:
        console.print(words("No record: no member has reported an account of this subject."))
    else:
        columns = words.all("institution", "account", "status", "quality", "balance", "overdue now", "months, newest first")
        console.print(table(words("Accounts"), columns, [_account(each, words) for each in history.accounts]))
        if history.truncated:
            text = "More accounts are reported than these: those with overdue come first, and others were left out."
            console.print(words(text))
        _print_overdue(console, history, words)
    _print_inquiries(console, history, words)


class _HistoryWords(Words):
    """What stands on the screen, and what codes are called there."""

    def __init__(self, language: Language) -> None:
        super().__init__(language, CHINESE)

    def decision(self, decision: Decision) -> str:
        return _DECISIONS[decision] if self.language == "zh" else decision.value

    def account_type(self, account_type: AccountType) -> str:
        """With the trade's code."""
        if self.language == "en":
            return describe_account_type(account_type)
        return f"{account_type.name} {in_chinese(account_type)}" if account_type else in_chinese(account_type)

    def status(self, account_type: AccountType, status: int) -> str:
        return status_in_chinese(account_type, status) if self.language == "zh" else describe_status(account_type, status)

    def quality(self, quality: AssetQuality) -> str:
        return in_chinese(quality) if self.language == "zh" else describe(quality)

    def worst(self, disposition: int) -> str:
        if not disposition:
            return self("none")
        return in_chinese(Disposition(disposition)) if self.language == "zh" else describe_disposition(disposition)

    def purpose(self, purpose: Purpose) -> str:
        """With the trade's code, where it has one."""
        if self.language == "en":
            return describe_purpose(purpose)
        return f"{purpose:02d} {in_chinese(purpose)}" if 0 < purpose < Purpose.OWN_QUERY else in_chinese(purpose)


def _account(reported: ReportedAccount, words: _HistoryWords) -> tuple[str, ...]:
    account = reported.account
    balance = format_amount(account.currency, account.balance) if account.balance is not None else words("not known")
    running = account.running_overdue
    months = "".join(disposition_code(month.disposition) for month in account.months[:_MONTHS_SHOWN])
    return (
        words("{number} (own)", number=reported.institution) if reported.own else str(reported.institution),
        words.account_type(account.account_type),
        words.status(account.account_type, account.status),
        words.quality(account.asset_quality),
        balance,
        words("{days} days", days=running.days_past_due) if running else "",
        months,
    )


def _print_overdue(console: Console, history: CreditHistory, words: _HistoryWords) -> None:
    overdue = history.overdue
    rows = [
        (
            words("{months} months", months=window.months),
            window.overdue_months,
            window.overdue_accounts,
            words.worst(window.worst_disposition),
        )
        for window in overdue.windows
    ]
    columns = words.all("within", "months overdue", "accounts", "worst")
    console.print(table(words("Overdue"), columns, rows, empty=words("none")))
    if overdue.worst_month is not None:
        worst, month = words.worst(overdue.worst_disposition), f"{overdue.worst_month:%Y-%m}"
        console.print(words("Worst ever: {worst} in {month}", worst=worst, month=month))


def _print_inquiries(console: Console, history: CreditHistory, words: _HistoryWords) -> None:
    inquiries = history.inquiries
    counted = words(
        "Inquiries by others: {one} within a month, {six} within six months by {institutions} institutions",
        one=inquiries.count_1_month,
        six=inquiries.count_6_months,
        institutions=inquiries.institutions_6_months,
    )
    more = " (at least: of so many inquiries only the newest of each institution are counted)"
    console.print(counted + (words(more) if inquiries.truncated else ""), highlight=False)
    latest = [(each.date.isoformat(), words.purpose(each.purpose)) for each in inquiries.inquiries[:_INQUIRIES_SHOWN]]
    if latest:
        console.print(table(words("Latest inquiries"), words.all("day", "purpose"), latest))
