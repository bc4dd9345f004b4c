"""The words of a book's page, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tallystick.client.analysis.faults import Fault
from tallystick.credit.languages import Language, check_language

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    # --- The head ---
    "title": ("Own book: {name}", "自有贷款账簿：{name}"),
    "subtitle": (
        "What the book itself says of its accounts. It was counted on this machine, and nothing was sent.",
        "账簿自身对各账户的记载。统计在本机完成，未向任何地方发送数据。",
    ),
    "as_of": ("As of", "截至"),
    "months": ("Months", "月份"),
    "accounts": ("accounts", "账户"),
    "rows": ("rows of the book", "账簿行数"),
    "left_out": ("rows left out", "未计入的行"),
    "known_share": ("of the months known", "已知月份占比"),
    "overdue_now": ("overdue in the newest month", "最新月份逾期率"),
    "over_90_now": ("overdue by more than 90 days in it", "最新月份逾期超过90天"),
    "cured_now": ("cured within 3 months", "3个月内恢复正常"),
    "milder_now": ("accounts classed too mildly", "分类偏轻的账户"),
    "the_figures": ("{title}: the figures", "{title}：数据"),
    "of": ("of", "总数"),
    "all": ("all", "合计"),
    "share": ("share", "占比"),
    "count": ("count", "数量"),
    "month": ("month", "月份"),
    "nothing": ("Nothing to show: {why}", "无可显示内容：{why}"),
    "newest_only": ("The newest {count} are shown; all of them are in the data frames.", "仅显示最近{count}个，全部数据见数据框。"),
    # --- What was read ---
    "reading": ("What was read", "读取情况"),
    "reading.rows": ("rows in the file", "文件中的行"),
    "reading.used": ("in the figures", "计入统计"),
    "reading.faulty": ("cannot be read, and in no figure", "无法读取，未计入任何数据"),
    "reading.other_roles": ("of guarantors and other roles", "担保人及其他角色"),
    "reading.later": ("of months after the day", "截止日之后的月份"),
    "reading.stood_later": (
        "accounts whose balance, class, stage and running overdue are of a later month: not known here",
        "余额、分类、催收阶段和持续逾期属于更晚月份的账户数：本页视为未知",
    ),
    "reading.caption": ("What became of the rows", "各行的处理结果"),
    "faults.caption": ("What is wrong, and in how many rows; a row may have several", "问题及涉及的行数；一行可有多个问题"),
    "first.caption": ("The first rows that cannot be read, {count} at the most", "最先出现的无法读取的行（最多{count}行）"),
    "row": ("row", "行"),
    "column": ("column", "列"),
    "fault": ("what is wrong", "问题"),
    "all_read": ("Every row could be read.", "所有行均可读取。"),
    # --- Coverage ---
    "coverage": ("How much is known", "数据覆盖"),
    "coverage.about": (
        "An account's months are those from its first one in the book to its last, or to the one in which it ended. Months that are"
        " unknown (#), without a bill (A) or absent are in no denominator of this page.",
        "账户的月份自其在账簿中的首月起，至末月或结束之月止。未知（#）、未出账单（A）或缺失的月份不计入本页任何分母。",
    ),
    "coverage.chart": ("Months that are known", "已知月份"),
    "known": ("known", "已知"),
    "unknown": ("unknown (#)", "未知（#）"),
    "no_bill": ("no bill (A)", "未出账单（A）"),
    "absent": ("absent", "缺失"),
    # --- Time ---
    "time": ("Overdue by time", "按时间看逾期"),
    "time.about": (
        "Of the accounts whose month is known, and which were not settled, bad or left by then. More than 30 days is the"
        " trade's code"
        " 2 and above, more than 90 days 4 and above.",
        "以当月已知且尚未结清、未成呆账、未转出的账户为分母。逾期超过30天指代码2及以上，超过90天指代码4及以上。",
    ),
    "by_month": ("Overdue by month", "各月逾期率"),
    "by_age": ("Overdue by months on book", "按账龄看逾期率"),
    "age": ("months on book", "账龄（月）"),
    "ages": ("{first} to {last}", "{first}至{last}"),
    "ages.more": ("{first} and more", "{first}及以上"),
    "live": ("accounts", "账户数"),
    "live_months": ("account-months", "账户月数"),
    "overdue": ("overdue", "逾期"),
    "over_30": ("more than 30 days", "超过30天"),
    "over_60": ("more than 60 days", "超过60天"),
    "over_90": ("more than 90 days", "超过90天"),
    "became_bad": ("became bad", "转为呆账"),
    # --- Amount ---
    "amount": ("Overdue by amount", "按金额看逾期"),
    "amount.about": (
        "By currency, and currencies are never added up. What is overdue is the amount of an overdue that runs, or else that of the"
        " newest month.",
        "按币种分列，不同币种从不相加。逾期金额取正在持续的逾期金额，否则取最新月份的逾期金额。",
    ),
    "bands": ("Overdue accounts by amount, {currency}", "按逾期金额分组的账户，{currency}"),
    "band": ("overdue amount", "逾期金额"),
    "band.between": ("over {over} to {up_to}", "{over}以上至{up_to}"),
    "band.first": ("up to {up_to}", "{up_to}及以下"),
    "band.more": ("over {over}", "{over}以上"),
    "band.amount": ("amount", "金额"),
    "amount.unknown": ("amount not known", "金额未知"),
    "holding": ("Overdue of the balance, and who holds how much", "逾期占余额比例与集中度"),
    "currency": ("currency", "币种"),
    "of_balance": ("overdue of the balance", "逾期金额占余额"),
    "top_balance": ("balance of the top 1% of accounts", "余额最高的1%账户所占余额"),
    "top_overdue": ("overdue amount of the top 1% of overdue accounts", "逾期最多的1%逾期账户所占逾期金额"),
    "top_accounts": ("{top} of {of} accounts", "{of}户中的{top}户"),
    # --- Frequency ---
    "frequency": ("Overdue by frequency", "按频次看逾期"),
    "late_months": ("Late months of the last twelve", "最近12个月中的逾期月数"),
    "late_months.about": (
        "Of the accounts whose last twelve months are all known. Of {count} others they are not, or not there.",
        "以最近12个月全部已知的账户为分母；另有{count}个账户的这些月份未知或不存在。",
    ),
    "late_months.kind": ("late months", "逾期月数"),
    "streaks": ("Longest run of late months", "最长连续逾期月数"),
    "streaks.about": (
        "Over the whole history in the book. A month that is not known ends a run, so the true one may be longer.",
        "覆盖账簿中的全部历史。未知月份会中断连续，因此实际可能更长。",
    ),
    "streaks.kind": ("late months in a row", "连续逾期月数"),
    "first_payment": ("Late by the third month on book", "开户后三个月内逾期"),
    "first_payment.about": (
        "First-payment default: of the accounts that were followed without a gap so long.",
        "首期违约：以期间内无中断观察的账户为分母。",
    ),
    # --- Rolls ---
    "rolls": ("Roll rates", "滚动率"),
    "rolls.about": (
        "What became of a month's bucket in the next one. 1 is 1 to 30 days past due, 7 more than 180. Bad (B, Z, D),"
        " settled (C) and left end an account's story;"
        " left is G, or no row in the book's last two months or more. Each row adds up to 100%.",
        "某月所在档次在下月的去向。1为逾期1至30天，7为超过180天。呆账（B、Z、D）、结清（C）和离开（G，或在账簿最后至少两个月中"
        "不再出现）为终止状态。每行合计100%。",
    ),
    "roll.count": ("By number of accounts", "按账户数"),
    "roll.amount": ("By overdue amount, {currency}", "按逾期金额，{currency}"),
    "roll.amount.about": (
        "What was overdue in the first of the two months. Where that is not known the month is left out.",
        "以两个月中前一个月的逾期金额计；该金额未知的月份不计入。",
    ),
    "before": ("bucket", "本月"),
    "after": ("next month", "下月"),
    "settled": ("settled", "结清"),
    "bad": ("bad", "呆账"),
    "left": ("left", "离开"),
    "next_unknown": ("next not known", "下月未知"),
    "without_amount": ("amount not known", "金额未知"),
    # --- Vintages ---
    "vintages": ("Vintages", "同期群"),
    "vintages.about": (
        "Ever so many days past due by so many months on book, by the quarter of opening. The month of opening is 0. Of the"
        " accounts that were followed so long without a gap, and whose first or second month is in the book. Bad counts as more"
        " than 90 days. A line ends where more than a quarter of its accounts were not followed so long.",
        "按开户季度，统计至某账龄为止曾经逾期超过相应天数的账户。开户当月为0。分母为首月或次月在账簿中、且至该账龄无中断观察"
        "的账户。呆账视为超过90天。超过四分之一的账户未观察到某账龄时，曲线到此为止。",
    ),
    "vintage": ("Ever {days}", "曾经逾期{days}"),
    "quarter": ("quarter opened", "开户季度"),
    # --- Cures ---
    "cures": ("Cure and re-default", "恢复与再次逾期"),
    "cures.about": (
        "Cases that were followed so many months without a gap, whatever came of them. An account becomes overdue in a"
        " month after one"
        " that was not; it is cured when it is paid up or settled.",
        "仅统计在相应月数内无中断观察的情形，无论结果如何。前一月未逾期而本月逾期为一次开始；还清欠款或结清为恢复。",
    ),
    "cure.cured": ("cured within {months}", "{months}内恢复"),
    "cure.again": ("overdue again within {months} of a cure", "恢复后{months}内再次逾期"),
    "cure.again_30": ("more than 30 days again within {months} of a cure", "恢复后{months}内再次逾期超过30天"),
    "cure.after": ("overdue within {months} of a restructuring", "重组后{months}内逾期"),
    "cure.after_30": ("more than 30 days within {months} of a restructuring", "重组后{months}内逾期超过30天"),
    "cure.months": ("{count} months", "{count}个月"),
    "cure.month": ("1 month", "1个月"),
    "cure.case": ("what came of it", "结果"),
    "cure.counts": (
        "Overdues that began: {episodes}. Restructurings (debt relief, extension, deferral, instalments): {restructured}; they are"
        " observed for one year.",
        "开始的逾期：{episodes}次。重组（债务减免、展期、延期、个性化分期）：{restructured}次，观察期一年。",
    ),
    # --- Stages ---
    "stages": ("Stages of collection", "催收阶段"),
    "stages.about": (
        "A book shows at which stage an account stands, and not what it went through: an account that was paid at an earlier stage"
        " and reports none any more is not seen here. Recovered is: nothing is overdue any more.",
        "账簿只显示账户当前所处的催收阶段，不显示其经历：在较早阶段已还款、不再报告催收阶段的账户在此不可见。收回指已无逾期。",
    ),
    "stage": ("stage", "阶段"),
    "stage.reached": ("at it or later", "处于或超过该阶段"),
    "stage.recovered": ("recovered", "已收回"),
    "stage.paid": ("paid in the newest month", "最新月份有还款"),
    "stage.none": ("none", "无"),
    "stage.reminder": ("reminder", "提醒"),
    "stage.field": ("field", "上门"),
    "stage.agency": ("agency", "委外"),
    "stage.legal": ("legal", "诉讼"),
    "stage.written_off": ("written off", "核销"),
    "stages.missing": ("the book has no column collection_stage, or nothing in it.", "账簿没有collection_stage列，或该列为空。"),
    # --- Five classes ---
    "classes": ("Five classes against days past due", "五级分类与逾期天数"),
    "classes.about": (
        "Open accounts. Days past due are those of an overdue that runs, or of the newest month; where only the code is known, the"
        " fewest that it has. Each row of the chart adds up to 100%.",
        "未结清账户。逾期天数取正在持续的逾期，否则取最新月份；仅知代码时取该代码的最少天数。图中每行合计100%。",
    ),
    "class": ("class", "分类"),
    "class.normal": ("normal", "正常"),
    "class.special_mention": ("special mention", "关注"),
    "class.substandard": ("substandard", "次级"),
    "class.doubtful": ("doubtful", "可疑"),
    "class.loss": ("loss", "损失"),
    "class.unclassified": ("unclassified", "未分类"),
    "class.unspecified": ("not known", "未知"),
    "days": ("days past due", "逾期天数"),
    "days.unknown": ("not known", "未知"),
    "milder": ("Classes milder than the days past due allow", "分类轻于逾期天数所允许的账户"),
    "milder.about": (
        "By this project's reading of Articles 10 to 13 of the measures for the risk classification of financial assets of"
        " commercial"
        " banks (2023), as they are commonly read: more than 90 days are at least substandard, more than 270 doubtful, more than"
        " 360 loss. Have it confirmed before you rely on it. Accounts without a class are left out.",
        "依本项目对《商业银行金融资产风险分类办法》（2023年）第十至十三条的通常理解：逾期超过90天至少归为次级，超过270天至少"
        "归为可疑，超过360天归为损失。使用前请自行核实。没有分类的账户不计入。",
    ),
    "milder.days": ("more than {days} days: at least {least}", "超过{days}天：至少{least}"),
    "milder.band": ("{first} to {last} days: at least {least}", "{first}至{last}天：至少{least}"),
    "milder.rule": ("days past due", "逾期天数"),
    "milder.accounts": ("classed milder", "分类偏轻"),
    "milder.rows": ("first row of each of the first ten", "前十户各自的首行"),
    # --- The end ---
    "limits": ("What it cannot tell", "本页不能说明的内容"),
    "limits.weekday": ("Weekdays: a book has no due dates.", "星期几：账簿没有到期日。"),
    "limits.snapshot": (
        "How an account stood: balance, class, stage and what runs are those of its own as_of, and not known where that is of a"
        " later month than the page.",
        "账户状况：余额、分类、催收阶段和持续逾期以各账户自身的as_of为准；as_of所在月份晚于本页的，视为未知。",
    ),
    "limits.roles": (
        "Guarantors: a debt is counted once, with its borrower.",
        "担保人：每笔债务只随借款人统计一次。",
    ),
    "limits.borrower": (
        "Borrowers: who they are is not read, so two accounts of one borrower are two.",
        "借款人：不读取借款人身份，因此同一借款人的两个账户按两个计。",
    ),
    "limits.cause": (
        "Causes: a share that is higher is no proof of why.",
        "原因：占比较高并不能说明原因。",
    ),
    "no_months": ("no month of the book is known.", "账簿中没有已知的月份。"),
    "no_transitions": ("no account has two known months in a row.", "没有账户拥有连续两个已知月份。"),
    "no_vintages": ("no account was followed from its opening.", "没有账户自开户起被连续观察。"),
    "no_overdue": ("nothing is overdue now.", "目前没有逾期。"),
    "no_cases": ("no case was followed long enough.", "没有观察期足够长的情形。"),
    "no_amounts": ("no overdue amount is known.", "没有已知的逾期金额。"),
    "no_open": ("no account is open.", "没有未结清账户。"),
}
"""Each key's words, English first."""

FAULTS: Final[Mapping[Fault, str]] = {
    Fault.ACCOUNT_NUMBER: "为空，或被电子表格、数据框改动：请以文本导出",
    Fault.AS_OF: "须为带时区的时刻，如2025-09-30T23:59:59+08:00，1990年至2100年",
    Fault.ACCOUNT_TYPE: "须为D1、R1、R2、R3、R4、C1、D2之一",
    Fault.STATUS: "须为该账户类型的状态代码",
    Fault.CURRENCY: "须为ISO 4217币种代码，如CNY",
    Fault.OPENED_DATE: "须为日期，如2025-09-03，1900年起",
    Fault.OPENED_LATER: "不得晚于as_of",
    Fault.ROLE: "须为角色的代码或名称，借款人可留空",
    Fault.ASSET_QUALITY: "须为1至5、9或其名称",
    Fault.BALANCE: "须为0至10^15的整数，以账户币种的最小单位计",
    Fault.RUNNING_SINCE_DATE: "须为日期，如2025-09-03",
    Fault.RUNNING_DAYS_PAST_DUE: "须为整数天数，最多36,525",
    Fault.RUNNING_AMOUNT: "须为0至10^15的整数，以账户币种的最小单位计",
    Fault.COLLECTION_STAGE: "须为none、reminder、field、agency、legal、written_off之一",
    Fault.SPECIAL_TRANSACTIONS: "须为含type和date的JSON对象列表",
    Fault.DIFFERS: "与该账户的首行不同，而各行只可在月份列上不同",
    Fault.MONTH: "须为月份，如2025-09",
    Fault.MONTH_BEFORE_OPENING: "不得早于开户月份，除非尚未开户",
    Fault.MONTH_AFTER_AS_OF: "不得晚于as_of所在月份（UTC）",
    Fault.MONTH_TWICE: "同一账户的月份不得重复：以首行为准",
    Fault.DISPOSITION: "须为代码N * M 1 2 3 4 5 6 7 D Z B C G A # /之一，或其名称",
    Fault.NOT_YET_OPEN: "开户月份之后不得为/（尚未开户）",
    Fault.DAYS_PAST_DUE: "须为整数天数，且符合该月代码",
    Fault.OVERDUE_AMOUNT: "须为0至10^15的整数，以账户币种的最小单位计",
    Fault.NOTHING_OVERDUE: "代码表示无逾期时须为0或留空",
    Fault.PAID_AMOUNT: "须为0至10^15的整数，以账户币种的最小单位计",
}
"""What is wrong, in Chinese."""


class Words:
    """The words of one language."""

    def __init__(self, language: Language) -> None:
        check_language(language)
        self.language = language
        self._place = 0 if language == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key, with these values in them."""
        return TEXTS[key][self._place].format(**values)

    def fault(self, fault: Fault) -> str:
        """What is wrong with a row."""
        return fault.description if self.language == "en" else FAULTS[fault]
