//! Requests that are carried out once, however often they are made: an answer may be lost.

use clap::Args;

use crate::{
    cli::Failure,
    model::{DeliveryId, shell},
};

#[derive(Debug, Args)]
pub(super) struct Once {
    /// Names the request. One that was carried out is not carried out again under the same name, for two days.
    /// Left out, each call is a request of its own.
    #[arg(long = "request", value_name = "ID", value_parser = request)]
    id: Option<DeliveryId>,
}

fn request(text: &str) -> Result<DeliveryId, String> {
    text.parse().map_err(|_| {
        "must be 1 to 128 bytes, without control characters and without white space around them".to_owned()
    })
}

impl Once {
    /// Returns the request's name: the one given, or a new one.
    pub(super) fn id(&self) -> DeliveryId {
        self.id.clone().unwrap_or_else(|| {
            DeliveryId::new(&format!("{:032x}", rand::random::<u128>()))
                .expect("hexadecimal digits are an id")
        })
    }

    /// Says how to repeat the request where it is not known what became of it. `more`: what else the repeat must say.
    pub(super) fn lost(&self, failed: Failure, id: &DeliveryId, more: &str) -> Failure {
        if !failed.is_unanswered() {
            return failed;
        }
        failed.next(format!(
            "see that the daemon runs (`evenkeel status`), and repeat the command with `--request {}{more}`: it is done \
             once, whatever became of this try",
            shell(id)
        ))
    }
}
