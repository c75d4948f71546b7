"""Fills a fresh Tryton database with what the tests need, and writes down the ids.

Usage: seed.py CONF CODES_FILE FACTS_JSON [CODE=QUANTITY ...]

It runs inside Tryton (no server): a company, a customer, products with opening stock, a user with only the rights that
the connector needs, and that user's REST key. CODE=QUANTITY replaces the products of CODES_FILE and SKU-0001..20.
"""

import datetime
import json
import sys
from decimal import Decimal

from trytond.config import config

conf, codes_file, facts_file, *given = sys.argv[1:]
config.update_etc(conf)

from trytond.pool import Pool  # noqa: E402
from trytond.transaction import Transaction  # noqa: E402

OPENING = 100.0
# What docs/CONNECTORS.md asks a merchant to give the connector's user, and no more.
CONNECTOR_GROUPS = ["sale.group_sale_admin", "stock.group_stock", "stock.group_stock_force_assignment"]


def products_wanted():
    if given:
        return [(code, float(quantity)) for code, _, quantity in (g.rpartition("=") for g in given)]
    with open(codes_file, encoding="utf-8") as lines:
        codes = [line.rstrip("\n") for line in lines if line.strip()]
    codes += [f"SKU-{n:04}" for n in range(1, 21)]
    return [(code, OPENING) for code in codes]


def make_company(pool):
    currency, = pool.get("currency.currency").create([{
        "name": "US Dollar", "code": "USD", "symbol": "$", "numeric_code": "840",
        "rates": [("create", [{"date": datetime.date(2020, 1, 1), "rate": Decimal(1)}])],
    }])
    party, = pool.get("party.party").create([{"name": "Lab Company"}])
    company, = pool.get("company.company").create([{"party": party.id, "currency": currency.id}])
    return company, currency


def make_products(pool, wanted):
    Template = pool.get("product.template")
    unit, = pool.get("product.uom").search([("symbol", "=", "u")])
    templates = Template.create([{
        "name": f"Product {code}", "type": "goods", "default_uom": unit.id, "list_price": Decimal("10.00"),
        "salable": True, "sale_uom": unit.id, "products": [("create", [{"suffix_code": code}])],
    } for code, _ in wanted])
    return {template.products[0].code: template.products[0].id for template in templates}, unit


def make_stock(pool, company, storage, wanted, products):
    Inventory = pool.get("stock.inventory")
    inventory, = Inventory.create([{
        "location": storage.id, "date": datetime.date.today(), "company": company.id, "empty_quantity": "keep",
        "lines": [("create", [{"product": products[code], "quantity": quantity} for code, quantity in wanted])],
    }])
    Inventory.confirm([inventory])


def make_user(pool, company, login, groups):
    Group, Data = pool.get("res.group"), pool.get("ir.model.data")
    ids = [Data.get_id(*group.split(".")) for group in groups]
    user, = pool.get("res.user").create([{
        "name": login, "login": login, "companies": [("add", [company.id])], "company": company.id,
        "groups": [("add", [group.id for group in Group.browse(ids)])],
    }])
    return user


def make_key(pool, user):
    application, = pool.get("res.user.application").create([
        {"user": user.id, "application": "rest", "state": "validated"}])
    return application.key


def seed(pool):
    company, currency = make_company(pool)
    User = pool.get("res.user")
    admin, = User.search([("login", "=", "admin")])
    User.write([admin], {"companies": [("add", [company.id])], "company": company.id})
    connector = make_user(pool, company, "evenkeel", CONNECTOR_GROUPS)
    reader = make_user(pool, company, "reader", ["stock.group_stock"])
    wanted = products_wanted()
    with Transaction().set_context(company=company.id):
        products, unit = make_products(pool, wanted)
        Location = pool.get("stock.location")
        storage, = Location.search([("code", "=", "STO")])
        warehouse, = Location.search([("type", "=", "warehouse")])
        lost, = Location.search([("type", "=", "lost_found")], limit=1)
        make_stock(pool, company, storage, wanted, products)
        customer, = pool.get("party.party").create([
            {"name": "Web shop customer", "code": "WEB", "addresses": [("create", [{}])]}])
    return {
        "key": make_key(pool, connector),
        "reader_key": make_key(pool, reader),
        "admin_key": make_key(pool, admin),
        "company": company.id,
        "currency": currency.id,
        "warehouse": warehouse.id,
        "warehouse_code": warehouse.code,
        "storage": storage.id,
        "output": warehouse.output_location.id,
        "input": warehouse.input_location.id,
        "lost_found": lost.id,
        "customer": customer.id,
        "customer_code": customer.code,
        "customer_address": customer.addresses[0].id,
        "unit": unit.id,
        "products": products,
        "opening": dict(wanted),
    }


def main():
    pool = Pool("lab")
    with Transaction().start("lab", 0, readonly=True):
        pool.init()
    with Transaction().start("lab", 1, context={}) as transaction:
        facts = seed(Pool())
        transaction.commit()
    with open(facts_file, "w", encoding="utf-8") as out:
        json.dump(facts, out, ensure_ascii=False, indent=1)
        out.write("\n")


main()
