//! Location, levels, inventory items, variants and products.

use std::rc::Rc;

use apollo_compiler::resolvers::{FieldError, ResolvedValue};
use apollo_compiler::response::JsonValue;

use crate::sandbox::shopify::graph::coded;
use crate::sandbox::shopify::graph::paging::{Place, Wanted};
use crate::sandbox::shopify::graph::search::{self, Fact};
use crate::sandbox::shopify::ids::{self, Kind};
use crate::sandbox::shopify::store::Store;

use super::{Node, Resolved, Selected, Thing, leaf, text_argument, time};

const ITEM_FIELDS: [&str; 5] = ["id", "sku", "created_at", "updated_at", "location_id"];
const LEVEL_FIELDS: [&str; 4] = ["id", "inventory_item_id", "created_at", "updated_at"];

impl<'a> Node<'a, '_> {
    pub(super) fn location<'r>(&self, place: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(ids::location_gid(place)),
            "legacyResourceId" => ResolvedValue::leaf(ids::location(place).to_string()),
            "name" => ResolvedValue::leaf(place_name(place)),
            "isActive" | "fulfillsOnlineOrders" | "shipsInventory" | "hasActiveInventory" => {
                ResolvedValue::leaf(true)
            }
            "createdAt" | "updatedAt" => time(self.read(|shop| shop.opened_ms)),
            "inventoryLevel" => {
                let item =
                    text_argument(field, "inventoryItemId").and_then(|id| Kind::InventoryItem.read(id));
                let item = item.filter(|item| self.read(|shop| shop.is_stocked(*item, place)));
                self.maybe(item.map(|item| Thing::Level(item, place)))
            }
            "inventoryLevels" => return Some(self.levels(place, field)),
            _ => return None,
        }))
    }

    fn levels<'r>(&self, place: usize, field: &Selected<'_>) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let wanted = self.desk.wanted(field.arguments)?;
        let filter = search::parse(wanted.query);
        if let Some(warning) = search::warnings(&filter, &LEVEL_FIELDS, "inventoryLevels", wanted.query) {
            self.desk.warn(warning);
        }
        let page = self.read(|shop| {
            let found = rows(shop.items.len(), &wanted)
                .filter(|row| shop.is_stocked(*row, place))
                .filter(|row| filter.matches(&|name| level_fact(shop, *row, place, name)));
            wanted.page(found.map(|row| (Place::row(row), Thing::Level(row, place))))
        });
        Ok(self.node(Thing::Connection("InventoryLevelConnection", Rc::new(page))))
    }

    /// A page of inventory items or of variants, which share their filters.
    pub(super) fn items<'r>(
        &self,
        connection: &'static str,
        path: &str,
        field: &Selected<'_>,
    ) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let wanted = self.desk.wanted(field.arguments)?;
        let filter = search::parse(wanted.query);
        if let Some(warning) = search::warnings(&filter, &ITEM_FIELDS, path, wanted.query) {
            self.desk.warn(warning);
        }
        let variants = connection == "ProductVariantConnection";
        let kind = if variants { Kind::ProductVariant } else { Kind::InventoryItem };
        let thing = |row| if variants { Thing::Variant(row) } else { Thing::Item(row) };
        let page = self.read(|shop| {
            let found = rows(shop.items.len(), &wanted)
                .filter(|row| filter.matches(&|name| item_fact(shop, kind, *row, name)));
            wanted.page(found.map(|row| (Place::row(row), thing(row))))
        });
        Ok(self.node(Thing::Connection(connection, Rc::new(page))))
    }

    pub(super) fn level<'r>(&self, item: usize, place: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(ids::level_gid(item, place)),
            "isActive" => ResolvedValue::leaf(true),
            "canDeactivate" => ResolvedValue::leaf(false),
            "deactivationAlert" => ResolvedValue::leaf("The item is stocked at this location only."),
            "createdAt" => time(self.read(|shop| shop.opened_ms)),
            "updatedAt" => time(self.read(|shop| shop.level(item, place).updated_ms)),
            "item" => self.node(Thing::Item(item)),
            "location" => self.node(Thing::Location(place)),
            "quantities" => return Some(self.quantities(item, place, field)),
            _ => return None,
        }))
    }

    fn quantities<'r>(
        &self,
        item: usize,
        place: usize,
        field: &Selected<'_>,
    ) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let names = field.arguments.get("names").and_then(JsonValue::as_array).map_or(&[][..], Vec::as_slice);
        let mut things = Vec::with_capacity(names.len());
        for name in names.iter().filter_map(JsonValue::as_str) {
            if self.read(|shop| shop.level(item, place).get(name)).is_none() {
                return Err(coded("INVALID_FIELD_ARGUMENTS", format!("`{name}` is not a quantity name")));
            }
            things.push(Thing::Quantity(item, place, name.to_owned()));
        }
        Ok(self.list(things))
    }

    pub(super) fn quantity<'r>(
        &self,
        item: usize,
        place: usize,
        name: &str,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>> {
        let level = self.read(|shop| *shop.level(item, place));
        Some(Ok(match field.name {
            "id" => {
                let number = Kind::InventoryItem.number(item as u64);
                ResolvedValue::leaf(format!(
                    "gid://shopify/InventoryQuantity/{number}?inventory_item_id={number}&name={name}"
                ))
            }
            "name" => ResolvedValue::leaf(name),
            "quantity" => leaf(level.get(name)),
            // Recorded answers have no time for the sum.
            "updatedAt" if name == "on_hand" => ResolvedValue::null(),
            "updatedAt" => time(level.updated_ms),
            _ => return None,
        }))
    }

    pub(super) fn item<'r>(&self, item: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::InventoryItem.gid(item as u64)),
            "legacyResourceId" => ResolvedValue::leaf(Kind::InventoryItem.number(item as u64).to_string()),
            "sku" => ResolvedValue::leaf(self.read(|shop| shop.items[item].sku.clone())),
            "tracked" | "requiresShipping" => ResolvedValue::leaf(true),
            "duplicateSkuCount" => ResolvedValue::leaf(0),
            "createdAt" => time(self.read(|shop| shop.opened_ms)),
            "updatedAt" => time(self.read(|shop| shop.item_updated_ms(item))),
            "variant" => self.node(Thing::Variant(item)),
            "variants" => {
                let one = std::iter::once(Thing::Variant(item));
                return Some(self.short_connection("ProductVariantConnection", field, one));
            }
            "inventoryLevel" => {
                let place = text_argument(field, "locationId").and_then(ids::read_location_gid);
                let place = place.filter(|place| self.read(|shop| shop.is_stocked(item, *place)));
                self.maybe(place.map(|place| Thing::Level(item, place)))
            }
            "inventoryLevels" => {
                let stocked = |place: &usize| self.read(|shop| shop.is_stocked(item, *place));
                let places: Vec<usize> = (0..self.read(|shop| shop.places)).filter(stocked).collect();
                let levels = places.into_iter().map(|place| Thing::Level(item, place));
                return Some(self.short_connection("InventoryLevelConnection", field, levels));
            }
            _ => return None,
        }))
    }

    pub(super) fn variant<'r>(&self, item: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::ProductVariant.gid(item as u64)),
            "legacyResourceId" => ResolvedValue::leaf(Kind::ProductVariant.number(item as u64).to_string()),
            "sku" => ResolvedValue::leaf(self.read(|shop| shop.items[item].sku.clone())),
            "displayName" | "title" => ResolvedValue::leaf(self.read(|shop| shop.items[item].title.clone())),
            "barcode" => ResolvedValue::null(),
            "price" => {
                let cents = self.read(|shop| shop.items[item].price_cents);
                ResolvedValue::leaf(format!("{}.{:02}", cents / 100, cents % 100))
            }
            "taxable" => ResolvedValue::leaf(true),
            "inventoryPolicy" => ResolvedValue::leaf("DENY"),
            "inventoryQuantity" => ResolvedValue::leaf(self.read(|shop| shop.available(item))),
            "availableForSale" => ResolvedValue::leaf(self.read(|shop| shop.available(item) > 0)),
            "requiresComponents" => ResolvedValue::leaf(self.read(|shop| !shop.has_level(item))),
            "createdAt" => time(self.read(|shop| shop.opened_ms)),
            "updatedAt" => time(self.read(|shop| shop.item_updated_ms(item))),
            "inventoryItem" => self.node(Thing::Item(item)),
            "product" => self.node(Thing::Product(item)),
            _ => return None,
        }))
    }

    pub(super) fn product<'r>(&self, item: usize, field: &Selected<'_>) -> Option<Resolved<'r>> {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::Product.gid(item as u64)),
            "legacyResourceId" => ResolvedValue::leaf(Kind::Product.number(item as u64).to_string()),
            "title" => ResolvedValue::leaf(self.read(|shop| shop.items[item].title.clone())),
            "handle" => ResolvedValue::leaf(format!("product-{item}")),
            "status" => ResolvedValue::leaf("ACTIVE"),
            "totalInventory" => ResolvedValue::leaf(self.read(|shop| shop.available(item))),
            "tracksInventory" => ResolvedValue::leaf(true),
            "createdAt" => time(self.read(|shop| shop.opened_ms)),
            "updatedAt" => time(self.read(|shop| shop.item_updated_ms(item))),
            _ => return None,
        }))
    }
}

pub(super) fn place_name(place: usize) -> String {
    if place == 0 { "Main warehouse".to_owned() } else { format!("Place {}", place + 1) }
}

/// The rows behind the cursor of a list in id order.
fn rows(count: usize, wanted: &Wanted<'_>) -> Box<dyn Iterator<Item = usize>> {
    if wanted.reverse {
        Box::new((0..wanted.after.map_or(count, |after| after.row.min(count))).rev())
    } else {
        Box::new(wanted.after.map_or(0, |after| after.row + 1)..count)
    }
}

fn item_fact(shop: &Store, kind: Kind, item: usize, name: &str) -> Option<Fact> {
    Some(match name {
        "id" => Fact::Number(i64::try_from(kind.number(item as u64)).ok()?),
        "sku" | "" => Fact::Text(shop.items[item].sku.clone()),
        "created_at" => Fact::Time(shop.opened_ms),
        "updated_at" => Fact::Time(shop.item_updated_ms(item)),
        "location_id" => Fact::Number(i64::try_from(ids::location(0)).ok()?),
        _ => return None,
    })
}

fn level_fact(shop: &Store, item: usize, place: usize, name: &str) -> Option<Fact> {
    Some(match name {
        "id" => Fact::Text(ids::level_gid(item, place)),
        "inventory_item_id" => Fact::Number(i64::try_from(Kind::InventoryItem.number(item as u64)).ok()?),
        "created_at" => Fact::Time(shop.opened_ms),
        "updated_at" => Fact::Time(shop.level(item, place).updated_ms),
        _ => return None,
    })
}
