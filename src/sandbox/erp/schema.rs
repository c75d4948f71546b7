//! The models that the simulated ERP knows, with the fields that clients of a shop's stock read and write.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value, stored as it is on the wire.
    Plain,
    /// The id of one record of a model, or null.
    One(&'static str),
    /// `model,id`, or null.
    Reference,
    /// The records of a model whose `by` field points here.
    Many { model: &'static str, by: &'static str },
    /// A stored set of ids.
    Set(&'static str),
    /// Computed when it is read: one value.
    Computed,
    /// Computed when it is read: records of a model.
    ComputedMany(&'static str),
}

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

pub(super) struct Model {
    pub(super) name: &'static str,
    /// As error messages call it.
    pub(super) title: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) required: &'static [&'static str],
}

impl Model {
    /// Finds a field; every model has an id, a name for people, and the times of its making and last change.
    pub(super) fn field(&self, name: &str) -> Option<Kind> {
        match name {
            "id" | "__name__" | "rec_name" => Some(Kind::Computed),
            "create_date" | "write_date" => Some(Kind::Plain),
            _ => self.fields.iter().find(|field| field.name == name).map(|field| field.kind),
        }
    }
}

pub(super) fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}

const fn plain(name: &'static str) -> Field {
    Field { name, kind: Kind::Plain }
}

const fn one(name: &'static str, model: &'static str) -> Field {
    Field { name, kind: Kind::One(model) }
}

const fn many(name: &'static str, model: &'static str, by: &'static str) -> Field {
    Field { name, kind: Kind::Many { model, by } }
}

const fn set(name: &'static str, model: &'static str) -> Field {
    Field { name, kind: Kind::Set(model) }
}

const fn reference(name: &'static str) -> Field {
    Field { name, kind: Kind::Reference }
}

const fn computed(name: &'static str) -> Field {
    Field { name, kind: Kind::Computed }
}

const fn computed_many(name: &'static str, model: &'static str) -> Field {
    Field { name, kind: Kind::ComputedMany(model) }
}

const SHIPMENT: [Field; 14] = [
    plain("number"),
    plain("reference"),
    plain("state"),
    plain("planned_date"),
    plain("effective_date"),
    one("company", "company.company"),
    one("customer", "party.party"),
    one("warehouse", "stock.location"),
    one("warehouse_storage", "stock.location"),
    one("warehouse_output", "stock.location"),
    one("warehouse_input", "stock.location"),
    many("moves", "stock.move", "shipment"),
    computed_many("outgoing_moves", "stock.move"),
    computed_many("inventory_moves", "stock.move"),
];

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "product.product",
        title: "Product Variant",
        fields: &[
            plain("code"),
            plain("suffix_code"),
            plain("name"),
            plain("type"),
            plain("active"),
            plain("list_price_used"),
            one("template", "product.template"),
            one("default_uom", "product.uom"),
            computed("quantity"),
            computed("forecast_quantity"),
        ],
        required: &["template"],
    },
    Model {
        name: "product.template",
        title: "Product",
        fields: &[
            plain("code"),
            plain("name"),
            plain("type"),
            plain("list_price"),
            plain("salable"),
            plain("active"),
            one("default_uom", "product.uom"),
            one("sale_uom", "product.uom"),
            many("products", "product.product", "template"),
        ],
        required: &["name"],
    },
    Model {
        name: "product.uom",
        title: "Unit of Measure",
        fields: &[plain("name"), plain("symbol"), plain("digits")],
        required: &["name"],
    },
    Model {
        name: "currency.currency",
        title: "Currency",
        fields: &[plain("name"), plain("code"), plain("symbol")],
        required: &["name"],
    },
    Model {
        name: "company.company",
        title: "Company",
        fields: &[one("party", "party.party"), one("currency", "currency.currency")],
        required: &["party"],
    },
    Model {
        name: "party.party",
        title: "Party",
        fields: &[
            plain("name"),
            plain("code"),
            plain("active"),
            one("customer_location", "stock.location"),
            many("addresses", "party.address", "party"),
        ],
        required: &[],
    },
    Model {
        name: "party.address",
        title: "Address",
        fields: &[one("party", "party.party"), plain("name"), plain("active")],
        required: &["party"],
    },
    Model {
        name: "stock.location",
        title: "Stock Location",
        fields: &[
            plain("name"),
            plain("code"),
            plain("type"),
            plain("active"),
            one("parent", "stock.location"),
            one("storage_location", "stock.location"),
            one("input_location", "stock.location"),
            one("output_location", "stock.location"),
            one("lost_found_location", "stock.location"),
        ],
        required: &["name"],
    },
    Model {
        name: "sale.sale",
        title: "Sale",
        fields: &[
            plain("number"),
            plain("reference"),
            plain("description"),
            plain("comment"),
            plain("state"),
            plain("invoice_method"),
            plain("invoice_state"),
            plain("shipment_method"),
            plain("shipment_state"),
            plain("sale_date"),
            plain("quotation_date"),
            one("company", "company.company"),
            one("currency", "currency.currency"),
            one("party", "party.party"),
            one("invoice_address", "party.address"),
            one("shipment_address", "party.address"),
            one("warehouse", "stock.location"),
            reference("origin"),
            many("lines", "sale.line", "sale"),
            computed_many("shipments", "stock.shipment.out"),
            computed_many("shipment_returns", "stock.shipment.out.return"),
            computed_many("moves", "stock.move"),
        ],
        required: &["party", "company", "currency"],
    },
    Model {
        name: "sale.line",
        title: "Sale Line",
        fields: &[
            one("sale", "sale.sale"),
            one("product", "product.product"),
            one("unit", "product.uom"),
            plain("type"),
            plain("sequence"),
            plain("description"),
            plain("quantity"),
            plain("unit_price"),
            many("moves", "stock.move", "origin"),
            set("moves_ignored", "stock.move"),
            set("moves_recreated", "stock.move"),
        ],
        required: &["sale", "quantity"],
    },
    Model {
        name: "stock.shipment.out",
        title: "Stock Shipment Out",
        fields: &SHIPMENT,
        required: &["customer", "company"],
    },
    Model {
        name: "stock.shipment.out.return",
        title: "Stock Shipment Out Return",
        fields: &[
            plain("number"),
            plain("reference"),
            plain("state"),
            plain("planned_date"),
            plain("effective_date"),
            one("company", "company.company"),
            one("customer", "party.party"),
            one("warehouse", "stock.location"),
            one("warehouse_storage", "stock.location"),
            one("warehouse_input", "stock.location"),
            many("moves", "stock.move", "shipment"),
            computed_many("incoming_moves", "stock.move"),
            computed_many("inventory_moves", "stock.move"),
        ],
        required: &["customer", "company"],
    },
    Model {
        name: "stock.shipment.internal",
        title: "Stock Shipment Internal",
        fields: &[
            plain("number"),
            plain("reference"),
            plain("state"),
            plain("planned_date"),
            plain("effective_date"),
            one("company", "company.company"),
            one("from_location", "stock.location"),
            one("to_location", "stock.location"),
            many("moves", "stock.move", "shipment"),
        ],
        required: &["from_location", "to_location", "company"],
    },
    Model {
        name: "stock.move",
        title: "Stock Move",
        fields: &[
            one("product", "product.product"),
            one("unit", "product.uom"),
            plain("quantity"),
            plain("internal_quantity"),
            one("from_location", "stock.location"),
            one("to_location", "stock.location"),
            plain("state"),
            plain("planned_date"),
            plain("effective_date"),
            one("company", "company.company"),
            plain("unit_price"),
            one("currency", "currency.currency"),
            reference("origin"),
            reference("shipment"),
        ],
        required: &["product", "quantity", "from_location", "to_location", "company"],
    },
    Model {
        name: "stock.inventory",
        title: "Stock Inventory",
        fields: &[
            plain("number"),
            plain("date"),
            plain("state"),
            plain("empty_quantity"),
            one("location", "stock.location"),
            one("company", "company.company"),
            many("lines", "stock.inventory.line", "inventory"),
        ],
        required: &["location", "date", "company"],
    },
    Model {
        name: "stock.inventory.line",
        title: "Stock Inventory Line",
        fields: &[
            one("inventory", "stock.inventory"),
            one("product", "product.product"),
            plain("quantity"),
            plain("expected_quantity"),
            many("moves", "stock.move", "origin"),
        ],
        required: &["product"],
    },
    Model {
        name: "ir.model.button",
        title: "Button",
        fields: &[plain("model"), plain("name"), set("groups", "res.group")],
        required: &[],
    },
    Model { name: "res.group", title: "Group", fields: &[plain("name")], required: &[] },
    Model { name: "res.user", title: "User", fields: &[plain("name"), plain("login")], required: &[] },
];

/// The fields of a model by which its records are looked up, from a list of the record that they point to.
pub(super) fn inverse_fields(model: &str) -> &'static [&'static str] {
    static FOUND: OnceLock<BTreeMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let mut found: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
        for field in MODELS.iter().flat_map(|owner| owner.fields) {
            if let Kind::Many { model, by } = field.kind {
                let fields = found.entry(model).or_default();
                if !fields.contains(&by) {
                    fields.push(by);
                }
            }
        }
        found
    });
    found.get(model).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relation_points_to_a_model_that_has_the_way_back() {
        for owner in MODELS {
            for field in owner.fields {
                match field.kind {
                    Kind::One(target) | Kind::Set(target) | Kind::ComputedMany(target) => {
                        assert!(model(target).is_some(), "{}.{}", owner.name, field.name);
                    }
                    Kind::Many { model: target, by } => {
                        let back = model(target).and_then(|target| target.field(by));
                        assert!(
                            back == Some(Kind::One(owner.name)) || back == Some(Kind::Reference),
                            "{}.{}",
                            owner.name,
                            field.name
                        );
                    }
                    Kind::Plain | Kind::Reference | Kind::Computed => {}
                }
            }
        }
    }
}
