//! A server in front of a system, that strikes some of the requests and hands on the others.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::{self, Display, Formatter},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::Response,
};
use futures::stream;
use http_body_util::BodyExt as _;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub(crate) type Edit = Arc<dyn Fn(&Asked, &mut Whole) + Send + Sync>;
type Which = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;

/// What becomes of a request.
#[derive(Clone)]
pub(crate) enum Strike {
    /// It is answered so, and goes no further.
    Says(u16, Vec<(&'static str, String)>, Bytes),
    /// The connection ends without an answer, and the system has not heard of it.
    Cut,
    /// The system does it; the connection ends without an answer.
    Lost,
    /// The system does it; the connection ends in the middle of the answer.
    Half,
    /// The system has not heard of it; no answer comes.
    Silence,
    /// An answer begins and goes on for ever, a byte at a time.
    Trickle,
    /// An answer goes on for ever as fast as it is taken.
    Endless,
    /// The system's own answer, changed.
    Edited(Edit),
    /// The first answer to a request of this kind, changed; to all later ones the same again.
    Frozen(Edit, fn(&Asked) -> String),
}

struct Rule {
    which: Which,
    /// How many such requests pass before.
    skip: usize,
    strike: Strike,
}

struct Shared {
    system: SocketAddr,
    client: reqwest::Client,
    rule: Mutex<Option<Rule>>,
    asked: Mutex<Vec<Asked>>,
    frozen: Mutex<BTreeMap<String, Whole>>,
    /// How many bytes of endless answers were taken.
    taken: Arc<AtomicU64>,
}

/// A running front; it stops with its runtime.
pub(crate) struct Front {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Front {
    pub(crate) async fn start(system: SocketAddr) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            system,
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            rule: Mutex::default(),
            asked: Mutex::default(),
            frozen: Mutex::default(),
            taken: Arc::default(),
        });
        let all = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&all);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Front { address, shared }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, such requests are struck, but for the first `skip`.
    pub(crate) fn strike(
        &self,
        which: impl Fn(&Asked) -> bool + Send + Sync + 'static,
        skip: usize,
        strike: Strike,
    ) {
        self.shared.frozen.lock().expect("not poisoned").clear();
        let rule = Rule { which: Arc::new(which), skip, strike };
        *self.shared.rule.lock().expect("not poisoned") = Some(rule);
    }

    /// From now on, all pass.
    pub(crate) fn pass(&self) {
        *self.shared.rule.lock().expect("not poisoned") = None;
    }

    /// Returns the requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().expect("not poisoned"))
    }

    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Returns what becomes of a request.
    fn fate(&self, asked: &Asked) -> Option<Strike> {
        let mut rule = self.rule.lock().expect("not poisoned");
        let rule = rule.as_mut().filter(|rule| (rule.which)(asked))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        Some(rule.strike.clone())
    }

    /// Hands a request on.
    async fn forward(&self, asked: &Asked) -> Whole {
        let url = format!("http://{}{}", self.system, asked.target);
        let mut headers = asked.headers.clone();
        for name in [header::HOST, header::CONTENT_LENGTH, header::ACCEPT_ENCODING, header::CONNECTION] {
            headers.remove(name);
        }
        let request = self.client.request(asked.method.clone(), url).headers(headers);
        let answer = request.body(asked.body.clone()).send().await.expect("the system answers");
        let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        Whole { status, headers, body: answer.bytes().await.expect("the system answers whole") }
    }

    async fn frozen(&self, asked: &Asked, edit: &Edit, kind: String) -> Whole {
        if let Some(first) = self.frozen.lock().expect("not poisoned").get(&kind) {
            return first.clone();
        }
        let mut whole = self.forward(asked).await;
        edit(asked, &mut whole);
        self.frozen.lock().expect("not poisoned").insert(kind, whole.clone());
        whole
    }
}

/// Ends a connection without a further byte.
#[derive(Debug)]
struct CutOff;

impl Display for CutOff {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut on purpose")
    }
}

impl std::error::Error for CutOff {}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response, CutOff> {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        method: parts.method,
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: body.collect().await.map_err(|_| CutOff)?.to_bytes(),
    };
    let fate = shared.fate(&asked);
    shared.asked.lock().expect("not poisoned").push(asked.clone());
    let Some(strike) = fate else { return Ok(whole(shared.forward(&asked).await)) };
    Ok(match strike {
        Strike::Says(status, headers, body) => {
            let value = |text: &str| HeaderValue::from_str(text).expect("a header");
            let headers = headers.iter().map(|(name, text)| (HeaderName::from_static(name), value(text)));
            whole(Whole { status, headers: headers.collect(), body })
        }
        Strike::Cut => return Err(CutOff),
        Strike::Lost => {
            shared.forward(&asked).await;
            return Err(CutOff);
        }
        Strike::Half => {
            let answer = shared.forward(&asked).await;
            let half = answer.body.slice(..answer.body.len() / 2);
            let parts = [Ok(half), Err(io::Error::other(CutOff))];
            with_body(answer.status, answer.headers, Body::from_stream(stream::iter(parts)))
        }
        Strike::Silence => std::future::pending().await,
        Strike::Trickle => {
            let bytes = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
            });
            with_body(200, HeaderMap::new(), Body::from_stream(bytes))
        }
        Strike::Endless => {
            let chunk = Bytes::from(vec![b' '; 64 << 10]);
            let taken = Arc::clone(&shared.taken);
            let chunks = stream::repeat_with(move || {
                taken.fetch_add(chunk.len() as u64, Ordering::SeqCst);
                Ok::<_, Infallible>(chunk.clone())
            });
            with_body(200, HeaderMap::new(), Body::from_stream(chunks))
        }
        Strike::Edited(edit) => {
            let mut answer = shared.forward(&asked).await;
            edit(&asked, &mut answer);
            whole(answer)
        }
        Strike::Frozen(edit, kind) => whole(shared.frozen(&asked, &edit, kind(&asked)).await),
    })
}

fn whole(answer: Whole) -> Response {
    with_body(answer.status, answer.headers, Body::from(answer.body))
}

fn with_body(status: u16, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("a status");
    *response.headers_mut() = headers;
    response
}
