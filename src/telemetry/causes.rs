//! An error with all that caused it, on one line.

use std::error::Error;

/// Returns what an error says, and behind it what each of its causes says. What a message quotes already is not repeated.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Told {
        #[error("cannot open `x`")]
        Bare(#[source] std::io::Error),
        #[error("cannot open `x`: {0}")]
        Quoting(#[source] std::io::Error),
        #[error("the store cannot be used")]
        Above(#[source] Box<Told>),
    }

    #[test]
    fn every_cause_is_told_once() {
        let io = || std::io::Error::other("no such thing");
        for (error, wanted) in [
            (Told::Bare(io()), "cannot open `x`: no such thing"),
            (Told::Quoting(io()), "cannot open `x`: no such thing"),
            (
                Told::Above(Box::new(Told::Bare(io()))),
                "the store cannot be used: cannot open `x`: no such thing",
            ),
        ] {
            assert_eq!(causes(&error), wanted);
        }
    }
}
