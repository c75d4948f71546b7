//! What goes wrong, as an answer: a status, what happened, and what to do next.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    core::Refused,
    web::{Failure, view::Problem},
};

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub problem: Problem,
}

impl Answer {
    pub(super) fn new(status: StatusCode, error: impl ToString, next: &str) -> Answer {
        Answer { status, problem: Problem { error: error.to_string(), next: next.to_owned() } }
    }

    /// The request itself is wrong.
    pub(super) fn bad(error: impl ToString, next: &str) -> Answer {
        Answer::new(StatusCode::BAD_REQUEST, error, next)
    }

    pub(super) fn missing(error: impl ToString, next: &str) -> Answer {
        Answer::new(StatusCode::NOT_FOUND, error, next)
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Answer {
        let (status, next) = match &failure {
            Failure::Refused(refused) => of_refused(refused),
            Failure::Busy => (StatusCode::SERVICE_UNAVAILABLE, "try again in a moment"),
            Failure::NoRoom | Failure::Closed => (
                StatusCode::INSUFFICIENT_STORAGE,
                "make room on the store's disk: docs/OPERATIONS.md#full-disk; the daemon goes on by itself",
            ),
            Failure::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                "wait until the daemon is up again, or see its log for why it ended",
            ),
            Failure::Conflict { next, .. } => (StatusCode::CONFLICT, next.as_str()),
            Failure::Channel { .. } => (
                StatusCode::BAD_GATEWAY,
                "see that the channel is up and its credentials are good: `evenkeel check --online`",
            ),
            Failure::Config(_) => (
                StatusCode::PRECONDITION_FAILED,
                "mend the lines named; docs/CONFIG.md tells every key; what was in effect stays so",
            ),
            Failure::Forbidden { next, .. } => (StatusCode::FORBIDDEN, next.as_str()),
            Failure::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "see the daemon's log for more"),
        };
        Answer::new(status, &failure, next)
    }
}

/// Says what helps where a command was refused as things stand, or because something does not exist, if nothing better is
/// known.
pub(super) fn helped(failure: Failure, next: &str) -> Answer {
    use Refused::{NotSo, Nothing, Unknown};
    let own = matches!(failure, Failure::Refused(Nothing(_) | NotSo(_) | Unknown(_)));
    let answer = Answer::from(failure);
    if own { Answer::new(answer.status, answer.problem.error, next) } else { answer }
}

fn of_refused(refused: &Refused) -> (StatusCode, &'static str) {
    match refused {
        Refused::NotConfigured => {
            (StatusCode::SERVICE_UNAVAILABLE, "the daemon is still starting; try again in a moment")
        }
        Refused::NoChannel(_) => (StatusCode::NOT_FOUND, "`evenkeel status` lists the channels"),
        Refused::NotInitialised => (
            StatusCode::CONFLICT,
            "take the opening stock over first: `evenkeel init --from CHANNEL`, or `evenkeel count import FILE --opening`",
        ),
        Refused::Nothing(_) => {
            (StatusCode::NOT_FOUND, "see that the name is right; it may also have been dealt with")
        }
        Refused::Unknown(_) => (
            StatusCode::NOT_FOUND,
            "nothing was changed; `evenkeel status` lists the channels, write a SKU as `evenkeel sku` takes it",
        ),
        Refused::NotSo(_) => (StatusCode::CONFLICT, "`evenkeel sku SKU` shows how things stand"),
        Refused::Wrong(_) => (StatusCode::CONFLICT, "nothing was changed; mend what is named, and ask again"),
        Refused::Braked(_) => (
            StatusCode::CONFLICT,
            "nothing was changed; look at it with --dry-run, and do it all the same with --yes",
        ),
        Refused::TooMany { .. } | Refused::TooLarge { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "do it in several parts")
        }
        Refused::OutOfRange(_) => (StatusCode::UNPROCESSABLE_ENTITY, "mend the quantity where it comes from"),
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}
