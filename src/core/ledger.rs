//! Balances and the entries that explain them.

use serde::{Deserialize, Serialize};

use crate::model::{
    ChannelId, LineId, LocationId, OrderKey, Overflow, Quantity, Returns, Seq, Sku, Timestamp, Totals,
};

/// Stock of one SKU at one location. `on_hand` is counted on the shelf, the others are promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stock {
    pub on_hand: Quantity,
    pub committed: Quantity,
    pub reserved: Quantity,
    /// On its way here from another place: not for sale yet.
    #[serde(default, skip_serializing_if = "Quantity::is_zero")]
    pub incoming: Quantity,
}

impl Stock {
    /// Returns what may still be sold. Below zero means oversold: it stays visible here, and only allocation
    /// clamps it.
    pub fn available(self) -> Result<Quantity, Overflow> {
        self.on_hand.sub(self.committed)?.sub(self.reserved)
    }

    fn plus(self, change: Stock) -> Result<Stock, Overflow> {
        Ok(Stock {
            on_hand: self.on_hand.add(change.on_hand)?,
            committed: self.committed.add(change.committed)?,
            reserved: self.reserved.add(change.reserved)?,
            incoming: self.incoming.add(change.incoming)?,
        })
    }
}

/// What kind of movement an entry books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Sale,
    Cancel,
    WriteOff,
    Ship,
    /// Back on hand, for sale.
    Return,
    /// Back on hand, reserved until a person has looked at it.
    ReturnQuarantined,
    Count,
    Adjustment,
    Correction,
    /// Reserved units are for sale again.
    Restock,
    /// Reserved units are gone for good.
    Discard,
    /// Open units of an order older than the opening count, which a free count did not include.
    Baseline,
    /// What an order did before a person counted, and was told of after it: the count has it already.
    InCount,
    /// Gone to another place.
    TransferOut,
    /// On the way here from another place.
    Incoming,
    /// Arrived from another place.
    TransferIn,
    /// On the way here, and known not to arrive.
    TransferLost,
}

impl Kind {
    /// Returns the name that people and metrics know it by.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sale => "sale",
            Kind::Cancel => "cancel",
            Kind::WriteOff => "write_off",
            Kind::Ship => "ship",
            Kind::Return => "return",
            Kind::ReturnQuarantined => "return_quarantined",
            Kind::Count => "count",
            Kind::Adjustment => "adjustment",
            Kind::Correction => "correction",
            Kind::Restock => "restock",
            Kind::Discard => "discard",
            Kind::Baseline => "baseline",
            Kind::InCount => "in_count",
            Kind::TransferOut => "transfer_out",
            Kind::Incoming => "incoming",
            Kind::TransferIn => "transfer_in",
            Kind::TransferLost => "transfer_lost",
        }
    }

    /// Tells whether it is a part of a transfer between places.
    pub fn transfers(self) -> bool {
        matches!(self, Kind::TransferOut | Kind::Incoming | Kind::TransferIn | Kind::TransferLost)
    }
}

/// Where an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Order {
        order: OrderKey,
        line: LineId,
    },
    Count {
        counter: ChannelId,
        as_of: Timestamp,
    },
    Operator {
        note: String,
    },
    /// Somebody edited the stock on a channel, from `expected` to `observed`.
    Edit {
        channel: ChannelId,
        expected: Quantity,
        observed: Quantity,
    },
    /// One SKU was made part of another.
    Merged {
        from: Sku,
        into: Sku,
    },
    /// A transfer between places, by its id.
    Intent {
        intent: Seq,
        /// What a person said of units that have come, or that will not.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
}

/// One movement of one SKU at one location, with the balances after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub sku: Sku,
    pub location: LocationId,
    pub kind: Kind,
    /// Units; below zero takes an earlier movement of the kind back, or counts down.
    pub quantity: Quantity,
    pub cause: Cause,
    /// When it happened, by the source's clock.
    pub event_at: Timestamp,
    pub after: Stock,
}

/// An entry as a SKU's row keeps it: with its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    pub seq: Seq,
    pub recorded_at: Timestamp,
    pub entry: Entry,
}

/// Books `quantity` units of `kind` on `stock`.
pub fn book(stock: Stock, kind: Kind, quantity: Quantity) -> Result<Stock, Overflow> {
    let minus = quantity.neg()?;
    let none = Stock::default();
    stock.plus(match kind {
        Kind::Sale => Stock { committed: quantity, ..none },
        Kind::Cancel => Stock { committed: minus, ..none },
        Kind::WriteOff | Kind::Ship => Stock { on_hand: minus, committed: minus, ..none },
        Kind::Return | Kind::Count | Kind::Adjustment | Kind::Correction | Kind::InCount => {
            Stock { on_hand: quantity, ..none }
        }
        Kind::Restock => Stock { reserved: minus, ..none },
        Kind::Discard => Stock { on_hand: minus, reserved: minus, ..none },
        Kind::ReturnQuarantined => Stock { on_hand: quantity, reserved: quantity, ..none },
        Kind::Baseline => Stock { on_hand: quantity, committed: quantity, ..none },
        Kind::TransferOut => Stock { on_hand: minus, ..none },
        Kind::Incoming => Stock { incoming: quantity, ..none },
        Kind::TransferIn => Stock { on_hand: quantity, incoming: minus, ..none },
        Kind::TransferLost => Stock { incoming: minus, ..none },
    })
}

/// Returns the movements between two states of a line's totals, lowering ones first. Zero movements are left out.
pub fn movements(from: Totals, to: Totals, returns: Returns) -> Result<Vec<(Kind, Quantity)>, Overflow> {
    let returned = match returns {
        Returns::Restock => Some(Kind::Return),
        Returns::Quarantine => Some(Kind::ReturnQuarantined),
        Returns::Ignore => None,
    };
    let mut all = vec![
        (Kind::Sale, to.ordered.sub(from.ordered)?),
        (Kind::WriteOff, to.written_off.sub(from.written_off)?),
        (Kind::Ship, to.fulfilled.sub(from.fulfilled)?),
        (Kind::Cancel, to.released.sub(from.released)?),
    ];
    if let Some(kind) = returned {
        all.push((kind, to.returned.sub(from.returned)?));
    }
    all.retain(|(_, quantity)| !quantity.is_zero());
    Ok(all)
}

/// Adapts movements to what became of earlier returns: a return that is taken back lowers what is reserved, and what a
/// person has put on sale since is taken off sale.
pub fn settled_returns(
    stock: Stock,
    mut moves: Vec<(Kind, Quantity)>,
) -> Result<Vec<(Kind, Quantity)>, Overflow> {
    let taken_back =
        |(kind, quantity): &(Kind, Quantity)| *kind == Kind::ReturnQuarantined && *quantity < Quantity::ZERO;
    if let Some(at) = moves.iter().position(taken_back) {
        let (_, quantity) = moves.remove(at);
        let reserved = quantity.max(stock.reserved.or_zero().neg()?);
        let parts = [(Kind::ReturnQuarantined, reserved), (Kind::Return, quantity.sub(reserved)?)];
        moves.extend(parts.into_iter().filter(|(_, part)| !part.is_zero()));
    }
    Ok(moves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(units: i64) -> Quantity {
        Quantity::new(units)
    }

    /// `on_hand committed reserved`, kind and units -> the same three after it.
    #[track_caller]
    fn check(before: [i64; 3], kind: Kind, units: i64, after: [i64; 3]) {
        let stock = |[on_hand, committed, reserved]: [i64; 3]| Stock {
            on_hand: q(on_hand),
            committed: q(committed),
            reserved: q(reserved),
            ..Stock::default()
        };
        assert_eq!(book(stock(before), kind, q(units)), Ok(stock(after)));
    }

    #[test]
    fn each_kind_moves_what_it_says() {
        check([10, 0, 0], Kind::Sale, 2, [10, 2, 0]);
        check([10, 2, 0], Kind::Cancel, 1, [10, 1, 0]);
        check([10, 2, 0], Kind::Ship, 2, [8, 0, 0]);
        check([10, 2, 0], Kind::WriteOff, 1, [9, 1, 0]);
        check([8, 0, 0], Kind::Return, 1, [9, 0, 0]);
        check([8, 0, 0], Kind::ReturnQuarantined, 1, [9, 0, 1]);
        check([9, 0, 1], Kind::Restock, 1, [9, 0, 0]);
        check([9, 0, 1], Kind::Discard, 1, [8, 0, 0]);
        check([8, 3, 0], Kind::Count, -3, [5, 3, 0]);
        check([8, 0, 0], Kind::Baseline, 2, [10, 2, 0]);
        check([8, 0, 0], Kind::Ship, -1, [9, 1, 0]); // a shipment taken back
        check([8, 1, 0], Kind::TransferOut, 3, [5, 1, 0]);
    }

    #[test]
    fn a_transfer_neither_makes_nor_loses_a_unit_and_what_is_on_the_way_is_not_for_sale() {
        let from = Stock { on_hand: q(8), ..Stock::default() };
        let to = Stock { on_hand: q(1), ..Stock::default() };
        let from = book(from, Kind::TransferOut, q(3)).expect("small");
        let on_the_way = book(to, Kind::Incoming, q(3)).expect("small");
        assert_eq!((from.on_hand, on_the_way.on_hand, on_the_way.incoming), (q(5), q(1), q(3)));
        assert_eq!(on_the_way.available(), Ok(q(1)));
        let part = book(on_the_way, Kind::TransferIn, q(2)).expect("small");
        assert_eq!((part.on_hand, part.incoming), (q(3), q(1)));
        let lost = book(part, Kind::TransferLost, q(1)).expect("small");
        assert_eq!((lost.on_hand, lost.incoming), (q(3), q(0)));
        // And back again, before anything has arrived.
        assert_eq!(book(from, Kind::TransferOut, q(-3)).map(|stock| stock.on_hand), Ok(q(8)));
        assert_eq!(book(on_the_way, Kind::Incoming, q(-3)), Ok(to));
    }

    /// Reserved units and a return that is taken back -> the movements that book it.
    #[track_caller]
    fn check_taken_back(reserved: i64, units: i64, want: &[(Kind, i64)]) {
        let stock = Stock { on_hand: q(9), committed: q(0), reserved: q(reserved), ..Stock::default() };
        let got = settled_returns(stock, vec![(Kind::ReturnQuarantined, q(units))]).expect("small");
        assert_eq!(got, want.iter().map(|(kind, units)| (*kind, q(*units))).collect::<Vec<_>>());
    }

    #[test]
    fn a_return_that_is_taken_back_never_makes_units_available() {
        use Kind::{Return, ReturnQuarantined};
        check_taken_back(2, 1, &[(ReturnQuarantined, 1)]);
        check_taken_back(2, -2, &[(ReturnQuarantined, -2)]);
        check_taken_back(1, -2, &[(ReturnQuarantined, -1), (Return, -1)]);
        check_taken_back(0, -2, &[(Return, -2)]);
    }

    #[test]
    fn an_overflow_is_an_error_and_not_a_wrong_balance() {
        let stock = Stock { on_hand: q(i64::MAX), ..Stock::default() };
        assert_eq!(book(stock, Kind::Return, q(1)), Err(Overflow));
    }

    #[test]
    fn an_order_that_has_ended_nets_to_what_left_the_shelf() {
        let end =
            Totals { ordered: q(5), released: q(1), written_off: q(1), fulfilled: q(3), returned: q(1) };
        let mut stock = Stock { on_hand: q(10), ..Stock::default() };
        for (kind, quantity) in movements(Totals::default(), end, Returns::Restock).expect("small") {
            stock = book(stock, kind, quantity).expect("small");
        }
        // 10 less 1 written off and 3 shipped, plus 1 that came back; nothing is promised any more.
        assert_eq!(stock, Stock { on_hand: q(7), ..Stock::default() });
    }
}
