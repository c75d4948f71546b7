//! Where log lines go, and in which form.

use std::{
    fs,
    io::{self, IsTerminal},
    os::unix::fs::MetadataExt,
};

use tracing::Subscriber;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan, reload,
};

use crate::config::{Env, Log, LogFormat};

/// Said at every level by crates that have nothing to say to an operator.
const QUIET: &str = "tokio_cron_scheduler=warn";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("log level `{level}` is not understood")]
    Level {
        level: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("journald cannot be reached; set `log.format` to `text` or `json`")]
    Journald(#[source] io::Error),
    #[error("logging is set up already")]
    Twice,
}

/// The running log. Dropping it leaves logging as it is.
#[derive(Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    /// `RUST_LOG` was set, and stays in force.
    fixed: bool,
}

impl Logs {
    /// Starts logging to standard error or journald, for the whole process. `RUST_LOG` goes before the configured
    /// level.
    pub fn start(log: &Log, env: &Env) -> Result<Logs, Error> {
        let asked = env.get("RUST_LOG").filter(|level| !level.is_empty());
        let (filter, handle) = reload::Layer::new(filter(asked.unwrap_or(&log.level))?);
        let stderr = io::stderr();
        let under_journald = env.get("JOURNAL_STREAM").is_some_and(|stream| is_stderr(stream));
        let output = Output::choose(log.format, under_journald, stderr.is_terminal());
        let colour = env.get("NO_COLOR").is_none_or(String::is_empty);
        let lines = output.layer(io::stderr, colour)?;
        let subscriber = tracing_subscriber::registry().with(filter).with(lines);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::Twice)?;
        Ok(Logs { filter: handle, fixed: asked.is_some() })
    }

    /// Changes the level while running, unless `RUST_LOG` has set it.
    pub fn set_level(&self, level: &str) -> Result<(), Error> {
        if self.fixed {
            return Ok(());
        }
        let filter = filter(level)?;
        // It fails only if the subscriber is gone, and then there is nothing left to filter.
        self.filter.reload(filter).or(Ok(()))
    }
}

fn filter(level: &str) -> Result<EnvFilter, Error> {
    // Later directives win, so that a configured one for the same crate does.
    EnvFilter::builder()
        .parse(format!("{QUIET},{level}"))
        .map_err(|source| Error::Level { level: level.to_owned(), source })
}

/// Says whether standard error is the stream that systemd gave us as `JOURNAL_STREAM`, a device and an inode.
fn is_stderr(stream: &str) -> bool {
    fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    /// Text, coloured if it goes to a terminal and colour is wanted.
    Text {
        terminal: bool,
    },
    Json,
    Journald,
}

impl Output {
    fn choose(format: LogFormat, under_journald: bool, terminal: bool) -> Output {
        match format {
            LogFormat::Auto if under_journald => Output::Journald,
            LogFormat::Auto | LogFormat::Text => Output::Text { terminal },
            LogFormat::Json => Output::Json,
            LogFormat::Journald => Output::Journald,
        }
    }

    fn layer<S, W>(self, writer: W, colour: bool) -> Result<Box<dyn Layer<S> + Send + Sync>, Error>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let text = tracing_subscriber::fmt::layer().with_writer(writer);
        Ok(match self {
            Output::Text { terminal } => text.with_ansi(terminal && colour).boxed(),
            Output::Json => text.json().flatten_event(true).boxed(),
            Output::Journald => {
                let priorities = PriorityMappings {
                    info: Priority::Informational,
                    debug: Priority::Debug,
                    ..PriorityMappings::new()
                };
                let layer = tracing_journald::layer().map_err(Error::Journald)?;
                layer
                    .with_syslog_identifier("evenkeel".to_owned())
                    .with_field_prefix(Some("EVENKEEL".to_owned()))
                    .with_priority_mappings(priorities)
                    .boxed()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info, subscriber::with_default, warn};

    use super::*;

    #[test]
    fn the_form_follows_the_configuration_and_where_standard_error_goes() {
        use LogFormat::{Auto, Journald, Json, Text};
        for (format, under_journald, terminal, want) in [
            (Auto, true, false, Output::Journald),
            (Auto, false, true, Output::Text { terminal: true }),
            (Auto, false, false, Output::Text { terminal: false }),
            (Text, true, false, Output::Text { terminal: false }),
            (Json, true, true, Output::Json),
            (Journald, false, true, Output::Journald),
        ] {
            assert_eq!(Output::choose(format, under_journald, terminal), want, "{format:?}");
        }
    }

    #[test]
    fn journald_is_recognised_by_the_device_and_inode_of_standard_error() {
        let stderr = fs::metadata("/proc/self/fd/2").expect("standard error is open");
        assert!(is_stderr(&format!("{}:{}", stderr.dev(), stderr.ino())));
        assert!(!is_stderr(&format!("{}:{}", stderr.dev(), stderr.ino() + 1)));
        assert!(!is_stderr(""));
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic while writing").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            let bytes = self.0.lock().expect("no panic while writing");
            String::from_utf8(bytes.clone()).expect("log lines are text")
        }
    }

    /// Runs `log` with a subscriber of this form and level and returns what was written.
    fn written(output: Output, level: &str, log: impl FnOnce(&Logs)) -> String {
        let written = Written::default();
        let to = written.clone();
        let (filter, handle) = reload::Layer::new(filter(level).expect("a level"));
        let lines = output.layer(move || to.clone(), true).expect("no journald is asked for");
        let logs = Logs { filter: handle, fixed: false };
        with_default(tracing_subscriber::registry().with(filter).with(lines), || log(&logs));
        written.text()
    }

    #[test]
    fn json_holds_the_fields_beside_the_message() {
        let line =
            written(Output::Json, "info", |_| warn!(channel = "main", attempt = 3, "write not confirmed"));
        let line: serde_json::Value = serde_json::from_str(&line).expect("one JSON object");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "write not confirmed");
        assert_eq!(line["channel"], "main");
        assert_eq!(line["attempt"], 3);
    }

    #[test]
    fn text_is_plain_unless_it_goes_to_a_terminal() {
        let plain = written(Output::Text { terminal: false }, "info", |_| warn!(channel = "main", "stopped"));
        assert!(plain.contains("WARN") && plain.contains("stopped channel=\"main\""), "{plain}");
        assert!(!plain.contains('\u{1b}'), "{plain}");
        let coloured = written(Output::Text { terminal: true }, "info", |_| warn!("stopped"));
        assert!(coloured.contains('\u{1b}'), "{coloured}");
    }

    #[test]
    fn the_scheduler_is_quiet_and_the_level_can_be_changed_while_running() {
        let text = written(Output::Text { terminal: false }, "info", |logs| {
            info!(target: "tokio_cron_scheduler", "chatter");
            info!("first");
            logs.set_level("warn").expect("a level");
            info!("second");
            logs.set_level("info,tokio_cron_scheduler=info").expect("levels");
            info!(target: "tokio_cron_scheduler", "asked for");
        });
        assert!(text.contains("first") && text.contains("asked for"), "{text}");
        assert!(!text.contains("chatter") && !text.contains("second"), "{text}");
    }
}
