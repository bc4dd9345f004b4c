def test_x(world, sdk, second_worker):
    from tests.contract import requests as r
    a = world["bank-a"].exchange
    s = world.mint.stranger()
    rep = a.call(r.SUBMIT, r.submission([r.report(s)]))
    print(rep.message, rep.violations)
    a.verified_receipt(rep)
    rep = a.call(r.QUERY, r.query(s))
    print(rep.message)
    a.verified_receipt(rep)
