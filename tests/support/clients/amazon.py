"""Drives the sandbox's Amazon with Amazon's own client, and prints what the client made of it as JSON.

  amazon.py CONTROL       the base URL of the sandbox's control address
"""

import gzip
import json
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone

import spapi

control = sys.argv[1]


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{control}/{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def until(what, look):
    """Asks until there is an answer; a bound that only a failure reaches."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    raise SystemExit(f"{what} did not come")


def refused(work):
    try:
        work()
    except spapi.ApiException as error:
        return {"status": error.status, "codes": [told["code"] for told in json.loads(error.body)["errors"]]}
    return None


systems = ask("systems")["amazon"]
seller, marketplace = systems["seller_id"], systems["marketplace_id"]


config = spapi.SPAPIConfig(systems["client_id"], systems["client_secret"], systems["refresh_token"])
client = spapi.SPAPIClient(config, oauth_endpoint=systems["lwa_url"], endpoint=systems["base_url"]).api_client
skus = ask("books")["skus"]

# A quantity is written by a merge, is taken before it shows, and shows some time later.
listings = spapi.ListingsApi(client)
# A path that must be encoded: the first with a slash or a space.
odd = next(sku["amazon"]["seller_sku"] for sku in skus if set(sku["amazon"]["seller_sku"]) & set("/ "))


def patch(sku, value):
    body = {
        "productType": "PRODUCT",
        "patches": [{"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}],
    }
    answer = listings.patch_listings_item(seller, sku, [marketplace], body)
    return {"status": answer.status, "sku": answer.sku, "issues": [issue.severity for issue in answer.issues or []]}


def shown(sku):
    item = listings.get_listings_item(
        seller, sku, [marketplace], included_data=["summaries", "attributes", "fulfillmentAvailability"]
    )
    return {at.fulfillment_channel_code: at.quantity for at in item.fulfillment_availability}


default = [{"fulfillment_channel_code": "DEFAULT", "quantity": 77}]
accepted = patch(odd, default)
until("the quantity", lambda: shown(odd).get("DEFAULT") == 77 or None)
invalid = patch(odd, [{"fulfillment_channel_code": "DEFAULT", "quantity": -1}])
none_such = refused(lambda: shown("NONE-SUCH"))
page = listings.search_listings_items(seller, [marketplace], page_size=5, included_data=["summaries"])

# An order shows up in the search, and by its id.
placed = ask("order", {"channel": "amazon", "lines": [{"sku": skus[0]["sku"], "quantity": 2}]})["order"]
since = datetime.now(timezone.utc) - timedelta(hours=1)
orders = spapi.SearchOrdersApi(client)


def search():
    told = orders.search_orders(
        last_updated_after=since, marketplace_ids=[marketplace], included_data=["FULFILLMENT", "CANCELLATION"]
    )
    return next((order for order in told.orders if order.order_id == placed), None)


found = until("the order", search)
one = spapi.GetOrderApi(client).get_order(placed, included_data=["FULFILLMENT"]).order
both_times = refused(lambda: orders.search_orders(last_updated_after=since, created_after=since))

# What Amazon ships itself.
summaries = spapi.FbaInventoryApi(client).get_inventory_summaries(
    "Marketplace", marketplace, [marketplace], details=True
)
stock = summaries.payload.inventory_summaries

# Quantities in a feed: a document, what is made of it, and what became of each message.
feeds = spapi.FeedsApi(client)
kind = "application/json; charset=UTF-8"
document = feeds.create_feed_document({"contentType": kind})
merge = {"op": "merge", "path": "/attributes/fulfillment_availability"}


def message(number, code, quantity):
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity}]
    return {
        "messageId": number,
        "sku": code,
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [{**merge, "value": value}],
    }


content = {
    "header": {"sellerId": seller, "version": "2.0", "issueLocale": "en_US"},
    "messages": [message(1, odd, 55), message(2, "NONE-SUCH", 1)],
}
upload = urllib.request.Request(document.url, json.dumps(content).encode(), {"content-type": kind}, method="PUT")
urllib.request.urlopen(upload).close()
asked = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [marketplace]}
made = feeds.create_feed({**asked, "inputFeedDocumentId": document.feed_document_id})


def ended():
    told = feeds.get_feed(made.feed_id)
    return told if told.processing_status == "DONE" else None


feed = until("the end of the feed", ended)
result = feeds.get_feed_document(feed.result_feed_document_id)
with urllib.request.urlopen(result.url) as answer:
    packed = answer.read()
report = json.loads(gzip.decompress(packed) if result.compression_algorithm == "GZIP" else packed)
until("the quantity of the feed", lambda: shown(odd).get("DEFAULT") == 55 or None)
listed = feeds.get_feeds(feed_types=["JSON_LISTINGS_FEED"], page_size=10)

print(
    json.dumps(
        {
            "feed": {
                "packed": result.compression_algorithm,
                "issues": [[issue["messageId"], issue["sku"], issue["severity"]] for issue in report["issues"]],
                "listed": [one.feed_id for one in listed.feeds] == [made.feed_id],
            },
            "accepted": accepted,
            "asked": odd,
            "invalid": invalid,
            "none_such": none_such,
            "page": {"skus": len(page.items), "of": page.number_of_results, "next": page.pagination is not None},
            "order": {
                "status": found.fulfillment.fulfillment_status,
                "by": found.fulfillment.fulfilled_by,
                "lines": [[item.product.seller_sku, item.quantity_ordered] for item in found.order_items],
            },
            "same": one.order_id == found.order_id,
            "both_times": both_times,
            "fba": [[one.seller_sku, one.inventory_details.fulfillable_quantity] for one in stock],
        }
    )
)
