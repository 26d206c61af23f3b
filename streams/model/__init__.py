"""What travels on the walk: changes, positions, states; and the canonical records, typed, for whoever consumes them."""

from streams.model.record import Record
from streams.model.records import (
    BY_TOPIC,
    Contact,
    Customer,
    InventoryLevel,
    Invoice,
    Opportunity,
    OpportunityLine,
    OrderFlow,
    Payment,
    Product,
    SalesOrder,
    SalesOrderLine,
    ServiceRequest,
    Shipment,
    ShipmentLine,
    Source,
    TimelineEvent,
)

__all__ = [
    "BY_TOPIC",
    "Contact",
    "Customer",
    "InventoryLevel",
    "Invoice",
    "Opportunity",
    "OpportunityLine",
    "OrderFlow",
    "Payment",
    "Product",
    "Record",
    "SalesOrder",
    "SalesOrderLine",
    "ServiceRequest",
    "Shipment",
    "ShipmentLine",
    "Source",
    "TimelineEvent",
]
