//! Everything that the sandbox knows, behind one lock, and what will happen in it by itself.
//!
//! Requests, shoppers and the control API all go through [`Shared::with`], so each sees the world between two whole
//! changes. Nothing waits while it holds the lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::books::{Books, Cause, Channel};
use super::catalogue::Catalogue;
use super::clock::Clock;
use super::dice::Dice;
use super::faults::{Faults, System};
use super::options::Options;
use super::shoppers::{self, Shoppers};
use super::{amazon, erp, people, queue, shopify};

pub(super) struct World {
    pub(super) catalogue: Catalogue,
    pub(super) books: Books,
    pub(super) shopify: shopify::Store,
    pub(super) amazon: amazon::Store,
    pub(super) erp: erp::Database,
    pub(super) queue: queue::Store,
    pub(super) faults: Faults,
    pub(super) shoppers: Shoppers,
    pub(super) options: Options,
    pub(super) agenda: Agenda,
    /// For delays and ids.
    pub(super) dice: Dice,
}

/// Something that will happen by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A submitted quantity goes live on a listing.
    AmazonLands {
        listing: usize,
    },
    /// A feed is begun with, or is done.
    AmazonWorks {
        feed: usize,
        /// How long it takes once it is begun with.
        rest_ms: i64,
    },
    /// An order's payment is through: `PENDING` becomes `UNSHIPPED`.
    AmazonOpens {
        order: usize,
    },
    RivalWrites {
        on: System,
    },
    ShopperComes,
    /// A shopper or the merchant does the next thing with an order.
    NextStep {
        channel: Channel,
        order: usize,
    },
}

impl Event {
    fn ends(self) -> bool {
        !matches!(self, Event::RivalWrites { .. })
    }
}

#[derive(Default)]
pub(super) struct Agenda {
    due: BTreeMap<(i64, u64), Event>,
    planned: u64,
    /// Events to come, without those that never end.
    pub(super) busy: usize,
}

impl Agenda {
    pub(super) fn plan(&mut self, at_ms: i64, event: Event) {
        self.planned += 1;
        self.busy += usize::from(event.ends());
        self.due.insert((at_ms, self.planned), event);
    }

    pub(super) fn next_ms(&self) -> Option<i64> {
        self.due.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    fn take_due(&mut self, now_ms: i64) -> Option<(i64, Event)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now_ms)?;
        let ((at_ms, _), event) = entry.remove_entry();
        self.busy -= usize::from(event.ends());
        Some((at_ms, event))
    }
}

impl World {
    pub(super) fn new(options: &Options, now_ms: i64) -> World {
        let catalogue = Catalogue::generate(&options.catalogue, options.seed);
        let mut world = World {
            books: Books::new(catalogue.skus.iter().map(|sku| sku.openings.as_slice())),
            shopify: shopify::Store::new(&catalogue, &options.shopify, now_ms),
            amazon: amazon::Store::new(&catalogue, &options.amazon, now_ms),
            erp: erp::Database::new(&catalogue, now_ms),
            queue: queue::Store::new(&options.queue, options.seed),
            faults: Faults::new(options.seed),
            shoppers: Shoppers::new(&options.shoppers, options.seed),
            options: options.clone(),
            agenda: Agenda::default(),
            dice: Dice::new(options.seed, 3),
            catalogue,
        };
        for sku in 0..world.catalogue.skus.len() {
            for channel in Channel::ALL {
                world.show(channel, sku, Cause::Opening, now_ms);
            }
        }
        for fault in &options.faults {
            world.apply_fault(fault, now_ms);
        }
        world
    }

    /// How many places the merchant has.
    pub(super) fn places(&self) -> usize {
        self.options.catalogue.places
    }

    /// Notes in the books what a channel shows of a SKU now. They hold no quantity of what is made of SKUs.
    pub(super) fn show(&mut self, channel: Channel, sku: usize, cause: Cause, now_ms: i64) {
        if sku >= self.catalogue.skus.len() {
            return;
        }
        let shown = match channel {
            Channel::Shopify => self.shopify.available(sku),
            Channel::Amazon => self.amazon.live(sku),
            Channel::Erp => self.erp.levels(sku, &self.erp.warehouses()).available,
        };
        self.books.show(channel, sku, shown, cause, now_ms);
    }

    /// Returns the SKU that a fault names and that there is not.
    pub(super) fn unknown_sku<'a>(&self, fault: &'a super::FaultSpec) -> Option<&'a str> {
        if let super::FaultSpec::Poison { sku: Some(sku), .. } | super::FaultSpec::Rush { sku: Some(sku) } =
            fault
        {
            return self.catalogue.find(sku).is_none().then_some(sku.as_str());
        }
        None
    }

    pub(super) fn apply_fault(&mut self, fault: &super::FaultSpec, now_ms: i64) {
        let before: Vec<_> = System::ALL.map(|on| self.faults.rival_every_ms(on)).into();
        self.faults.apply(fault, now_ms);
        for (on, before) in System::ALL.into_iter().zip(before) {
            let every = self.faults.rival_every_ms(on);
            if let (None, Some(every)) = (before, every) {
                self.agenda.plan(now_ms + signed(every), Event::RivalWrites { on });
            }
        }
    }

    /// Puts what Amazon has to tell into the queue. Returns whether there was anything.
    fn publish(&mut self, now_ms: i64) -> bool {
        let told = self.amazon.take_notifications();
        for body in &told {
            self.queue.publish(body, self.faults.webhooks, now_ms);
        }
        !told.is_empty()
    }

    /// Lets everything happen that is due.
    fn advance(&mut self, now_ms: i64) {
        while let Some((at_ms, event)) = self.agenda.take_due(now_ms) {
            match event {
                Event::AmazonLands { listing } => amazon::land(self, listing, at_ms),
                Event::AmazonWorks { feed, rest_ms } => amazon::work(self, feed, rest_ms, at_ms),
                Event::AmazonOpens { order } => self.amazon.open(order, at_ms),
                Event::RivalWrites { on } => {
                    if let Some(every) = self.faults.rival_every_ms(on) {
                        people::rival_writes(self, on, at_ms);
                        self.agenda.plan(at_ms + signed(every), Event::RivalWrites { on });
                    }
                }
                Event::ShopperComes => shoppers::visit(self, at_ms),
                Event::NextStep { channel, order } => shoppers::next_step(self, channel, order, at_ms),
            }
        }
    }
}

/// The world, its clock and what wakes the tasks that serve it.
pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) clock: Clock,
    pub(super) options: Options,
    agenda_changed: Notify,
    /// Rung when a webhook may be waiting to be sent.
    pub(super) mail: Notify,
    /// Rung when a message has come into the queue.
    pub(super) queued: Notify,
    pub(super) shutdown: CancellationToken,
}

impl Shared {
    pub(super) fn new(options: Options, shutdown: CancellationToken) -> Shared {
        let clock = Clock::new();
        let world = Mutex::new(World::new(&options, clock.now_ms()));
        let (agenda_changed, mail, queued) = (Notify::new(), Notify::new(), Notify::new());
        Shared { world, clock, options, agenda_changed, mail, queued, shutdown }
    }

    /// Brings the world up to the present and lets `act` look at it and change it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut World, i64) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        world.advance(now_ms);
        let next_ms = world.agenda.next_ms();
        let answer = act(&mut world, now_ms);
        if world.agenda.next_ms() != next_ms {
            self.agenda_changed.notify_one();
        }
        if world.publish(now_ms) {
            self.queued.notify_waiters();
        }
        if world.shopify.mail_waiting() {
            self.mail.notify_one();
        }
        answer
    }

    /// Makes what is planned happen on time also when nobody asks.
    pub(super) async fn keep_agenda(&self) {
        loop {
            let next_ms = self.with(|world, _| world.agenda.next_ms());
            let due = async {
                match next_ms {
                    Some(ms) => sleep_until(self.clock.instant(ms)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.agenda_changed.notified() => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }
}

/// Durations are small; they fit a signed millisecond count.
pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX / 4)
}
