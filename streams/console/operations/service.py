"""Service cases and what orders wait for: the same lists as `opshub service` and `opshub supply`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.console.masking import mask, mask_value
from streams.console.operation import Context, operation
from streams.console.people import Person
from streams.console.problems import NotFound, WrongInput
from streams.errors import ConfigError
from streams.hub import service, supply
from streams.hub.service import CaseView, WantedCases
from streams.hub.supply import Promise, Waiting, WaitingLine

Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]


class WantedServiceCases(msgspec.Struct, frozen=True, kw_only=True):
    """Which service cases to list; what is not given does not matter."""

    open: bool = False
    """Only cases in which something is left to do."""
    kind: str | None = None
    problem: str | None = None
    missing: bool = False
    """Only those whose part is not in stock."""
    customer: str | None = None
    """Part of the name, or the id."""
    product: str | None = None
    """Article number or id."""
    after: str | None = None
    """The `after` of the page before."""
    limit: Limit = 50


class ServiceCaseList(msgspec.Struct, frozen=True):
    """A page of cases. `after` gives the next page; null: this is the last one."""

    cases: list[CaseView]
    after: str | None


class WantedServiceCase(msgspec.Struct, frozen=True):
    """Number or id of a service request or a return."""

    number: str


class FoundServiceCases(msgspec.Struct, frozen=True):
    """The cases of that number: mostly one."""

    cases: list[CaseView]


class WantedWaitingLines(msgspec.Struct, frozen=True, kw_only=True):
    """Which waiting order lines to list; what is not given does not matter."""

    late: bool = False
    """Only those that come after the promised day, or not at all."""
    document: str | None = None
    """Number or id of a purchase or production order."""
    supplier: str | None = None
    """Part of the name, number or id."""
    product: str | None = None
    """Article number or id."""
    after: str | None = None
    """The `after` of the page before."""
    limit: Limit = 50


class WaitingLineList(msgspec.Struct, frozen=True):
    """A page of order lines that wait for goods, the latest first."""

    lines: list[WaitingLine]
    after: str | None


class WantedPromise(msgspec.Struct, frozen=True):
    """Article number or id of a product."""

    product: str


@operation("GET", "/service-cases", permission="see", command=lambda wanted: _command("service list", wanted))
def list_service_cases(context: Context, wanted: WantedServiceCases) -> ServiceCaseList:
    """List service cases, those that were opened last first."""
    _refuse_nul(wanted)
    with context.place.hub() as hub:
        try:
            cases = service.list_cases(hub, WantedCases(**msgspec.structs.asdict(wanted)))
        except ConfigError as error:
            raise WrongInput(str(error), remedy=error.remedy) from error
    return ServiceCaseList([_masked(case, context.person) for case in cases], service.after_of(cases, wanted.limit))


@operation(
    "GET", "/service-cases/{number}", permission="see", command=lambda wanted: f"opshub service show {wanted.number}"
)
def show_service_case(context: Context, wanted: WantedServiceCase) -> FoundServiceCases:
    """Show the case of a service request or return: order, item, warranty, stock, return, and its story."""
    _refuse_nul(wanted)
    with context.place.hub() as hub:
        cases = service.find_cases(hub, wanted.number)
    if not cases:
        raise NotFound(f"no service request or return has the number {wanted.number}", remedy="look for the customer")
    return FoundServiceCases([_masked(case, context.person) for case in cases])


@operation("GET", "/waiting-lines", permission="see", command=lambda wanted: _command("supply list", wanted))
def list_waiting_lines(context: Context, wanted: WantedWaitingLines) -> WaitingLineList:
    """List order lines that wait for goods: which orders and customers a delay hits."""
    _refuse_nul(wanted)
    with context.place.hub() as hub:
        try:
            document = supply.supply_document(hub, wanted.document).id if wanted.document else None
            given = msgspec.structs.asdict(wanted) | {"document": document}
            lines = supply.waiting_lines(hub, Waiting(**given))
        except ConfigError as error:
            raise WrongInput(str(error), remedy=error.remedy) from error
    masked = [
        msgspec.structs.replace(
            line,
            customer=mask_value(line.customer, "customer", "name", context.person),
            supplier=mask_value(line.supplier, "supplier", "name", context.person),
        )
        for line in lines
    ]
    return WaitingLineList(masked, supply.after_of(lines, wanted.limit))


@operation(
    "GET", "/promises/{product}", permission="see", command=lambda wanted: f"opshub supply product {wanted.product}"
)
def show_promise(context: Context, wanted: WantedPromise) -> Promise:
    """Show what of a product can be promised: on hand, reserved, and on its way by day."""
    _refuse_nul(wanted)
    with context.place.hub() as hub:
        try:
            return supply.product_promise(hub, wanted.product)
        except ConfigError as error:
            raise NotFound(str(error), remedy=error.remedy or "") from error


def _masked(case: CaseView, person: Person) -> CaseView:
    customer = mask_value(case.customer, "customer", "name", person)
    return msgspec.structs.replace(case, customer=customer, record=mask(case.record, "service_case", person))


def _refuse_nul(wanted: msgspec.Struct) -> None:
    """Postgres keeps no such character, so nothing is called like that."""
    if any("\x00" in value for value in msgspec.structs.asdict(wanted).values() if isinstance(value, str)):
        raise WrongInput("a text has the character NUL", remedy="leave it out")


def _command(verb: str, wanted: msgspec.Struct) -> str:
    words = [f"opshub {verb}"]
    for name, value in msgspec.structs.asdict(wanted).items():
        if value is True:
            words.append(f"--{name}")
        elif isinstance(value, str) and name != "after":
            words.append(f"--{name} '{value}'")
    return " ".join(words)
