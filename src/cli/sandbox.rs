//! `evenkeel sandbox`: a simulated Shopify, Amazon and ERP on this machine.

use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Failure, failure::Kind, print},
    sandbox::{self, FaultSpec, Options},
};

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// A TOML file with the sandbox's options; docs/SANDBOX.md tells them.
    #[arg(long, value_name = "FILE")]
    options: Option<PathBuf>,
    /// Drives catalogue, shoppers, delays and faults.
    #[arg(long)]
    seed: Option<u64>,
    /// How many SKUs there are.
    #[arg(long)]
    skus: Option<usize>,
    /// Shoppers per second.
    #[arg(long)]
    rate: Option<f64>,
    /// Where webhooks are sent.
    #[arg(long, value_name = "URL")]
    webhooks: Option<url::Url>,
    /// A fault from the start, such as `shopify-errors=5%` or `amazon-outage=20s`. May be given again.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultSpec>,
}

pub(super) fn run(args: &SandboxArgs) -> Result<(), Failure> {
    let mut options = match &args.options {
        None => Options::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Failure::new(Kind::Config, format!("cannot read `{}`: {e}", path.display())))?;
            toml::from_str(&text)
                .map_err(|e| Failure::new(Kind::Config, format!("{}: {e}", path.display())))?
        }
    };
    options.seed = args.seed.unwrap_or(options.seed);
    options.catalogue.skus = args.skus.unwrap_or(options.catalogue.skus);
    options.shoppers.per_second = args.rate.unwrap_or(options.shoppers.per_second);
    options.shopify.webhook_url = args.webhooks.clone().or(options.shopify.webhook_url);
    options.faults.extend(args.faults.iter().cloned());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        super::run::stop_on_signals(shutdown.clone())?;
        let told = sandbox::run(options, shutdown, |at| {
            let addresses = serde_json::json!({
                "shopify": at.shopify.to_string(),
                "amazon": at.amazon.to_string(),
                "erp": at.erp.to_string(),
                "control": at.control.to_string(),
            });
            print::line(&addresses.to_string());
        });
        told.await.map_err(|error| Failure::new(Kind::Failed, anyhow::Error::from(error).to_string()))
    })
}
