"""The methods that this SDK calls, each at the server that it goes to unless told otherwise."""

from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Method
from tallystick.contract import methods

GET_TOKEN_KEY = Method.of(methods.GET_TOKEN_KEY, Server.TOKEN_AUTHORITY)
EVALUATE_TOKENS = Method.of(methods.EVALUATE_TOKENS, Server.TOKEN_AUTHORITY)
SUBMIT_REPORTS = Method.of(methods.SUBMIT_REPORTS)
WITHDRAW_ACCOUNT = Method.of(methods.WITHDRAW_ACCOUNT)
GET_SUBMISSION = Method.of(methods.GET_SUBMISSION)
LIST_SUBMISSIONS = Method.of(methods.LIST_SUBMISSIONS)
QUERY_CREDIT_HISTORY = Method.of(methods.QUERY_CREDIT_HISTORY)
BATCH_QUERY_CREDIT_HISTORIES = Method.of(methods.BATCH_QUERY_CREDIT_HISTORIES)
ADD_MEMBER_KEY = Method.of(methods.ADD_MEMBER_KEY)
LIST_AUDIT_ENTRIES = Method.of(methods.LIST_AUDIT_ENTRIES)
GET_AUDIT_ENTRY = Method.of(methods.GET_AUDIT_ENTRY)
EXPORT_AUDIT_ENTRIES = Method.of(methods.EXPORT_AUDIT_ENTRIES)
GET_CHECKPOINT = Method.of(methods.GET_CHECKPOINT)
GET_INCLUSION_PROOF = Method.of(methods.GET_INCLUSION_PROOF)
GET_CONSISTENCY_PROOF = Method.of(methods.GET_CONSISTENCY_PROOF)
