"""The languages in which reasons are told, and what codes are called in Chinese. English names are in `codes`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, Literal

from tallystick.credit.codes import ACCOUNT_STATUSES
from tallystick.credit.enums import AccountType, AnnotationType, AssetQuality, Disposition, Purpose, SpecialTransactionType

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")

_DISPOSITIONS: Final = {
    Disposition.OVERDUE_1: "逾期1–30天",
    Disposition.OVERDUE_2: "逾期31–60天",
    Disposition.OVERDUE_3: "逾期61–90天",
    Disposition.OVERDUE_4: "逾期91–120天",
    Disposition.OVERDUE_5: "逾期121–150天",
    Disposition.OVERDUE_6: "逾期151–180天",
    Disposition.OVERDUE_7: "逾期180天以上",
    Disposition.PAID_AS_AGREED: "正常还款",
    Disposition.NOTHING_DUE: "当月无需还款",
    Disposition.PAID_LATE_IN_MONTH: "到期后月底前还款",
    Disposition.GUARANTOR_PAID: "由担保人代还",
    Disposition.ASSET_FOR_DEBT: "以资抵债",
    Disposition.BAD_DEBT: "呆账",
    Disposition.SETTLED: "结清",
    Disposition.ENDED_OTHERWISE: "结清以外的终止",
    Disposition.NO_BILL: "账单日调整，当月不出单",
    Disposition.UNKNOWN: "未知",
    Disposition.NOT_OPENED: "尚未开立",
}
_QUALITIES: Final = {
    AssetQuality.NORMAL: "正常",
    AssetQuality.SPECIAL_MENTION: "关注",
    AssetQuality.SUBSTANDARD: "次级",
    AssetQuality.DOUBTFUL: "可疑",
    AssetQuality.LOSS: "损失",
    AssetQuality.UNCLASSIFIED: "未分类",
}
_ACCOUNT_TYPES: Final = {
    AccountType.D1: "非循环贷账户",
    AccountType.R1: "循环贷账户",
    AccountType.R2: "贷记卡账户",
    AccountType.R3: "准贷记卡账户",
    AccountType.R4: "循环额度下分账户",
    AccountType.C1: "催收账户",
    AccountType.D2: "贴现账户",
}
_TRANSACTIONS: Final = {
    SpecialTransactionType.EXTENSION: "展期",
    SpecialTransactionType.THIRD_PARTY_COMPENSATION: "第三方代偿",
    SpecialTransactionType.ASSET_FOR_DEBT: "以资抵债",
    SpecialTransactionType.PREPAYMENT: "提前还款",
    SpecialTransactionType.EARLY_SETTLEMENT: "提前结清",
    SpecialTransactionType.FORCED_LIQUIDATION_OPEN: "强制平仓，未结清",
    SpecialTransactionType.FORCED_LIQUIDATION_SETTLED: "强制平仓，已结清",
    SpecialTransactionType.JUDICIAL_RECOVERY: "司法追偿",
    SpecialTransactionType.OTHER: "其他",
    SpecialTransactionType.DEBT_RELIEF: "债务减免",
    SpecialTransactionType.ASSET_CARVE_OUT: "资产剥离",
    SpecialTransactionType.ASSET_TRANSFER: "资产转让",
    SpecialTransactionType.PERSONALISED_INSTALMENTS: "信用卡个性化分期",
    SpecialTransactionType.BANK_DEFERRAL: "银行主动延期",
    SpecialTransactionType.FORCED_LIQUIDATION: "强制平仓",
}
_ANNOTATIONS: Final = {
    AnnotationType.DISPUTE: "异议标注",
    AnnotationType.SPECIAL: "特殊标注",
    AnnotationType.SUBJECT_STATEMENT: "本人声明",
    AnnotationType.INSTITUTION_NOTE: "机构说明",
    AnnotationType.BUREAU_NOTE: "征信机构说明",
}
_PURPOSES: Final = {
    Purpose.POST_LOAN_MANAGEMENT: "贷后管理",
    Purpose.LOAN_APPROVAL: "贷款审批",
    Purpose.CREDIT_CARD_APPROVAL: "信用卡审批",
    Purpose.GUARANTOR_QUALIFICATION: "担保资格审查",
    Purpose.JUDICIAL_INVESTIGATION: "司法调查",
    Purpose.PROVIDENT_FUND_WITHDRAWAL: "公积金提取复核",
    Purpose.INDEX_FUTURES_ACCOUNT: "股指期货开户",
    Purpose.MERCHANT_REAL_NAME_CHECK: "特约商户实名审查",
    Purpose.PRE_GUARANTEE_REVIEW: "保前审查",
    Purpose.POST_GUARANTEE_MANAGEMENT: "保后管理",
    Purpose.OFFICER_REVIEW: "法人代表、负责人、高管等资信审查",
    Purpose.CUSTOMER_ADMISSION: "客户准入资格审查",
    Purpose.FINANCING_APPROVAL: "融资审批",
    Purpose.CREDIT_STANDING_REVIEW: "资信审查",
    Purpose.LIMIT_APPROVAL: "额度审批",
    Purpose.OWN_QUERY: "本人查询",
    Purpose.OBJECTION_HANDLING: "异议处理",
}
_NAMES: Final[Mapping[type[IntEnum], Mapping[Any, str]]] = {
    Disposition: _DISPOSITIONS,
    AssetQuality: _QUALITIES,
    AccountType: _ACCOUNT_TYPES,
    SpecialTransactionType: _TRANSACTIONS,
    AnnotationType: _ANNOTATIONS,
    Purpose: _PURPOSES,
}
_STATUSES: Final = {
    "normal": "正常",
    "overdue": "逾期",
    "settled": "结清",
    "bad debt": "呆账",
    "transferred out": "转出",
    "collateral short": "担保物不足",
    "forced liquidation": "强制平仓",
    "judicial recovery": "司法追偿",
    "stopped by the bank": "银行止付",
    "frozen": "冻结",
    "stopped": "止付",
    "closed": "销户",
    "not activated": "未激活",
    "in collection": "催收中",
    "ended": "结束",
}
"""By the English name: the numbers mean another thing for each type of account."""


def check_language(language: str) -> None:
    """Raises ValueError for one that nothing is told in."""
    if language not in LANGUAGES:
        raise ValueError(f'language: must be "en" or "zh", not {str(language)[:40]!r}')


def in_chinese(code: IntEnum) -> str:
    """What a code is called."""
    return _NAMES[type(code)].get(code, "未说明" if code == 0 else f"未知代码{int(code)}")


def status_in_chinese(account_type: AccountType, status: int) -> str:
    """What a status means for that type of account."""
    return _STATUSES.get(ACCOUNT_STATUSES.get(account_type, {}).get(status, ""), "未知")
