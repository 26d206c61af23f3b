"""Sets up an empty Tryton with its own tools: a company, accounts, taxes, terms, and the people who work in it.

Runs in Tryton's own environment: python tryton_setup.py CONFIG DATABASE, with a JSON object on stdin:
{"users": {login: {"password": …, "groups": [names]}}}. A second run changes nothing. Prints the numbers that
write-back needs, as one JSON object: company, payment_term, tax, unit, customer_location, storage, category.
"""

import json
import sys
from decimal import Decimal

from proteus import Model, config

config_file, database = sys.argv[1:3]
given = json.load(sys.stdin)
session = config.set_trytond(database, user="admin", config_file=config_file)

# After set_trytond: the first import of trytond decides which kind of database it uses.
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, create_tax, get_accounts  # noqa: E402
from trytond.modules.account_invoice.tests.tools import (  # noqa: E402
    create_payment_term,
    set_fiscalyear_invoice_sequences,
)
from trytond.modules.company.tests.tools import create_company, get_company  # noqa: E402
from trytond.modules.currency.tests.tools import get_currency  # noqa: E402

User = Model.get("res.user")
if not Model.get("company.company").find():
    create_company(currency=get_currency("EUR"))
    create_chart()
session._context = User.get_preferences(True, {})
company = get_company()
if not Model.get("account.fiscalyear").find():
    year = set_fiscalyear_invoice_sequences(create_fiscalyear())
    year.click("create_period")
accounts = get_accounts()
Method = Model.get("account.invoice.payment.method")
if not Method.find():
    (journal,) = Model.get("account.journal").find([("type", "=", "cash")])
    Method(name="Bank", journal=journal, credit_account=accounts["cash"], debit_account=accounts["cash"]).save()
Tax = Model.get("account.tax")
if not Tax.find():
    create_tax(Decimal(".20")).save()
(tax,) = Tax.find()
Category = Model.get("product.category")
if not Category.find([("accounting", "=", True)]):
    category = Category(name="Goods", accounting=True)
    category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
    category.customer_taxes.append(tax)
    category.save()
Term = Model.get("account.invoice.payment_term")
if not Term.find():
    create_payment_term().save()

Group = Model.get("res.group")
for login, wanted in given["users"].items():
    users = User.find([("login", "=", login)])
    user = users[0] if users else User(name=login, login=login)
    user.password = wanted["password"]
    user.companies.extend(c for c in Model.get("company.company").find() if c not in user.companies)
    user.company = company
    have = {group.id for group in user.groups}
    for name in wanted["groups"]:
        (group,) = Group.find([("name", "=", name)])
        if group.id not in have:
            user.groups.append(group)
    user.save()

(customers,) = Model.get("stock.location").find([("code", "=", "CUS")])
(storage,) = Model.get("stock.location").find([("code", "=", "STO")])
(unit,) = Model.get("product.uom").find([("symbol", "=", "u")])
print(
    json.dumps(
        {
            "company": company.id,
            "company_party": company.party.id,
            "payment_term": Term.find()[0].id,
            "tax": tax.id,
            "unit": unit.id,
            "customer_location": customers.id,
            "storage": storage.id,
            "category": Category.find([("accounting", "=", True)])[0].id,
        }
    )
)
