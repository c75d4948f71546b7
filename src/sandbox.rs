//! A shop, a marketplace with its queue of notifications, and an ERP on this machine, with shoppers, faults, and books that know the truth.
//!
//! The systems speak the real protocols over HTTP, well enough for the official clients; they share no code with
//! the daemon's connectors and import nothing of this crate, so that an error cannot hide by being made on both sides.
//! Only loopback addresses are served and called.
//!
//! [`world`] holds everything behind one lock; [`shopify`], [`amazon`], [`erp`] and [`queue`] serve it; [`people`] and [`shoppers`]
//! act in it; [`books`] judge; [`control`] lets a test or a demonstration look and meddle.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod amazon;
mod books;
mod bucket;
mod catalogue;
mod clock;
mod control;
mod dice;
mod erp;
mod faults;
mod options;
mod people;
mod queue;
mod serve;
mod shopify;
mod shoppers;
mod world;

pub use books::Channel;
pub use faults::{BadFault, FaultSpec, Poison, System, Target};
pub use options::{
    AmazonOptions, CatalogueOptions, ErpOptions, Language, Listen, Options, QueueOptions, ShopifyOptions,
    ShopperOptions, Span,
};

use world::Shared;

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{address}` is not a loopback address; the sandbox serves this machine only")]
    NotLoopback { address: String },
    #[error("sandbox option `{key}`: {reason}")]
    Option { key: &'static str, reason: &'static str },
    #[error(
        "fault `{fault}`: no SKU `{sku}` in the catalogue; `GET /books` at the control address shows them"
    )]
    Unknown { fault: String, sku: String },
    #[error("cannot listen on `{address}`")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the catalogue could not be made")]
    NotMade,
    #[error("cannot make an HTTP client for webhooks")]
    Client(#[source] reqwest::Error),
}

/// Where the systems of a running sandbox listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub shopify: SocketAddr,
    pub amazon: SocketAddr,
    pub erp: SocketAddr,
    pub queue: SocketAddr,
    pub control: SocketAddr,
}

pub struct Sandbox;

/// A sandbox that serves; it stops when this is dropped.
pub struct Running {
    addresses: Addresses,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Sandbox {
    /// Starts all systems in the current runtime.
    pub async fn start(options: Options) -> Result<Running, Error> {
        options.check()?;
        let (shopify, shopify_at) = serve::bind(options.listen.shopify).await?;
        let (amazon, amazon_at) = serve::bind(options.listen.amazon).await?;
        let (erp, erp_at) = serve::bind(options.listen.erp).await?;
        let (queue, queue_at) = serve::bind(options.listen.queue).await?;
        let (control, control_at) = serve::bind(options.listen.control).await?;
        let addresses = Addresses {
            shopify: shopify_at,
            amazon: amazon_at,
            erp: erp_at,
            queue: queue_at,
            control: control_at,
        };
        let shutdown = CancellationToken::new();
        // A large catalogue takes its time, in which signals are to be heard.
        let stop = shutdown.clone();
        let made = tokio::task::spawn_blocking(move || Shared::new(options, stop)).await;
        let shared = Arc::new(made.map_err(|_| Error::NotMade)?);
        for fault in &shared.options.faults {
            if let Some(sku) = shared.with(|world, _| world.unknown_sku(fault)) {
                return Err(Error::Unknown { fault: fault.to_string(), sku: sku.to_owned() });
            }
        }
        let mailer = shopify::Mailer::new(Arc::clone(&shared))?;
        let with_faults = |router, manners| serve::with_faults(router, Arc::clone(&shared), manners);
        let mut tasks = JoinSet::new();
        for (listener, router) in [
            (shopify, with_faults(shopify::routes(Arc::clone(&shared)), shopify::MANNERS)),
            (amazon, with_faults(amazon::routes(Arc::clone(&shared)), amazon::MANNERS)),
            (erp, with_faults(erp::routes(Arc::clone(&shared)), erp::MANNERS)),
            (queue, with_faults(queue::routes(Arc::clone(&shared)), queue::MANNERS)),
            (control, control::routes(Arc::clone(&shared), addresses)),
        ] {
            tasks.spawn(serve::accept(listener, router, shutdown.clone()));
        }
        tasks.spawn(mailer.run());
        let (orders, per_second) = (shared.options.shoppers.orders, shared.options.shoppers.per_second);
        if per_second > 0.0 {
            let orders = orders.unwrap_or(u64::MAX);
            shared.with(|world, now_ms| shoppers::invite(world, orders, per_second, now_ms));
        }
        tasks.spawn(async move { shared.keep_agenda().await });
        Ok(Running { addresses, shutdown, tasks })
    }
}

impl Running {
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops accepting, lets what is under way finish, and returns when all is still.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Serves until the shutdown; `started` is told where.
pub async fn run(
    options: Options,
    shutdown: CancellationToken,
    started: impl FnOnce(Addresses),
) -> Result<(), Error> {
    let running = tokio::select! {
        running = Sandbox::start(options) => running?,
        () = shutdown.cancelled() => return Ok(()),
    };
    started(running.addresses());
    shutdown.cancelled().await;
    running.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests;
