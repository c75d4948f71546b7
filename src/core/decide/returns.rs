//! Returned units that were reserved until a person has looked at them.

use crate::{
    core::{
        command::{Fate, Refused, Reply},
        decide::Draft,
        ledger::{Cause, Entry, Kind, book},
        record::Record,
        state::Place,
    },
    model::{LocationId, Quantity, Sku, counted, which},
};

impl Draft<'_> {
    /// Puts reserved units on sale again, or takes them off the books.
    pub(super) fn returned(
        &mut self,
        sku: &Sku,
        location: Option<&LocationId>,
        quantity: Option<Quantity>,
        fate: Fate,
        note: String,
    ) -> Result<Reply, Refused> {
        let sku = &self.state.canonical(sku).clone();
        let place = self.reserved_at(sku, location)?;
        let reserved = place.stock.reserved;
        let quantity = quantity.unwrap_or(reserved);
        if quantity <= Quantity::ZERO {
            return Err(Refused::OutOfRange(format!("returned units of {sku}")));
        }
        if quantity > reserved {
            let at = &place.location;
            let (units, are) = (counted(reserved, "unit"), which(reserved, "is", "are"));
            return Err(Refused::NotSo(format!("only {units} of SKU `{sku}` {are} held back at `{at}`")));
        }
        let kind = match fate {
            Fate::Restock => Kind::Restock,
            Fate::Discard => Kind::Discard,
        };
        let out_of_range = |_| Refused::OutOfRange(format!("returned units of {sku}"));
        let after = book(place.stock, kind, quantity).map_err(out_of_range)?;
        let (location, cause) = (place.location, Cause::Operator { note });
        let (at, left) = (location.clone(), after.reserved);
        let entry = Entry { sku: sku.clone(), location, kind, quantity, cause, event_at: self.now, after };
        self.emit(Record::Adjusted { entries: vec![entry] });
        self.refresh(sku, self.now);
        Ok(Reply::Returned { location: at, quantity, left })
    }

    /// Finds where units of a SKU are reserved; it must be named if that is in several places.
    fn reserved_at(&self, sku: &Sku, location: Option<&LocationId>) -> Result<Place, Refused> {
        let row = self.state.skus.get(sku).ok_or_else(|| Refused::Nothing(format!("SKU `{sku}`")))?;
        let here = |place: &&Place| location.is_none_or(|location| place.location == *location);
        let mut places = row.stock.iter().filter(here).filter(|place| place.stock.reserved > Quantity::ZERO);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place.clone()),
            (None, _) => {
                let at = location.map_or(String::new(), |location| format!(" at `{location}`"));
                Err(Refused::NotSo(format!("no units of SKU `{sku}` are held back{at}")))
            }
            (Some(one), Some(other)) => Err(Refused::NotSo(format!(
                "units of SKU `{sku}` are held back in several places, such as `{}` and `{}`: name one",
                one.location, other.location
            ))),
        }
    }
}
