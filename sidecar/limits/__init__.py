"""
How much somebody may ask for:

    persons (who is it) -> plans (what holds for them) -> budgets (is there room) -> ledger (what was counted)

`windows` is the arithmetic of it, `estimate` says what a generation will probably take, `sentences` what people read.
Administrators: admin_routes -> plan_book, overrides, groups -> plans; `models` is what is stored of them.
"""
