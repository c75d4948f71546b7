//! Pages as a person sees them: in Chromium, driven by its own driver (the W3C's WebDriver protocol).

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    live::Home,
    support::{PATIENCE, World, number, set_up, text},
};

/// What Chromium needs to run where there is no screen, no other user and no network.
const ARGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A window of a browser, which is closed with it.
struct Window {
    session: String,
    http: reqwest::Client,
    _driver: Child,
    _profile: TempDir,
}

impl Window {
    async fn open() -> Window {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the driver can be run");
        let said = driver.stdout.take().expect("it is piped");
        let port = timeout(PATIENCE, port(said)).await.expect("the driver starts in time");
        let profile = tempfile::tempdir().expect("a directory");
        let mut args: Vec<String> = ARGS.map(str::to_owned).to_vec();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        let wants = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let (http, to) = (reqwest::Client::new(), format!("http://127.0.0.1:{port}/session"));
        let opened = ask(&http, &to, &json!({"capabilities": {"alwaysMatch": wants}})).await;
        let session = format!("{to}/{}", text(&opened["sessionId"]));
        Window { session, http, _driver: driver, _profile: profile }
    }

    async fn tell(&self, path: &str, body: Value) -> Value {
        ask(&self.http, &format!("{}/{path}", self.session), &body).await
    }

    /// Opens a file in a window so wide, in pixels.
    async fn show(&self, page: &Path, width: u32) {
        self.tell("window/rect", json!({"width": width, "height": 900})).await;
        self.tell("url", json!({"url": format!("file://{}", page.display())})).await;
    }

    /// Returns what a script returns that runs in the page.
    async fn run(&self, script: &str) -> Value {
        self.tell("execute/sync", json!({"script": script, "args": []})).await
    }

    /// Clicks on the first element that a selector of CSS finds.
    async fn click(&self, selector: &str) {
        let found = self.tell("element", json!({"using": "css selector", "value": selector})).await;
        let id = found.as_object().and_then(|found| found.values().next()).map(text).expect("an element");
        self.tell(&format!("element/{id}/click"), json!({})).await;
    }

    async fn close(self) {
        let closed = self.http.delete(&self.session).send().await.expect("the driver answers");
        assert!(closed.status().is_success(), "{closed:?}");
    }
}

/// Returns the port that the driver says it listens on.
async fn port(said: impl tokio::io::AsyncRead + Unpin) -> u16 {
    let mut lines = BufReader::new(said).lines();
    while let Some(line) = lines.next_line().await.expect("it says something") {
        if let Some((_, port)) = line.rsplit_once("started successfully on port ") {
            return port.trim_end_matches('.').parse().expect("a port");
        }
    }
    panic!("the driver has not started");
}

async fn ask(http: &reqwest::Client, to: &str, body: &Value) -> Value {
    let sent = timeout(PATIENCE, http.post(to).json(body).send()).await.expect("an answer in time");
    let answer: Value = sent.expect("the driver answers").json().await.expect("JSON");
    assert!(answer["value"]["error"].is_null(), "{to} {body}: {answer:#}");
    answer["value"].clone()
}

/// Texts of the diagram that leave it, or their box, or lie over one another.
const MISPLACED: &str = "
    const svg = document.querySelector('svg'), box = svg.viewBox.baseVal, wrong = [];
    const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBBox()]);
    for (const [told, at] of texts) {
        if (at.x < 0 || at.y < 0 || at.x + at.width > box.width || at.y + at.height > box.height) wrong.push(told);
    }
    texts.forEach(([told, a], n) => texts.slice(n + 1).forEach(([other, b]) => {
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        if (!apart) wrong.push(told + ' / ' + other);
    }));
    const boxes = [...svg.querySelectorAll('rect')].map(rect => rect.getBBox());
    for (const [told, a] of texts) for (const b of boxes) {
        const within = a.x >= b.x && a.x + a.width <= b.x + b.width;
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        if (!apart && !within) wrong.push(told + ' / a box');
    }
    return wrong;";

/// The numbers of the table of catalogues: a row for each channel, its name first.
const CATALOGUES: &str = "
    const after = [...document.querySelectorAll('h2')].find(head => head.textContent === 'Catalogues');
    let table = after;
    while (table.tagName !== 'TABLE') table = table.nextElementSibling;
    return [...table.rows].slice(1).map(row => [...row.cells].map(cell => cell.innerText.trim()));";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_an_audit_needs_nothing_else_and_is_readable_on_wide_and_narrow_screens() {
    if set_up("browser", None).is_none() {
        return;
    }
    let world = World::start(|options| options.catalogue.renamed_share = 0.5).await;
    let home = Home::new(&world).await;
    world.post("edit-quantity", json!({"channel": "shopify", "sku": "TSHIRT-BL-M", "quantity": 500})).await;
    let page = home.path("audit.html");
    let told = home.ask(&["audit", "--html", &page.display().to_string()]).await.json();
    let window = Window::open().await;

    for width in [1_200, 600] {
        window.show(&page, width).await;
        let wide = window.run("return [document.documentElement.scrollWidth, window.innerWidth]").await;
        assert!(
            number(&wide[0]) <= number(&wide[1]),
            "at {width}: what does not fit, scrolls by itself: {wide}"
        );
        assert_eq!(window.run(MISPLACED).await, json!([]), "at {width}");
    }
    let loaded = window.run("return performance.getEntriesByType('resource').map(found => found.name)").await;
    assert_eq!(loaded, json!([]), "the page needs nothing besides itself");
    let rows = window.run(CATALOGUES).await;
    let channels = told["survey"]["channels"].as_array().expect("a list");
    let want: Vec<Value> = channels
        .iter()
        .map(|found| {
            let (items, unmatched) = (number(&found["items"]), number(&found["unmatched"]));
            let numbers = [items, items - unmatched, unmatched].map(|n| n.to_string());
            json!([found["channel"], numbers[0], numbers[1], numbers[2]])
        })
        .collect();
    let first: Vec<Value> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| json!(row.as_array().expect("cells").iter().take(4).collect::<Vec<_>>()))
        .collect();
    assert_eq!(first, want, "{rows:#}");

    let differ = "[...document.querySelectorAll('details:not([open])')].find(of => \
                  of.textContent.includes('another quantity') && of.textContent.includes('TSHIRT-BL-M'))";
    window.run(&format!("{differ}.dataset.was = 'closed'")).await;
    window.click("details[data-was] > summary").await;
    let open = window.run("return document.querySelector('details[data-was]').open").await;
    assert_eq!(open, json!(true));
    let shown = window.run("return document.querySelector('details[data-was] table').innerText").await;
    assert!(text(&shown).contains("TSHIRT-BL-M"), "{shown}");

    let said = window.tell("se/log", json!({"type": "browser"})).await;
    assert_eq!(said, json!([]), "the browser has nothing to complain about");
    window.close().await;
}
