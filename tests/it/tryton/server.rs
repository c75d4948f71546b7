//! A real Tryton for tests: set up once by `tests/support/tryton/setup.sh`, then one copied database per server.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::support::set_up;

/// What `setup.sh` wrote down about the seeded database.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Facts {
    /// The key of a user with the rights that docs/CONNECTORS.md asks for.
    pub key: String,
    /// The key of a user who may only see stock.
    pub reader_key: String,
    /// The key of an administrator.
    pub admin_key: String,
    pub company: i64,
    /// The code of the party that web sales are booked on.
    pub customer_code: String,
    pub warehouse: i64,
    pub storage: i64,
    pub lost_found: i64,
    pub products: BTreeMap<String, i64>,
}

/// A running Tryton with a database of its own. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub base_url: String,
    pub facts: Facts,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = killed {
            eprintln!("Tryton could not be ended: {error}");
        }
    }
}

impl Server {
    /// Starts a Tryton with the opening stock. `None`, with a message, where this machine cannot run one; under
    /// `CI=true` that is a failure.
    pub(crate) fn start() -> Option<Server> {
        let home = home()?;
        for _ in 0..5 {
            if let Some(server) = Server::try_start(&home) {
                return Some(server);
            }
        }
        panic!("Tryton did not start on any of five ports");
    }

    /// Returns a server that all tests running at this moment share. They must use products of their own.
    pub(crate) fn shared() -> Option<Arc<Server>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Server::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// Starts a server on a free port; `None` if another process was quicker to take it.
    fn try_start(home: &Path) -> Option<Server> {
        let dir = TempDir::new().expect("a temporary directory can be made");
        let db = dir.path().join("db");
        fs::create_dir(&db).expect("the directory is fresh");
        fs::copy(home.join("template/lab.sqlite"), db.join("lab.sqlite")).expect("the set-up made it");
        let facts = fs::read(home.join("facts.json")).expect("the set-up made it");
        let facts: Facts = serde_json::from_slice(&facts).expect("the set-up writes these facts");

        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let address = free.expect("loopback has a free port");
        let conf = dir.path().join("trytond.conf");
        let text = format!(
            "[database]\nuri = sqlite://\npath = {}\n[web]\nlisten = {address}\n[cache]\nclean_timeout = 0\n",
            db.display()
        );
        fs::write(&conf, text).expect("the directory is ours");

        let mut child = Command::new(home.join("venv/bin/trytond"))
            .arg("-c")
            .arg(&conf)
            .args(["-d", "lab"])
            .env_remove("TRYTOND_CONFIG")
            .env_remove("TRYTOND_DATABASE_URI")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the set-up made the program");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        loop {
            let before = said.len();
            let read = log.read_line(&mut said).expect("the log is text");
            if read == 0 {
                let ended = child.wait().expect("it is our child");
                assert!(said.contains("in use"), "Tryton ended with {ended}:\n{said}");
                return None;
            }
            if said[before..].contains("Running on") {
                break;
            }
        }
        // A full pipe would stop the server.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Some(Server { child, base_url: format!("http://{address}"), facts, _dir: dir })
    }
}

/// Makes the set-up, once for this process, and returns its directory.
fn home() -> Option<PathBuf> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let dir = std::env::var_os("EVENKEEL_TRYTON_DIR").map(PathBuf::from);
    HOME.get_or_init(|| set_up("tryton", dir)).clone()
}
