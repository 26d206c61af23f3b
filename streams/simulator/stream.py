"""The endless sequence of operations: the seed draws which one comes next, by weight."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import accumulate

from streams.simulator import batches, firms, service, supply
from streams.simulator import crm_operations as crm
from streams.simulator import erp_operations as erp
from streams.simulator.world import Transaction, World

Operation = Callable[[World], list[Transaction]]

WEIGHTS: tuple[tuple[Operation, float], ...] = (
    (firms.begin, 6),
    (firms.contradict_later, 0.3),
    (batches.move_territory, 0.3),
    (batches.run_campaign, 0.4),
    (batches.import_prices, 0.6),
    (batches.count_warehouse, 2.4),
    (batches.run_dunning, 1.0),
    (crm.edit_account, 8),
    (crm.write_note, 4),
    (crm.edit_contact, 8),
    (crm.add_contact, 2),
    (crm.delete_contact, 1),
    (crm.remove_contact, 0.7),
    (crm.delete_account, 0.3),
    (crm.restore_account, 0.15),
    (crm.new_deal, 4),
    (crm.advance_deal, 16),
    (crm.change_item, 4),
    (crm.open_case, 1.5),
    (crm.advance_case, 6),
    (crm.describe_product, 0.3),
    (erp.edit_cust, 4),
    (erp.block_cust, 1),
    (erp.change_price, 1),
    (erp.move_stock, 8),
    (erp.new_order, 5),
    (erp.change_line, 4),
    (erp.drop_draft, 0.4),
    (erp.cancel_order, 0.4),
    (erp.advance_order, 58),
    (supply.advance_supply, 12),
    (service.start_return, 0.4),
    (service.advance_return, 1.2),
    (service.advance_repair, 0.5),
    (erp.reverse_payment, 0.4),
    (erp.correct_invoice, 0.8),
    (service.credit, 0.6),
)
"""Operation and its weight. An order takes about nine steps, a purchase or production order five, a deal
four."""

_OPERATIONS = [operation for operation, _ in WEIGHTS]
OPERATIONS = frozenset(operation.__name__ for operation in _OPERATIONS)
"""What `Habits.mix` may name."""


@cache
def _sums(mix: tuple[tuple[str, float], ...]) -> list[float]:
    given = dict(mix)
    return list(accumulate(given.get(operation.__name__, weight) for operation, weight in WEIGHTS))


def next_transactions(world: World) -> list[Transaction]:
    """The transactions of the next operation, in the order in which they are to be committed."""
    sums = _sums(world.habits.mix)
    return _OPERATIONS[bisect(sums, world.rng.random() * sums[-1])](world)
