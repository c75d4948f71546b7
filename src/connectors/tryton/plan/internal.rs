//! Internal shipments: units that are written off, found again, or taken off because they were not sent back.
//!
//! What is done stays done in Tryton, so that a write-off, or a return, that turns out to be none at this warehouse is
//! met by a shipment the other way. One that is not done yet is made smaller.

use std::collections::BTreeMap;

use crate::connectors::tryton::{
    books::{Internal, InternalState, Kind, Name, Sums},
    plan::{Button, Call, On, Plan, Step, Want, beyond, go},
};

impl Want {
    /// Returns how many units a person has added to what we told to be written off.
    fn lost_beyond(&self, sums: &Sums) -> i64 {
        beyond(self.told.most.written_off, sums.lost + sums.own.found)
    }

    /// Returns how many units a person has found beyond those that we told to be, so that less is off than we ever told.
    fn found_beyond(&self, sums: &Sums) -> i64 {
        (self.told.least.written_off.units() - (sums.lost - sums.own.lost)).max(0)
    }

    /// The same, of what came back.
    fn back_beyond(&self, sums: &Sums) -> i64 {
        beyond(self.told.most.returned, sums.announced + sums.own.gone)
    }

    fn gone_beyond(&self, sums: &Sums) -> i64 {
        (self.told.least.returned.units() - (sums.announced - sums.own.announced)).max(0)
    }

    /// Returns how many units too many the documents of a kind hold, so that they are taken out of one that is not done.
    /// Where a person has added some, none are: what is left would not show which are whose.
    fn too_many(&self, kind: Kind, sums: &Sums) -> i64 {
        match kind {
            Kind::WriteOff if self.lost_beyond(sums) > 0 => 0,
            Kind::WriteOff => sums.lost - self.written_off,
            Kind::Found if self.found_beyond(sums) > 0 => 0,
            Kind::Found => self.written_off - sums.lost,
            Kind::Gone if self.gone_beyond(sums) > 0 => 0,
            Kind::Gone => self.returned - sums.announced,
            Kind::Sale | Kind::Return | Kind::Undo => 0,
        }
    }

    /// Returns how many units are still to go, or to come back, by documents of a kind. Of what a person has cancelled, none
    /// went; and what a person has added is kept.
    pub(super) fn to_move(&self, kind: Kind, sums: &Sums) -> i64 {
        match kind {
            Kind::WriteOff => self.written_off - sums.lost - self.found_beyond(sums),
            Kind::Found => (sums.lost - self.lost_beyond(sums) - self.written_off).min(sums.off),
            Kind::Return => self.returned - sums.announced - self.gone_beyond(sums),
            Kind::Gone => (sums.announced - self.back_beyond(sums) - self.returned).min(sums.back),
            Kind::Sale | Kind::Undo => 0,
        }
    }
}

impl Plan<'_> {
    /// Takes units out of documents that are not done and hold too many. One of which nothing is left is cancelled; with
    /// its units still in it, that would be a person's doing, which is kept.
    pub(super) fn unneeded(&self) -> Option<Step> {
        self.books.internals.iter().filter(|internal| internal.is_open()).find_map(|internal| {
            let (mut calls, mut left) = (Vec::new(), 0);
            let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
            for goods in &internal.goods {
                let want = self.wants.get(&goods.product);
                let more = want.map_or(0, |w| w.too_many(internal.name.kind, &self.sums[&goods.product]));
                let before = taken.entry(goods.product).or_default();
                let units = goods.quantity.min(more - *before).max(0);
                *before += units;
                left += goods.quantity - units;
                if units > 0 {
                    calls.push(Call::Resize { id: goods.id, quantity: goods.quantity - units });
                }
            }
            let press = |button| Call::Press(On::Internal, internal.id, button);
            if !calls.is_empty() && internal.state != InternalState::Draft {
                // What is reserved cannot be changed.
                calls.insert(0, press(Button::Wait));
            }
            if left == 0 {
                calls.push(press(Button::Cancel));
            }
            go(calls)
        })
    }

    pub(super) fn missing_internal(&self) -> Option<Step> {
        [Kind::Found, Kind::Gone, Kind::WriteOff].into_iter().find_map(|kind| {
            let lines = self.missing(|want, sums| want.to_move(kind, sums));
            let name = Name { kind, sequence: self.sequence };
            self.create(name, &lines, || Call::CreateInternal { name, lines: lines.clone() })
        })
    }

    /// Finishes what is open. First what comes back, which Tryton never lacks.
    pub(super) fn internals(&self) -> Option<Step> {
        let open = self.books.internals.iter().filter(|internal| internal.is_open());
        let internal: &Internal = open.min_by_key(|internal| internal.name.kind != Kind::Found)?;
        let press = |button| Call::Press(On::Internal, internal.id, button);
        let all = [Button::Wait, Button::AssignTry, Button::Do].map(press);
        let made = match internal.state {
            InternalState::Waiting => 1,
            InternalState::Assigned => 2,
            InternalState::Draft
            | InternalState::Request
            | InternalState::Packed
            | InternalState::Shipped
            | InternalState::Done
            | InternalState::Cancelled => 0,
        };
        go(all[made..].to_vec())
    }
}
