"""
How much somebody may ask for:

    persons (who is it) -> plans (what holds for them) -> budgets (is there room) -> ledger (what was counted)

`windows` is the arithmetic of it, `sentences` what people read, `reasons` why something waits. `estimate` learns and
tells what a generation will probably take, with the arithmetic of `paces`.
Administrators: admin_routes -> plan_book, overrides, groups -> plans; `models` is what is stored of them.
"""
