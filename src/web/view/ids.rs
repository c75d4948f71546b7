//! Identifiers, as a map by the columns of the mapping CSV.

use std::collections::BTreeMap;

use crate::model::{IdKind, Identifiers, listing::BadIdentifier};

/// Identifiers by the name of their column in the mapping CSV.
pub type Ids = BTreeMap<String, String>;

/// Returns identifiers as a map.
pub fn ids_of(ids: &Identifiers) -> Ids {
    ids.iter().map(|id| (id.kind.name().to_owned(), id.value.to_string())).collect()
}

/// A map that cannot be identifiers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIds {
    #[error(
        "`{0}` is no kind of identifier; known: channel_sku, variant, inventory_item, asin, fnsku, record, barcode"
    )]
    Kind(String),
    #[error(transparent)]
    Value(#[from] BadIdentifier),
    #[error("a row names no identifier")]
    Empty,
}

/// Returns the identifiers that a map names. Empty values are left out.
pub fn ids_from(ids: &Ids) -> Result<Identifiers, BadIds> {
    let mut pairs = Vec::new();
    for (name, value) in ids {
        let kind = IdKind::ALL.into_iter().find(|kind| kind.name() == name.as_str());
        pairs.push((kind.ok_or_else(|| BadIds::Kind(name.clone()))?, value.as_str()));
    }
    let ids = Identifiers::new(pairs)?;
    if ids.is_empty() { Err(BadIds::Empty) } else { Ok(ids) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_go_by_the_names_of_the_csv() {
        let ids = Ids::from([("asin".to_owned(), "B0".to_owned()), ("barcode".to_owned(), String::new())]);
        let read = ids_from(&ids).expect("good");
        assert_eq!(ids_of(&read), Ids::from([("asin".to_owned(), "B0".to_owned())]));
        assert!(matches!(ids_from(&Ids::from([("upc".to_owned(), "1".to_owned())])), Err(BadIds::Kind(_))));
        assert_eq!(ids_from(&Ids::new()), Err(BadIds::Empty));
    }
}
