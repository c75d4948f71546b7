//! `evenkeel sandbox`: a simulated Shopify, Amazon (with its queue) and ERP on this machine.

use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Failure, Global, failure::Kind, print},
    sandbox::{self, FaultSpec, Options},
};

/// What the file of options may hold.
const OPTIONS: &str = "\
The file of options may hold the following, and leave out any of it; docs/SANDBOX.md tells what each means and its default.
Ranges are written `{ min = 5, max = 40 }`.

  seed, faults
  [listen]     shopify, amazon, erp, queue, control
  [catalogue]  skus, codes, places, opening, renamed_share, fba_twins, bundles, sets
  [shopify]    shop, access_token, client_id, client_secret, other_access_token, token_secs, webhook_url, webhook_retry_scale,
               webhook_delay_ms, write_ms, bulk_ms, bucket, restore_per_second
  [amazon]     seller_id, marketplace_id, client_id, client_secret, refresh_token, token_secs, visibility_ms,
               order_lag_ms, pending_ms, rate_scale, cancelled_zeroed_share, subscribed, report_ms,
               report_kept_ms, report_fatal_share, report_gzip, report_language, report_locale_ignored,
               feed_ms
  [erp]        database, key
  [queue]      access_key_id, secret_access_key, delay_ms, hidden_scale, messages_max
  [shoppers]   per_second, orders, amazon_share, quantity_max, lines_max, cancelled_share, fulfilled_share,
               returned_share, next_step_ms";

#[derive(Debug, Args)]
#[command(after_long_help = OPTIONS)]
pub(super) struct SandboxArgs {
    /// A TOML file with the sandbox's options: `--help` names them, docs/SANDBOX.md tells what they mean.
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

pub(super) fn run(global: &Global, args: &SandboxArgs) -> Result<(), Failure> {
    let options = options(args).map_err(|failure| failure.as_json(global.json))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(serve(options));
    // A catalogue that is still being made is not waited for.
    runtime.shutdown_background();
    served.map_err(|failure| failure.as_json(global.json))
}

/// Reads the file of options, and puts what was said on the command line over it.
fn options(args: &SandboxArgs) -> Result<Options, Failure> {
    let bad = |error: String| Failure::new(Kind::Config, error).next("docs/SANDBOX.md tells every option");
    let mut options = match &args.options {
        None => Options::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| bad(format!("cannot read `{}`: {error}", path.display())))?;
            toml::from_str(&text).map_err(|error| bad(format!("{}: {error}", path.display())))?
        }
    };
    options.seed = args.seed.unwrap_or(options.seed);
    options.catalogue.skus = args.skus.unwrap_or(options.catalogue.skus);
    options.shoppers.per_second = args.rate.unwrap_or(options.shoppers.per_second);
    options.shopify.webhook_url = args.webhooks.clone().or(options.shopify.webhook_url);
    options.faults.extend(args.faults.iter().cloned());
    Ok(options)
}

async fn serve(options: Options) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    super::run::stop_on_signals(shutdown.clone())?;
    let ended = sandbox::run(options, shutdown, |at| {
        let addresses = serde_json::json!({
            "shopify": at.shopify.to_string(),
            "amazon": at.amazon.to_string(),
            "erp": at.erp.to_string(),
            "queue": at.queue.to_string(),
            "control": at.control.to_string(),
        });
        print::line(&addresses.to_string());
    });
    ended.await.map_err(|error| {
        let (kind, next) = match &error {
            sandbox::Error::NotLoopback { .. }
            | sandbox::Error::Option { .. }
            | sandbox::Error::Unknown { .. } => (Kind::Config, "docs/SANDBOX.md tells every option"),
            sandbox::Error::Listen { .. } | sandbox::Error::Client(_) => {
                (Kind::Failed, "name other addresses in the file of options; see docs/SANDBOX.md")
            }
            sandbox::Error::NotMade => (Kind::Failed, "ask for fewer SKUs with --skus"),
        };
        Failure::of(kind, &error).next(next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_option_of_the_file() {
        let text = include_str!("../../docs/SANDBOX.md");
        let options =
            text.split("## Options").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("it is there");
        let rows = options.lines().filter(|line| line.starts_with("| `"));
        let keys = rows.filter_map(|row| row.split('|').nth(1));
        let keys: Vec<&str> = keys
            .flat_map(|keys| keys.split('`'))
            .filter(|key| key.starts_with(char::is_alphabetic))
            .collect();
        assert!(keys.len() > 40, "{keys:?}");
        for key in keys {
            assert!(
                OPTIONS.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == key),
                "{key}"
            );
        }
    }
}
